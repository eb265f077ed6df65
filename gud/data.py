"""Data sets of 8-bit colour images: files, dequantisation (App. B) and batches.

A data set is one npz file with uint8 arrays `train` and `test`, shape (count, 3, height, width).
`python -m gud.data` makes it from one of the sources in `gud.sources`.
"""

from __future__ import annotations

import argparse
import functools
import json
import logging
import sys
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from gud.errors import InputError, command_line
from gud.provenance import atomic, write_record
from gud.randomness import generator as random_stream
from gud.sources import SOURCES

DEQUANTISATION_OFFSET = 1 / 256
"""Mean of phi - (2 u / 256 - 1): uniform dequantisation shifts by half a grey level."""
DEQUANTISATION_VARIANCE = (2 / 256) ** 2 / 12
"""Variance that uniform dequantisation adds to each pixel."""


log = logging.getLogger(__name__)


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
    parser.add_argument(
        "--archive", type=Path, nargs="*", default=[], help="downloads: of train, then of test"
    )
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args(argv)
    started = time.time()
    settings = arguments.settings
    name = settings.get("source") if isinstance(settings, dict) else None
    if not isinstance(name, str) or name not in SOURCES:
        raise InputError(f"--settings: source = {name!r} must be one of {sorted(SOURCES)}")
    folder = arguments.out.parent
    folder.mkdir(parents=True, exist_ok=True)
    data = SOURCES[name](settings, arguments.archive, folder)
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
