"""Colour images in parquet files, such as CelebA-HQ (App. E)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from gud.config.sections.data import ImageArchives
from gud.data.archives import decode, parquet_images, parquet_rows
from gud.data.sources.source import Dataset, outside_memory, reduce, splits
from gud.errors import InputError

log = logging.getLogger(__name__)


def images(settings: ImageArchives, archives: Sequence[Path], scratch: Path) -> Dataset:
    """Colour images in parquet files, row by row.

    Those of CelebA-HQ at 256 x 256 pixels on the Hugging Face hub hold 28,000 training and 2,000
    validation images, the latter being our test split; the data set has no official one.

    Args:
        settings: `size` (pixels); larger images, whose side must be a multiple of it, are reduced
            by the mean over squares. `crop` is the square that is cut out first, if any: images are
            square unless it is given. `archives` says how many files belong to each split.
        archives: files with a column `image` of structures with `bytes`, which are PNG or JPEG.
        scratch: a folder with room for the pixels of all images.
    """
    train, test = (
        _decoded(files, settings, scratch) for files in splits(settings.archives, archives)
    )
    return Dataset(train, test, inputs=tuple(archives))


def _decoded(
    archives: Sequence[Path], settings: ImageArchives, scratch: Path
) -> UInt8[np.ndarray, "count 3 size size"]:
    size = settings.size
    counts = [parquet_rows(archive) for archive in archives]
    pixels = outside_memory((sum(counts), 3, size, size), scratch)
    first = 0
    for archive, count in zip(archives, counts, strict=True):
        if not count:
            raise InputError(f"archive {archive} holds no image")
        read = 0
        for read, (name, content) in enumerate(parquet_images(archive), 1):
            if read > count:
                break
            whole = decode(content, size, f"{archive}: {name}", settings.crop)
            pixels[first + read - 1] = reduce(whole[None], size)[0].transpose(2, 0, 1)
        if read != count:
            raise InputError(
                f"archive {archive} declares {count} images, but does not hold as many"
            )
        first += count
        log.info("%s: %d images", archive, count)
    return pixels
