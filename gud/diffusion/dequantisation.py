"""Uniform dequantisation of 8-bit images to phi in [-1, 1], and its inverse (App. B)."""

from __future__ import annotations

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gud.randomness import RandomNumbers

DEQUANTISATION_OFFSET = 1 / 256
"""Mean of phi - (2 u / 256 - 1): uniform dequantisation shifts by half a grey level."""
DEQUANTISATION_VARIANCE = (2 / 256) ** 2 / 12
"""Variance that uniform dequantisation adds to each pixel."""


def dequantise(
    images: UInt8[Tensor, "batch c h w"], draws: RandomNumbers
) -> Float[Tensor, "batch c h w"]:
    """phi = 2 (u + U[0, 1)) / 256 - 1 in float32 (App. B), on the device of the draws.

    U is drawn from the midpoints of 2^15 equal intervals: then every operation is exact in float32,
    the mean of U is exactly 1/2, and `quantise` gives back every grey level.
    """
    interval = draws.integers_like(images, 2**15)
    return (images.to(interval.device) + (2 * interval + 1) / 2**16) / 128 - 1


def quantise(phi: Float[Tensor, "batch c h w"]) -> UInt8[Tensor, "batch c h w"]:
    """8-bit grey levels floor(128 (phi + 1)), clamped to [0, 255]: the inverse of `dequantise`."""
    return ((phi + 1) * 128).floor().clamp(0, 255).to(torch.uint8)
