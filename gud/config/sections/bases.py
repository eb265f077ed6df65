"""Bases: which there are, what file names call them, and how principal components are fitted."""

from __future__ import annotations

import re
from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, field_validator

from gud.config.sections.section import Positive, Section
from gud.config.sections.validation import validate
from gud.diffusion.sizes import check_levels

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from gud.diffusion.bases import Basis
    from gud.diffusion.representation import Statistics

WAVELETS = ("haar", "wavelet")
CHANNELS = 3
"""Of all images."""


class BasisSection(Section):
    name: str

    @property
    def title(self) -> str:
        """What figures call it."""
        return self.name

    def check(self, image_size: int) -> None:
        """`InputError` unless the basis can be built for images of a size."""

    def components(self, image_size: int) -> int:
        """How many a state of images of a size has, in each of its channels."""
        return image_size**2

    @abstractmethod
    def build(
        self, image_size: int, rotation: Tensor | None = None, low_pass: Tensor | None = None
    ) -> Basis:
        """The basis of images of a size.

        Args:
            rotation: of principal components.
            low_pass: filter of a wavelet that is named.
        """

    def of(self, statistics: Statistics, precision: torch.dtype | None = None) -> Basis:
        """The basis with what was fitted of it, for images of a precision, by default double."""
        rotation = statistics.rotation
        if rotation is not None and precision is not None:
            rotation = rotation.to(precision)
        return self.build(statistics.mean.shape[-1], rotation, statistics.low_pass)


class PlainBasis(BasisSection):
    name: Literal["pixel", "fourier"]

    @property
    def title(self) -> str:
        return "Fourier" if self.name == "fourier" else self.name

    def build(
        self, image_size: int, rotation: Tensor | None = None, low_pass: Tensor | None = None
    ) -> Basis:
        from gud.diffusion.bases import Fourier, Pixel

        return Pixel(image_size) if self.name == "pixel" else Fourier(image_size)


class PrincipalBasis(BasisSection):
    """Principal components of the averages over the channels (App. B), or of all colours."""

    name: Literal["pca", "colour_pca"]

    @property
    def colours(self) -> bool:
        return self.name == "colour_pca"

    @property
    def title(self) -> str:
        return "colour PCA" if self.colours else "PCA"

    def components(self, image_size: int) -> int:
        return image_size**2 * (CHANNELS if self.colours else 1)

    def build(
        self, image_size: int, rotation: Tensor | None = None, low_pass: Tensor | None = None
    ) -> Basis:
        from gud.diffusion.bases import PCA, ColourPCA

        if rotation is None:
            raise ValueError("a PCA basis needs the rotation that `fit` computes")
        return (ColourPCA if self.colours else PCA)(image_size, rotation)


class HaarBasis(BasisSection):
    name: Literal["haar"]
    levels: Annotated[int, Field(ge=1, le=9)]

    @property
    def title(self) -> str:
        return "Haar"

    def check(self, image_size: int) -> None:
        check_levels(image_size, self.levels)

    def build(
        self, image_size: int, rotation: Tensor | None = None, low_pass: Tensor | None = None
    ) -> Basis:
        from gud.diffusion.bases import Wavelet

        return Wavelet(image_size, self.levels)


ORTHOGONAL_WAVELETS = {"haar"} | {
    f"{family}{order}"
    for family, orders in {"db": range(1, 39), "sym": range(2, 21), "coif": range(1, 18)}.items()
    for order in orders
}
"""Those of PyWavelets whose filters are orthogonal to rounding, as its `dmey` is not."""


class WaveletBasis(BasisSection):
    """Any orthogonal wavelet of PyWavelets."""

    name: Literal["wavelet"]
    wavelet: str
    levels: Annotated[int, Field(ge=1, le=9)]

    @field_validator("wavelet")
    @classmethod
    def _orthogonal(cls, wavelet: str) -> str:
        if wavelet not in ORTHOGONAL_WAVELETS:
            raise ValueError(
                f"{wavelet} is not allowed: it must be haar, db1 to db38, sym2 to sym20 or coif1 "
                "to coif17"
            )
        return wavelet

    def check(self, image_size: int) -> None:
        check_levels(image_size, self.levels)

    def build(
        self, image_size: int, rotation: Tensor | None = None, low_pass: Tensor | None = None
    ) -> Basis:
        from gud.diffusion.bases import Wavelet

        if low_pass is None:
            raise ValueError("a wavelet basis needs the filter that `fit` looks up")
        return Wavelet(image_size, self.levels, tuple(low_pass.tolist()))


BasisSettings = Annotated[
    PlainBasis | PrincipalBasis | HaarBasis | WaveletBasis, Field(discriminator="name")
]


BASIS_NAME = r"pixel|pca|colour_pca|fourier|haar[1-9]|[a-z]+[0-9]*-[1-9]"
"""What `basis_name` gives, as a regular expression."""


def basis_name(basis: BasisSettings) -> str:
    """The identifier of a basis in file names, such as `pca`, `haar3` or `db2-3`."""
    match basis:
        case HaarBasis():
            return f"haar{basis.levels}"
        case WaveletBasis():
            return f"{basis.wavelet}-{basis.levels}"
    return basis.name


def basis_of(name: str) -> BasisSettings:
    """The inverse of `basis_name`."""
    raw: dict[str, Any] = {"name": name}
    if found := re.fullmatch(r"haar([1-9])", name):
        raw = {"name": "haar", "levels": int(found[1])}
    elif found := re.fullmatch(r"([a-z]+[0-9]*)-([1-9])", name):
        raw = {"name": "wavelet", "wavelet": found[1], "levels": int(found[2])}
    return validate(_Basis, {"basis": raw}, f"basis {name!r}").basis


class _Basis(Section):
    basis: BasisSettings


class PrincipalComponents(Section):
    """How scikit-learn fits principal components; see `gud.data.principal_components`."""

    solver: Literal["full", "covariance_eigh", "randomized", "incremental"]
    components: Positive | None
    """The leading ones that are fitted, others complete the basis; None for all."""
