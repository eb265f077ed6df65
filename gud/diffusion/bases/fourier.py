"""The Fourier basis without complex numbers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gud.diffusion.bases.basis import Basis


@dataclass(frozen=True)
class Fourier(Basis):
    """The two-dimensional discrete Hartley transform, Re F - Im F of the orthonormal FFT.

    It is real, orthogonal and its own inverse. An operator g(k) = g(-k) that is diagonal in Fourier
    space is the same diagonal here. The squares of the components k and -k sum to twice |phi_k|^2,
    but apart they also hold Re(phi_k^2), whose mean vanishes for periodic data alone: the variance
    of the Fourier component is the mean of the two.
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

    @property
    def partners(self) -> Int[Tensor, " components"]:
        """-k of each k."""
        opposite = -torch.arange(self.image_size) % self.image_size
        return (opposite[:, None] * self.image_size + opposite).flatten()
