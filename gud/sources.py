"""Where data sets come from: photographs that packages ship, and downloaded archives.

A source is one function of `SOURCES`; `python -m gud.data` writes what it returns.
"""

from __future__ import annotations

import functools
import importlib.util
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from gud.archives import decode, hdf5_dataset, image_files, tar_files
from gud.errors import InputError
from gud.settings import Archives, ImageArchives, NaturalPatches, Pcam, validate

PHOTOGRAPHS = (
    ("sklearn", "datasets/images/china.jpg"),
    ("sklearn", "datasets/images/flower.jpg"),
    ("skimage", "data/astronaut.png"),
    ("skimage", "data/coffee.png"),
    ("skimage", "data/chelsea.png"),
    ("skimage", "data/rocket.jpg"),
)
TISSUE = (("skimage", "data/ihc.png"),)
TEST_FRACTION = 0.2
"""Part of each photograph's width, at its right, that test patches are cut from."""
MINIMUM_CONTRAST = 1.0
"""Standard deviation, in grey levels of the strongest channel, below which a patch is left out."""
SHUFFLE_SEED = 0

CIFAR10_RECORD = 1 + 3 * 32 * 32
CIFAR10_TRAIN = tuple(f"cifar-10-batches-bin/data_batch_{i}.bin" for i in range(1, 6))
CIFAR10_TEST = "cifar-10-batches-bin/test_batch.bin"

PCAM_SHAPE = (96, 96, 3)
PCAM_BLOCK = 1024
"""Patches that are read at a time."""


log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Dataset:
    """Images, the files they come from, and the seed of their order (None: that of the files)."""

    train: UInt8[np.ndarray, "train 3 height width"]
    test: UInt8[np.ndarray, "test 3 height width"]
    inputs: tuple[Path, ...]
    seed: int | None = None


Source = Callable[[Mapping[str, Any], Sequence[Path], Path], Dataset]
"""Makes a data set from its settings, downloaded archives and a folder for temporary files."""


def natural_patches(
    settings: Mapping[str, Any], archives: Sequence[Path], scratch: Path
) -> Dataset:
    """Patches of the photographs that scikit-learn and scikit-image ship: no download.

    Args:
        settings: `size` (pixels) and `stride` (pixels) of the grid of patches.
        archives: not used.
        scratch: not used.
    """
    options = validate(NaturalPatches, dict(settings), "natural_patches")
    return cut_patches(_shipped(PHOTOGRAPHS), options.size, options.stride)


def tissue_patches(settings: Mapping[str, Any], archives: Sequence[Path], scratch: Path) -> Dataset:
    """Patches of stained tissue that scikit-image ships, a stand-in for PCAM, like the above.

    The photograph's finest frequencies are empty, as of an enlargement: it is halved first.
    """
    options = validate(NaturalPatches, dict(settings), "tissue_patches")
    return cut_patches(_shipped(TISSUE), options.size, options.stride, reduction=2)


def cut_patches(photographs: Sequence[Path], size: int, stride: int, reduction: int = 1) -> Dataset:
    """Train and test patches from disjoint regions of each photograph, in shuffled order.

    Flat patches (see `MINIMUM_CONTRAST`) are left out: clipped borders and empty sky, where 8-bit
    data are constants, would dominate the likelihood.

    Args:
        photographs: image files.
        size: height and width of a patch in pixels.
        stride: distance of neighbouring patches in pixels.
        reduction: factor by which the photographs are made smaller first (mean over squares).

    Raises:
        InputError: a photograph is too small for a train and a test patch side by side, or all
            patches of a split are flat.
    """
    splits: dict[str, list[np.ndarray]] = {"train": [], "test": []}
    for path in photographs:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB").reduce(reduction))
        height, width = pixels.shape[:2]
        if height < size or width < 2 * size:
            raise InputError(
                f"photograph {path} has {height} x {width} pixels, "
                f"expected {size} x {2 * size} or more for patches of size {size}"
            )
        boundary = min(round((1 - TEST_FRACTION) * width), width - size)
        splits["train"].append(_patches(pixels[:, :boundary], size, stride))
        splits["test"].append(_patches(pixels[:, boundary:], size, stride))
    random = np.random.default_rng(SHUFFLE_SEED)
    shuffled = {name: random.permutation(np.concatenate(cut)) for name, cut in splits.items()}
    for name, images in shuffled.items():
        if not len(images):
            raise InputError(f"every {name} patch of {list(map(str, photographs))} is flat")
    return Dataset(**shuffled, inputs=tuple(photographs), seed=SHUFFLE_SEED)


def _shipped(files: Sequence[tuple[str, str]]) -> list[Path]:
    """Files inside installed packages, found without importing these."""
    found = []
    for package, name in files:
        spec = importlib.util.find_spec(package)
        path = Path(spec.origin).parent / name if spec and spec.origin else None
        if path is None or not path.is_file():
            raise InputError(f"the installed package {package} has no file {name}")
        found.append(path)
    return found


def _patches(
    pixels: UInt8[np.ndarray, "height width 3"], size: int, stride: int
) -> UInt8[np.ndarray, "count 3 size size"]:
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (size, size), axis=(0, 1))
    patches = windows[::stride, ::stride].reshape(-1, 3, size, size)
    contrast = patches.std(axis=(2, 3), dtype=np.float32).max(axis=1)
    return patches[contrast >= MINIMUM_CONTRAST]


