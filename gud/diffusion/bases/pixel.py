"""The pixels themselves."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gud.diffusion.bases.basis import Basis


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
