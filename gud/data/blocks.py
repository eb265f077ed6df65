"""Sums over large sets of images in bounded memory: block by block, in double precision."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gud.diffusion.dequantisation import DEQUANTISATION_OFFSET
from gud.errors import InputError

VALUES = 2**21
"""Grey levels in a block: 16 MiB in double precision, of which a sum takes a few copies."""


def blocks(
    images: UInt8[Tensor, "count channels height width"], least: int = 1
) -> Iterator[UInt8[Tensor, "block channels height width"]]:
    """Images in their order, in blocks of `VALUES` grey levels but no fewer than `least` images."""
    length = max(least, VALUES // images[0].numel(), 1)
    for first in range(0, len(images), length):
        yield images[first : first + length]


def mean_image(
    images: UInt8[Tensor, "count channels height width"],
) -> Float[Tensor, "channels height width"]:
    """Mean of the dequantised images phi in [-1, 1], their noise averaged in closed form."""
    total = torch.zeros(images.shape[1:], dtype=torch.int64)
    for block in blocks(images):
        total += block.sum(0, dtype=torch.int64)
    return total.double() / len(images) / 128 - 1 + DEQUANTISATION_OFFSET


def load_mean(
    path: Path, images: UInt8[Tensor, "count channels height width"]
) -> Float[Tensor, "channels height width"]:
    """The mean image of `images` in a file; `InputError` if it holds none of their shape."""
    try:
        mean = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"mean image {path} cannot be read: {error}") from None
    shape = tuple(images.shape[1:])
    if not isinstance(mean, np.ndarray) or mean.dtype != np.float64 or mean.shape != shape:
        found = (
            f"{mean.dtype} of shape {mean.shape}" if isinstance(mean, np.ndarray) else "no array"
        )
        raise InputError(f"mean image {path} is {found}, expected float64 of shape {shape}")
    return torch.from_numpy(mean)


def centred(
    images: UInt8[Tensor, "count channels height width"],
    mean: Float[Tensor, "channels height width"],
    mirrored: bool,
    least: int = 1,
) -> Iterator[Float[Tensor, "block channels height width"]]:
    """phi - mean in blocks, each grey level at the middle of its interval.

    Args:
        mean: the mean image; where `mirrored`, it should be its own mirror image.
        mirrored: whether each block comes again as mirror images.
        least: images in a block, but for the last.
    """
    for block in blocks(images, least):
        phi = block.double() / 128 - 1 + DEQUANTISATION_OFFSET - mean
        yield phi
        if mirrored:
            yield phi.flip(-1)
