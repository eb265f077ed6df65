"""Data sets of 8-bit colour images.

A data set is one npz file with uint8 arrays `train` and `test`, shape (count, 3, height, width).
Where images of a split are not independent of one another, an integer array `train_region` or
`test_region`, shape (count,), numbers the regions that they were cut from.
Where images have classes, `classes` names them and `train_label` and `test_label`, shape (count,),
number the class of each image.
`gud dataset` makes it from one of the sources in `gud.data.sources`.
"""

from __future__ import annotations

import logging
import struct
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from gud.cli import File, NamedPreset, out_option, preset_option
from gud.config.images import Needed, check_images, images_needed
from gud.config.jobs import get_data
from gud.config.sections.data import Data
from gud.data.arrays import NOT_NPZ, load_arrays
from gud.data.sources import SOURCES
from gud.errors import InputError
from gud.provenance import write_arrays, write_record

BLOCK = 1 << 20
ZIP_HEADER, ZIP_LENGTHS = 30, 26
"""Bytes of a member's header before its name, and before the lengths of name and extra field."""

log = logging.getLogger(__name__)


def load(
    path: str | Path, split: str, shape: tuple[int, int, int] | None = None
) -> UInt8[Tensor, "count 3 height width"]:
    """The images of a split, "train" or "test", of a data set file.

    They are mapped into memory, not read: processes share them, and the system gives their memory
    to others where it is needed.

    Args:
        shape: that each image must have, e.g. a model's `image_shape`.
    """
    try:
        images = _mapped(Path(path), f"{split}.npy")
    except FileNotFoundError:
        raise InputError(f"data set {path} does not exist") from None
    except NOT_NPZ as error:
        reason = error.args[0] if error.args else type(error).__name__
        raise InputError(f"data set {path} has no readable array {split!r}: {reason}") from None
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] != 3 or not images.size:
        raise InputError(
            f"{split} of data set {path} is {images.dtype} of shape {images.shape}, "
            "expected uint8 of shape (count, 3, height, width)"
        )
    if shape is not None and images.shape[1:] != shape:
        raise InputError(
            f"the images of data set {path} have shape {images.shape[1:]}, but the model is of "
            f"images of shape {tuple(shape)}"
        )
    return torch.from_numpy(images)


def load_regions(path: str | Path, split: str, count: int) -> Int64[np.ndarray, " count"]:
    """The region of each of the `count` images of a split; each its own where the file names none.

    Images of one region are not independent of one another.
    """
    name = f"{split}_region"
    found = load_arrays(path, {}, optional={name: f"iu {count}"})
    return found.get(name, np.arange(count)).astype(np.int64)


def load_labels(
    path: str | Path, split: str, count: int
) -> tuple[Int64[Tensor, " count"], tuple[str, ...]]:
    """The class of each of the `count` images of a split, and what the classes are called.

    Raises:
        InputError: the images have no classes, or the labels are not one of them for each image.
    """
    name = f"{split}_label"
    found = load_arrays(path, {name: f"iu {count}", "classes": "U classes"})
    label, classes = found[name], found["classes"]
    if not ((label >= 0) & (label < len(classes))).all():
        raise InputError(f"{name} of {path} must hold numbers of its {len(classes)} classes")
    return torch.from_numpy(label.astype(np.int64)), tuple(map(str, classes))


def _mapped(path: Path, name: str) -> np.ndarray:
    """An array of an uncompressed npz file, whose checksum is compared; to write to it is safe."""
    with zipfile.ZipFile(path) as archive, open(path, "rb") as file:
        member = archive.getinfo(name)
        with archive.open(member) as stream:
            version = np.lib.format.read_magic(stream)
            read = {(1, 0): np.lib.format.read_array_header_1_0}.get(
                version, np.lib.format.read_array_header_2_0
            )
            shape, fortran, dtype = read(stream)
            start = stream.tell()
            while stream.read(BLOCK):
                pass
        if member.compress_type != zipfile.ZIP_STORED or fortran or dtype != np.uint8:
            with np.load(path, allow_pickle=False) as arrays:
                return arrays[Path(name).stem]
        # Name and extra field of the member's own header may differ from those of the directory.
        file.seek(member.header_offset + ZIP_LENGTHS)
        start += member.header_offset + ZIP_HEADER + sum(struct.unpack("<HH", file.read(4)))
    if not np.prod(shape):
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, "c", start, shape)


@click.command()
@preset_option()
@click.option("--name", required=True, help="Name of the data set.")
@out_option()
@click.argument("archives", type=File, nargs=-1)
def main(preset: NamedPreset, name: str, out: Path, archives: tuple[Path, ...]) -> None:
    """Make a data set; ARCHIVES are its downloads, those of train before those of test."""
    needed = images_needed(preset.preset, name)
    make(get_data(preset.preset, name), archives, out, needed)


def make(settings: Data, archives: Sequence[Path], out: Path, needed: Needed | None = None) -> None:
    """Write a data set and its record; `InputError` if it has fewer images than are needed."""
    started, folder = time.time(), out.parent
    folder.mkdir(parents=True, exist_ok=True)
    data = SOURCES[settings.source](settings, archives, folder)
    counts = {"train": len(data.train), "test": len(data.test)}
    check_images(needed or {}, counts, out)
    write_arrays(out, **data.arrays())
    log.info("%s: %s", out, counts)
    write_record(
        out,
        inputs=data.inputs,
        settings=settings.model_dump(),
        seed=data.seed,
        started=started,
        images=counts,
    )
