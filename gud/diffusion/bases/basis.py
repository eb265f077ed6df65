"""Orthogonal data representations U (section 4.1).

A basis maps images (..., height, width) to components (..., components), one for each pixel, each
colour channel transformed alike; one that mixes the colours maps (..., channels, height, width) to
(..., 1, components), one for each value of an image.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from jaxtyping import Float, Int
from torch import Tensor


class Basis(ABC):
    """An orthogonal change of coordinates of square images.

    Attributes:
        image_size: their height and width.
        mixed: colour channels that a component consists of.
    """

    image_size: int
    mixed: int = 1

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
    def partners(self) -> Int[Tensor, " components"] | None:
        """The component that has the same variance as each by definition; None if there is none."""
        return None

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
