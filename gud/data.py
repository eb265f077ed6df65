"""Data sets of 8-bit colour images: where they come from, dequantisation (App. B) and batches.

A data set is one npz file with uint8 arrays `train` and `test`, shape (count, 3, height, width).
`python -m gud.data` makes it from one of `SOURCES`; a further source is one function there.
"""

from __future__ import annotations

import argparse
import functools
import gzip
import importlib.util
import json
import logging
import sys
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from PIL import Image
from torch import Tensor

from gud.errors import InputError, command_line
from gud.provenance import atomic, write_record
from gud.randomness import generator as random_stream
from gud.settings import NaturalPatches, validate

DEQUANTISATION_OFFSET = 1 / 256
"""Mean of phi - (2 u / 256 - 1): uniform dequantisation shifts by half a grey level."""
DEQUANTISATION_VARIANCE = (2 / 256) ** 2 / 12
"""Variance that uniform dequantisation adds to each pixel."""

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

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Dataset:
    """Images, the files they come from, and the seed of their order (None: that of the files)."""

    train: UInt8[np.ndarray, "train 3 height width"]
    test: UInt8[np.ndarray, "test 3 height width"]
    inputs: tuple[Path, ...]
    seed: int | None = None


Source = Callable[[Mapping[str, Any], Path | None], Dataset]


def natural_patches(settings: Mapping[str, Any], archive: Path | None = None) -> Dataset:
    """Patches of the photographs that scikit-learn and scikit-image ship: no download.

    Args:
        settings: `size` (pixels) and `stride` (pixels) of the grid of patches.
        archive: not used.
    """
    options = validate(NaturalPatches, dict(settings), "natural_patches")
    return cut_patches(_shipped(PHOTOGRAPHS), options.size, options.stride)


def tissue_patches(settings: Mapping[str, Any], archive: Path | None = None) -> Dataset:
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


def cifar10(settings: Mapping[str, Any], archive: Path | None = None) -> Dataset:
    """CIFAR-10 from its binary archive `cifar-10-binary.tar.gz`, in the order of the files.

    Args:
        settings: nothing is read from them.
        archive: the tar.gz file; each record is a label (0 to 9) and 3 x 32 x 32 bytes.
    """
    if archive is None:
        raise InputError("source cifar10 needs --archive, the file cifar-10-binary.tar.gz")
    members = _archive_members(archive, (*CIFAR10_TRAIN, CIFAR10_TEST), CIFAR10_RECORD)
    images = {}
    for name, content in members.items():
        records = np.frombuffer(content, np.uint8).reshape(-1, CIFAR10_RECORD)
        if records[:, 0].max() > 9:
            raise InputError(
                f"{archive}: {name} holds the label {records[:, 0].max()}, expected 0 to 9"
            )
        images[name] = records[:, 1:].reshape(-1, 3, 32, 32)
    train = np.concatenate([images[name] for name in CIFAR10_TRAIN])
    return Dataset(train, images[CIFAR10_TEST], inputs=(archive,))


def _archive_members(archive: Path, names: Sequence[str], record: int) -> dict[str, bytes]:
    """Contents of members of a tar.gz, each made of whole records of `record` bytes."""
    contents: dict[str, bytes] = {}
    try:
        with gzip.open(archive) as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
            for member in tar:
                path = PurePosixPath(member.name)
                if path.is_absolute() or ".." in path.parts:
                    raise InputError(f"{archive} has a member outside its folder: {member.name}")
                if not (member.isfile() or member.isdir()):
                    raise InputError(f"{archive}: member {member.name} is no plain file or folder")
                if member.name not in names:
                    continue
                if member.name in contents or member.size == 0 or member.size % record:
                    raise InputError(
                        f"{archive}: {member.name} has {member.size} bytes, "
                        f"expected, once, a multiple of {record}"
                    )
                contents[member.name] = tar.extractfile(member).read()  # type: ignore[union-attr]
            while stream.read(1 << 20):
                pass  # gzip compares the checksum at the end
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise InputError(f"archive {archive} is no complete tar.gz file: {error}") from None
    if missing := [name for name in names if name not in contents]:
        raise InputError(f"archive {archive} has no member {missing[0]}")
    return contents


