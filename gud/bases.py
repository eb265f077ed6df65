"""Orthogonal data representations U (section 4.1), each colour channel transformed alike.

A basis maps images (..., height, width) to components (..., components), one for each pixel.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gud.errors import InputError


class Basis(ABC):
    """An orthogonal change of coordinates of square single-channel images."""

    image_size: int

    @abstractmethod
    def forward(
        self, images: Float[Tensor, "*batch height width"]
    ) -> Float[Tensor, "*batch components"]:
        """Components U phi."""

    @abstractmethod
    def inverse(
        self, components: Float[Tensor, "*batch components"]
    ) -> Float[Tensor, "*batch height width"]:
        """Images U^T chi."""

    @property
    def frequency(self) -> Float[Tensor, " components"] | None:
        """|k_i| of each component, in cycles per image; None where it has no meaning."""
        return None

    @property
    def labels(self) -> Float[Tensor, " components"] | None:
        """Position of each component in the structure of the basis (App. A); None if it has none.

        |k_i| for Fourier, the column for pixels; for wavelets an integer that increases by one with
        each column of the coarsest group, then of the next finer, and so on.
        """
        return self.frequency

    @property
    def columns(self) -> Int[Tensor, " components"] | None:
        """Column of each component, from 0 at the left; for wavelets within its array."""
        return None

    @property
    def groups(self) -> Int[Tensor, " components"] | None:
        """Wavelet group of each component: 0 is the low-pass array, then from coarse to fine."""
        return None

    def _grid(
        self, components: Float[Tensor, "*batch components"]
    ) -> Float[Tensor, "*batch height width"]:
        return components.unflatten(-1, (self.image_size, self.image_size))


@dataclass(frozen=True)
class Pixel(Basis):
    """The identity; component i is pixel (i // width, i % width)."""

    image_size: int

    def forward(
        self, images: Float[Tensor, "*batch height width"]
    ) -> Float[Tensor, "*batch components"]:
        return images.flatten(-2)

    def inverse(
        self, components: Float[Tensor, "*batch components"]
    ) -> Float[Tensor, "*batch height width"]:
        return self._grid(components)

    @property
    def columns(self) -> Int[Tensor, " components"]:
        return torch.arange(self.image_size).repeat(self.image_size)

    @property
    def labels(self) -> Float[Tensor, " components"]:
        return self.columns.double()


@dataclass(frozen=True)
class PCA(Basis):
    """Principal components of the colour-averaged data (App. B), by decreasing variance.

    Args:
        rotation: orthogonal, shape (components, pixels).
    """

    image_size: int
    rotation: Float[Tensor, "components pixels"]

    def forward(
        self, images: Float[Tensor, "*batch height width"]
    ) -> Float[Tensor, "*batch components"]:
        return images.flatten(-2) @ self.rotation.to(images).T

    def inverse(
        self, components: Float[Tensor, "*batch components"]
    ) -> Float[Tensor, "*batch height width"]:
        return self._grid(components @ self.rotation.to(components))


@dataclass(frozen=True)
class Fourier(Basis):
    """The two-dimensional discrete Hartley transform, Re F - Im F of the orthonormal FFT.

    It is real, orthogonal and its own inverse. An operator g(k) = g(-k) that is diagonal in Fourier
    space is the same diagonal here, so that schedules and variances over |k| carry over unchanged.
    """

    image_size: int

    def forward(
        self, images: Float[Tensor, "*batch height width"]
    ) -> Float[Tensor, "*batch components"]:
        spectrum = torch.fft.fft2(images, norm="ortho")
        return (spectrum.real - spectrum.imag).flatten(-2)

    def inverse(
        self, components: Float[Tensor, "*batch components"]
    ) -> Float[Tensor, "*batch height width"]:
        return self._grid(self.forward(self._grid(components)))

    @property
    def frequency(self) -> Float[Tensor, " components"]:
        k = torch.fft.fftfreq(self.image_size, 1 / self.image_size, dtype=torch.float64)
        return torch.hypot(k[:, None], k[None, :]).flatten()


@dataclass(frozen=True)
class Haar(Basis):
    """The two-dimensional Haar wavelet transform with `levels` decompositions (App. D, eq. 26).

    Components lie in the usual pyramid: LL of the coarsest level in the upper left corner, and at
    each level LH (detail along a row) to its right, HL (detail along a column) below and HH
    diagonally.
    """

    image_size: int
    levels: int

    def __post_init__(self) -> None:
        if self.levels < 1 or self.image_size % 2**self.levels:
            raise InputError(
                f"haar with levels = {self.levels} needs an image size divisible by "
                f"2^levels, not {self.image_size}"
            )

    def forward(
        self, images: Float[Tensor, "*batch height width"]
    ) -> Float[Tensor, "*batch components"]:
        pyramid = images.clone()
        for size in self._sizes():
            block = _halves(pyramid[..., :size, :size], dim=-2)
            pyramid[..., :size, :size] = _halves(block, dim=-1)
        return pyramid.flatten(-2)

    def inverse(
        self, components: Float[Tensor, "*batch components"]
    ) -> Float[Tensor, "*batch height width"]:
        images = self._grid(components).clone()
        for size in reversed(self._sizes()):
            block = _interleave(images[..., :size, :size], dim=-1)
            images[..., :size, :size] = _interleave(block, dim=-2)
        return images

    @property
    def groups(self) -> Int[Tensor, " components"]:
        group = torch.zeros(self.image_size, self.image_size, dtype=torch.int64)
        for number, size in enumerate(self._sizes()):
            group[:size, :size] = self.levels - number
        group[: size // 2, : size // 2] = 0
        return group.flatten()

    @property
    def columns(self) -> Int[Tensor, " components"]:
        return torch.arange(self.image_size).repeat(self.image_size) % self._widths()[self.groups]

    @property
    def labels(self) -> Float[Tensor, " components"]:
        widths = self._widths()
        return ((widths.cumsum(0) - widths)[self.groups] + self.columns).double()

    def _widths(self) -> Int[Tensor, " groups"]:
        """Width of the arrays of each group."""
        coarsest = self.image_size >> self.levels
        return torch.tensor([coarsest, *(coarsest << level for level in range(self.levels))])

    def _sizes(self) -> list[int]:
        return [self.image_size >> level for level in range(self.levels)]


def _halves(x: Tensor, dim: int) -> Tensor:
    """One Haar step: normalised sums in the first half of `dim` < 0, differences in the second."""
    even, odd = x.unflatten(dim, (-1, 2)).unbind(dim)
    return torch.cat([even + odd, even - odd], dim) * 0.5**0.5


def _interleave(x: Tensor, dim: int) -> Tensor:
    """The inverse of `_halves`."""
    sums, differences = x.chunk(2, dim)
    pair = torch.stack([sums + differences, sums - differences], dim)
    return pair.flatten(dim - 1, dim) * 0.5**0.5
