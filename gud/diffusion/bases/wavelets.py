"""Orthogonal wavelets as a data representation (App. D), of any filter and with periodic ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gud.diffusion.bases.basis import Basis
from gud.diffusion.sizes import check_levels
from gud.errors import InputError

HAAR = (0.5**0.5, 0.5**0.5)
"""The low-pass filter of the Haar wavelet."""
ORTHOGONAL = 1e-9
"""How far the products of a filter with its even shifts may be from 1 and 0."""


@dataclass(frozen=True)
class Wavelet(Basis):
    """An orthogonal two-dimensional wavelet transform with `levels` decompositions (App. D).

    Ends are periodic ("periodization" in PyWavelets), so that it is orthogonal for any filter.
    Components lie in the usual pyramid: LL of the coarsest level in the upper left corner, and at
    each level LH (detail along a row) to its right, HL (detail along a column) below and HH
    diagonally.

    Args:
        low_pass: decomposition filter h of an orthogonal wavelet, of even length; equation 26 by
            default. The high-pass filter is its mirror, g_j = (-1)^(j+1) h_(taps-1-j).
    """

    image_size: int
    levels: int
    low_pass: tuple[float, ...] = HAAR

    def __post_init__(self) -> None:
        check_levels(self.image_size, self.levels)
        deviation = _orthogonality_error(self.low_pass)
        if not deviation < ORTHOGONAL:
            raise InputError(
                f"a wavelet filter of {len(self.low_pass)} taps deviates from an orthogonal one by "
                f"{deviation:.1g}, expected less than {ORTHOGONAL:g}"
            )

    def forward(
        self, images: Float[Tensor, "*batch height width"]
    ) -> Float[Tensor, "*batch components"]:
        pyramid = images.clone()
        for size in self._sizes():
            block = _analyse(pyramid[..., :size, :size], self.low_pass, dim=-2)
            pyramid[..., :size, :size] = _analyse(block, self.low_pass, dim=-1)
        return pyramid.flatten(-2)

    def inverse(
        self, components: Float[Tensor, "*batch components"]
    ) -> Float[Tensor, "*batch height width"]:
        images = self._grid(components).clone()
        for size in reversed(self._sizes()):
            block = _synthesise(images[..., :size, :size], self.low_pass, dim=-1)
            images[..., :size, :size] = _synthesise(block, self.low_pass, dim=-2)
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


def _orthogonality_error(low_pass: tuple[float, ...]) -> float:
    """Largest deviation of sum_j h_j h_(j+2k) from 1 at k = 0 and 0 elsewhere."""
    taps = len(low_pass)
    if taps % 2 or not taps:
        return float("inf")
    products = [
        sum(h * shifted for h, shifted in zip(low_pass, low_pass[2 * k :], strict=False))
        for k in range(taps // 2)
    ]
    return max(abs(product - (k == 0)) for k, product in enumerate(products))


def _taps(low_pass: tuple[float, ...]) -> Iterator[tuple[float, float, int, int]]:
    """Each tap of both filters over the largest of the low-pass, and where in x it reads.

    Those of Haar are then 1 and -1: it adds and subtracts entries as they are, and its one factor
    comes last.

    Coefficient k of a level is sum_j h_j x[2 k + taps/2 - j]: yields h_j, g_j, whether the entry of
    x is the even (0) or the odd (1) one of its pair, and how many pairs it lies ahead of pair k.
    """
    largest, half = max(low_pass, key=abs), len(low_pass) // 2
    for j, low in enumerate(low_pass):
        high = (-1) ** (j + 1) * low_pass[-1 - j]
        ahead, phase = divmod(half - j, 2)
        yield low / largest, high / largest, phase, ahead


def _analyse(x: Tensor, low_pass: tuple[float, ...], dim: int) -> Tensor:
    """One step along `dim` < 0: first all low-pass coefficients, then the high-pass ones."""
    phases = x.unflatten(dim, (-1, 2)).unbind(dim)
    low = high = torch.zeros_like(phases[0])
    for h, g, phase, ahead in _taps(low_pass):
        entries = _ahead(phases[phase], ahead, dim)
        low, high = low + h * entries, high + g * entries
    return torch.cat([low, high], dim) * max(low_pass, key=abs)


def _synthesise(x: Tensor, low_pass: tuple[float, ...], dim: int) -> Tensor:
    """The transpose of `_analyse`, which is its inverse."""
    low, high = x.chunk(2, dim)
    phases = [torch.zeros_like(low), torch.zeros_like(low)]
    for h, g, phase, ahead in _taps(low_pass):
        phases[phase] = phases[phase] + _ahead(h * low + g * high, -ahead, dim)
    return torch.stack(phases, dim).flatten(dim - 1, dim) * max(low_pass, key=abs)


def _ahead(x: Tensor, pairs: int, dim: int) -> Tensor:
    return x.roll(-pairs, dim) if pairs else x
