"""PatchCamelyon, made smaller."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from gud.config.sections.data import Pcam
from gud.data.archives import hdf5_dataset
from gud.data.sources.source import Dataset, outside_memory, reduce, splits
from gud.errors import InputError

SHAPE = (96, 96, 3)
BLOCK = 1024
"""Patches that are read at a time."""

log = logging.getLogger(__name__)


def pcam(settings: Pcam, archives: Sequence[Path], scratch: Path) -> Dataset:
    """PatchCamelyon (Veeling et al. 2018), made smaller by the mean over squares (sec. 5.2).

    Args:
        settings: `size` (pixels) that the 96 x 96 patches are reduced to, rounding half up.
        archives: the official files `camelyonpatch_level_2_split_train_x.h5.gz` and `..._test_x...`
            with 262,144 and 32,768 patches; each holds the array "x", uint8, (count, 96, 96, 3).
        scratch: a folder with room for the unpacked training set (7.2 GB) and for the images.
    """
    train, test = (
        [_images(archive, settings.size, scratch) for archive in files]
        for files in splits(settings.archives, archives)
    )
    return Dataset(_joined(train), _joined(test), inputs=tuple(archives))


def _images(archive: Path, size: int, scratch: Path) -> UInt8[np.ndarray, "count 3 size size"]:
    with hdf5_dataset(archive, "x", scratch) as patches:
        if patches.dtype != np.uint8 or patches.shape[1:] != SHAPE or not patches.size:
            raise InputError(
                f"array x of {archive} is {patches.dtype} of shape {patches.shape}, "
                f"expected uint8 of shape (count, 96, 96, 3)"
            )
        images = outside_memory((len(patches), 3, size, size), scratch)
        for first in range(0, len(patches), BLOCK):
            block = patches[first : first + BLOCK]
            images[first : first + BLOCK] = reduce(block, size).transpose(0, 3, 1, 2)
    log.info("%s: %d patches", archive, len(images))
    return images


def _joined(parts: Sequence[UInt8[np.ndarray, " ..."]]) -> UInt8[np.ndarray, " ..."]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
