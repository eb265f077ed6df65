"""What a source of images gives, and what those of downloaded archives share."""

from __future__ import annotations

import functools
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8

from gud.config.sections.data import Archives
from gud.errors import InputError


@dataclass(frozen=True)
class Dataset:
    """Images and where they come from.

    Args:
        inputs: the files they come from.
        seed: of their order; None for that of the files.
        train_region, test_region: number of the region that each image was cut from; images of one
            region are not independent. None if all images are.
        classes: what the classes of the images are called; empty if they have none.
        train_label, test_label: number of the class of each image.
    """

    train: UInt8[np.ndarray, "train 3 height width"]
    test: UInt8[np.ndarray, "test 3 height width"]
    inputs: tuple[Path, ...]
    seed: int | None = None
    train_region: Int64[np.ndarray, " train"] | None = None
    test_region: Int64[np.ndarray, " test"] | None = None
    classes: tuple[str, ...] = ()
    train_label: Int64[np.ndarray, " train"] | None = None
    test_label: Int64[np.ndarray, " test"] | None = None

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays of a data set file."""
        known = {name: array for name, array in vars(self).items() if isinstance(array, np.ndarray)}
        return known | ({"classes": np.array(self.classes)} if self.classes else {})


def reduce(
    images: UInt8[np.ndarray, "count height width 3"], size: int
) -> UInt8[np.ndarray, "count size size 3"]:
    """Square images made smaller by the mean over squares of pixels, rounded half up."""
    factor = images.shape[1] // size
    parts = [images[:, i::factor, j::factor] for i in range(factor) for j in range(factor)]
    total = functools.reduce(np.add, parts, np.zeros(parts[0].shape, np.uint32))
    return ((2 * total + factor**2) // (2 * factor**2)).astype(np.uint8)


def outside_memory(shape: tuple[int, ...], scratch: Path) -> UInt8[np.ndarray, " ..."]:
    """An empty array in a file without a name, which vanishes with it."""
    if not math.prod(shape):
        return np.empty(shape, np.uint8)
    with tempfile.TemporaryFile(dir=scratch) as file:
        return np.memmap(file, np.uint8, "w+", shape=shape)


def splits(names: Archives, archives: Sequence[Path]) -> tuple[Sequence[Path], Sequence[Path]]:
    """The training and the test archives of a list that the settings name in this order."""
    train, test = len(names.train), len(names.test)
    if len(archives) != train + test:
        raise InputError(
            f"{len(archives)} archives are given, expected {train} for train and then "
            f"{test} for test"
        )
    return archives[:train], archives[train:]