SOURCES: dict[str, Source] = {
    "natural_patches": natural_patches,
    "tissue_patches": tissue_patches,
    "cifar10": cifar10,
}


def load(path: str | Path, split: str) -> UInt8[Tensor, "count 3 height width"]:
    """The images of a split, "train" or "test", of a data set file."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            images = arrays[split]
    except FileNotFoundError:
        raise InputError(f"data set {path} does not exist") from None
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile) as error:
        reason = error.args[0] if error.args else type(error).__name__
        raise InputError(f"data set {path} has no readable array {split!r}: {reason}") from None
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] != 3 or not images.size:
        raise InputError(
            f"{split} of data set {path} is {images.dtype} of shape {images.shape}, "
            "expected uint8 of shape (count, 3, height, width)"
        )
    return torch.from_numpy(images)


def dequantise(
    images: UInt8[Tensor, "batch c h w"], generator: torch.Generator
) -> Float[Tensor, "batch c h w"]:
    """phi = 2 (u + U[0, 1)) / 256 - 1 in float32 (App. B), on the generator's device.

    U is drawn from the midpoints of 2^15 equal intervals: then every operation is exact in float32,
    the mean of U is exactly 1/2, and `quantise` gives back every grey level.
    """
    device = generator.device
    interval = torch.randint(2**15, images.shape, generator=generator, device=device)
    return (images.to(device) + (2 * interval + 1) / 2**16) / 128 - 1


def quantise(phi: Float[Tensor, "batch c h w"]) -> UInt8[Tensor, "batch c h w"]:
    """8-bit grey levels floor(128 (phi + 1)), clamped to [0, 255]: the inverse of `dequantise`."""
    return ((phi + 1) * 128).floor().clamp(0, 255).to(torch.uint8)


def batch_indices(n: int, batch_size: int, step: int, seed: int) -> Int64[Tensor, " batch_size"]:
    """Indices, in [0, n), of the batch of a training step.

    Batches are cut from an endless stream of permutations, one an epoch, so that a batch may span
    epochs. A pure function of (seed, step): a resumed run needs no state.
    """
    if min(n, batch_size) < 1 or step < 0:
        raise InputError(
            f"n = {n}, batch_size = {batch_size}, step = {step}: expected at least 1, 1 and 0"
        )
    first, end = step * batch_size, (step + 1) * batch_size
    epochs = range(first // n, (end - 1) // n + 1)
    return torch.cat(
        [
            _permutation(n, epoch, seed)[max(0, first - epoch * n) : end - epoch * n]
            for epoch in epochs
        ]
    )


@functools.lru_cache(maxsize=2)
def _permutation(n: int, epoch: int, seed: int) -> Int64[Tensor, " n"]:
    return torch.randperm(n, generator=random_stream("cpu", seed, "epoch", epoch))


@command_line
def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--settings", type=json.loads, required=True, help="data set, as JSON")
    parser.add_argument("--archive", type=Path, nargs="?", help="of sources that are downloaded")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args(argv)
    started = time.time()
    settings = arguments.settings
    name = settings.get("source") if isinstance(settings, dict) else None
    if not isinstance(name, str) or name not in SOURCES:
        raise InputError(f"--settings: source = {name!r} must be one of {sorted(SOURCES)}")
    data = SOURCES[name](settings, arguments.archive)
    with atomic(arguments.out) as temporary:
        np.savez(temporary, train=data.train, test=data.test)
    counts = {"train": len(data.train), "test": len(data.test)}
    log.info("%s: %s", arguments.out, counts)
    write_record(
        arguments.out,
        inputs=data.inputs,
        settings=settings,
        seed=data.seed,
        started=started,
        images=counts,
    )


if __name__ == "__main__":
    sys.exit(main())
