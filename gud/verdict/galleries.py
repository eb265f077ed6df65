"""Sharpness and stability of images drawn at fixed random keys over a softness (App. E)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from gud.data.arrays import load_arrays
from gud.provenance import Record, checked_record
from gud.verdict.contrasts import image_deviations
from gud.verdict.numbers import Labels, Number, Units, digest_of, labels_of

Images = UInt8[np.ndarray, "count 3 height width"]
STANDARD = 1.0
"""The softness a that the changes of an image are counted from, or the nearest of those drawn."""


def read_galleries(paths: Sequence[Path]) -> Iterator[Number]:
    """Sharpness of the images of each gallery, and how far they are from those of standard a."""
    galleries: dict[str, list[tuple[Labels, Record, Images, Path]]] = {}
    for path in paths:
        record = checked_record(path)
        labels = labels_of(record)
        images = load_arrays(path, {"images": "8 count 3 height width"})["images"]
        key = digest_of(labels["group"], labels["seed"], labels["sampling.method"])
        galleries.setdefault(key, []).append((labels, record, images, path))
    for points in galleries.values():
        _, _, reference, nearest = min(
            points, key=lambda point: abs(float(point[0]["a"]) - STANDARD)
        )
        for labels, record, images, path in points:
            key = digest_of(record["settings"]["seed"], len(images))
            yield _number("sharpness", labels, sharpness(images), key, path)
            if path != nearest:
                yield _number("change", labels, change(images, reference), key, path)


def _number(
    measure: str, labels: Labels, values: Float[np.ndarray, " count"], key: str, path: Path
) -> Number:
    own = np.arange(len(values))
    units = Units("samples", key, image_deviations(values, own), len(values) - 1.0)
    return Number(measure, labels, float(values.mean()), (units,), path, path.parent.name)


def sharpness(images: Images) -> Float[np.ndarray, " count"]:
    """ln of the mean square of the Haar details of level 2 of each image.

    They see edges of two to four pixels, and a quarter of the power of noise of single pixels. The
    variance of rounding, 1 / 12, is added, which only images without details notice.
    """
    height, width = (size - size % 4 for size in images.shape[2:])
    coarse = _halved(images[:, :, :height, :width].astype(float))
    details = coarse - np.repeat(np.repeat(_halved(coarse), 2, -1), 2, -2)
    return np.log((details**2).mean((1, 2, 3)) + 1 / 12)


def change(images: Images, reference: Images) -> Float[np.ndarray, " count"]:
    """Root mean square difference of each image from its reference, in grey levels."""
    difference = images.astype(float) - reference.astype(float)
    return np.sqrt((difference**2).mean((1, 2, 3)))


def _halved(images: Float[np.ndarray, "count 3 height width"]) -> np.ndarray:
    """Means of blocks of two by two pixels; sides are even."""
    count, channels, height, width = images.shape
    return images.reshape(count, channels, height // 2, 2, width // 2, 2).mean((3, 5))