def cifar10(settings: Mapping[str, Any], archives: Sequence[Path], scratch: Path) -> Dataset:
    """CIFAR-10 from its binary archive `cifar-10-binary.tar.gz`, in the order of the files.

    Args:
        settings: nothing is read from them.
        archives: the tar.gz file; each record is a label (0 to 9) and 3 x 32 x 32 bytes.
        scratch: not used.
    """
    if len(archives) != 1:
        raise InputError("source cifar10 needs one --archive, the file cifar-10-binary.tar.gz")
    archive = archives[0]
    images: dict[str, np.ndarray] = {}
    for name, content in tar_files(archive):
        if name not in (*CIFAR10_TRAIN, CIFAR10_TEST):
            continue
        if name in images or len(content) == 0 or len(content) % CIFAR10_RECORD:
            raise InputError(
                f"{archive}: {name} has {len(content)} bytes, "
                f"expected, once, a multiple of {CIFAR10_RECORD}"
            )
        records = np.frombuffer(content, np.uint8).reshape(-1, CIFAR10_RECORD)
        if records[:, 0].max() > 9:
            raise InputError(
                f"{archive}: {name} holds the label {records[:, 0].max()}, expected 0 to 9"
            )
        images[name] = records[:, 1:].reshape(-1, 3, 32, 32)
    for name in (*CIFAR10_TRAIN, CIFAR10_TEST):
        if name not in images:
            raise InputError(f"archive {archive} has no member {name}")
    train = np.concatenate([images[name] for name in CIFAR10_TRAIN])
    return Dataset(train, images[CIFAR10_TEST], inputs=(archive,))


def pcam(settings: Mapping[str, Any], archives: Sequence[Path], scratch: Path) -> Dataset:
    """PatchCamelyon (Veeling et al. 2018), made smaller by the mean over squares (sec. 5.2).

    Args:
        settings: `size` (pixels) that the 96 x 96 patches are reduced to, rounding half up.
        archives: the official files `camelyonpatch_level_2_split_train_x.h5.gz` and `..._test_x...`
            with 262,144 and 32,768 patches; each holds the array "x", uint8, (count, 96, 96, 3).
        scratch: a folder with room for the unpacked training set (7.2 GB).
    """
    options = validate(Pcam, dict(settings), "pcam")
    train, test = (
        np.concatenate([_pcam_images(archive, options.size, scratch) for archive in files])
        for files in _splits(options.archives, archives)
    )
    return Dataset(train, test, inputs=tuple(archives))


def _pcam_images(archive: Path, size: int, scratch: Path) -> UInt8[np.ndarray, "count 3 size size"]:
    with hdf5_dataset(archive, "x", scratch) as patches:
        if patches.dtype != np.uint8 or patches.shape[1:] != PCAM_SHAPE or not patches.size:
            raise InputError(
                f"array x of {archive} is {patches.dtype} of shape {patches.shape}, "
                f"expected uint8 of shape (count, 96, 96, 3)"
            )
        images = np.empty((len(patches), 3, size, size), np.uint8)
        for first in range(0, len(patches), PCAM_BLOCK):
            block = patches[first : first + PCAM_BLOCK]
            images[first : first + PCAM_BLOCK] = reduce(block, size).transpose(0, 3, 1, 2)
    log.info("%s: %d patches", archive, len(images))
    return images


def reduce(
    images: UInt8[np.ndarray, "count height width 3"], size: int
) -> UInt8[np.ndarray, "count size size 3"]:
    """Square images made smaller by the mean over squares of pixels, rounded half up."""
    factor = images.shape[1] // size
    parts = [images[:, i::factor, j::factor] for i in range(factor) for j in range(factor)]
    total = functools.reduce(np.add, parts, np.zeros(parts[0].shape, np.uint32))
    return ((2 * total + factor**2) // (2 * factor**2)).astype(np.uint8)


def image_archives(settings: Mapping[str, Any], archives: Sequence[Path], scratch: Path) -> Dataset:
    """Square colour images in archives, e.g. CelebA-HQ (App. E), in the order of the archives.

    The parquet files of CelebA-HQ at 256 x 256 pixels on the Hugging Face hub hold 28,000 training
    and 2,000 validation images, the latter being our test split; the data set has no official one.

    Args:
        settings: `size` (pixels); larger images, whose side must be a multiple of it, are reduced
            by the mean over squares. `archives` says how many of the files belong to each split.
        archives: parquet files with a column `image` of structures with `bytes`, read by row, or
            zip, tar or tar.gz files of nothing but images, read by name; images are PNG or JPEG.
        scratch: not used.
    """
    options = validate(ImageArchives, dict(settings), "images")
    train, test = (_images(files, options.size) for files in _splits(options.archives, archives))
    return Dataset(train, test, inputs=tuple(archives))


def _images(archives: Sequence[Path], size: int) -> UInt8[np.ndarray, "count 3 size size"]:
    opened = [image_files(archive) for archive in archives]
    images = np.empty((sum(count for count, _ in opened), 3, size, size), np.uint8)
    first = 0
    for archive, (count, files) in zip(archives, opened, strict=True):
        if not count:
            raise InputError(f"archive {archive} holds no image")
        for position, name, content in files:
            pixels = decode(content, size, f"{archive}: {name}")
            images[first + position] = reduce(pixels[None], size)[0].transpose(2, 0, 1)
        first += count
        log.info("%s: %d images", archive, count)
    return images


def _splits(names: Archives, archives: Sequence[Path]) -> tuple[Sequence[Path], Sequence[Path]]:
    """The training and the test archives of a list that the settings name in this order."""
    train, test = len(names.train), len(names.test)
    if len(archives) != train + test:
        raise InputError(
            f"--archive gives {len(archives)} files, expected {train} for train and then "
            f"{test} for test"
        )
    return archives[:train], archives[train:]


SOURCES: dict[str, Source] = {
    "natural_patches": natural_patches,
    "tissue_patches": tissue_patches,
    "cifar10": cifar10,
    "pcam": pcam,
    "images": image_archives,
}
