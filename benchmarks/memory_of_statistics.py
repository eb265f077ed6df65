"""Memory and time that the statistics of a large data set take, at the size of CelebA-HQ.

    python benchmarks/memory_of_statistics.py --out docs/reference/memory_of_statistics.csv \\
        [--images N]... [--size PIXELS] [--basis B]...

The images are overlapping windows of one array of random grey levels: they all differ, and only
the array, some tens of megabytes, is in memory. Writes one row for each basis and number of images:
the peak of the resident memory beyond that before the fit (MiB, in a process of its own), and
seconds on one thread.
"""

from __future__ import annotations

import itertools
import resource
import subprocess
import sys
import time
from pathlib import Path

import click
import numpy as np
import pandas as pd
import torch
from jaxtyping import UInt8
from torch import Tensor

from gud.cli import out_option, reported
from gud.config.sections.bases import basis_of
from gud.data.statistics import fit
from gud.provenance import atomic, write_record

STEP = 997
"""Grey levels by which a window is shifted to the next."""


def windows(count: int, size: int) -> UInt8[Tensor, "count 3 size size"]:
    pool = np.random.default_rng(0).integers(0, 256, 3 * size**2 + STEP * count, dtype=np.uint8)
    return torch.from_numpy(pool).as_strided((count, 3, size, size), (STEP, size**2, size, 1))


def measured(basis: str, count: int, size: int) -> tuple[float, float]:
    """Peak of the memory beyond that before, in MiB, and seconds, in this process."""
    images, settings = windows(count, size), basis_of(basis)
    torch.set_num_threads(1)
    fit(images[:2], settings, mirrored=True)
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    fit(images, settings, mirrored=True)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return (after - before) / 1024, time.monotonic() - began


@click.command()
@click.option("--images", type=int, multiple=True, default=[1000, 28000], help="One or several.")
@click.option("--size", default=256, help="Height and width of an image.")
@click.option("--basis", "bases", multiple=True, default=["pixel", "fourier"])
@click.option("--measure", is_flag=True, help="In this process, and only print.")
@out_option()
def main(
    images: tuple[int, ...], size: int, bases: tuple[str, ...], measure: bool, out: Path
) -> None:
    """Measure what the fit of statistics takes for large data sets."""
    if measure:
        print(*measured(bases[0], images[0], size))
        return
    started, rows = time.time(), []
    for basis, count in itertools.product(bases, images):
        words = ["--measure", "--basis", basis, "--images", count, "--size", size, "--out", out]
        command = [sys.executable, __file__, *map(str, words)]
        peak, seconds = map(float, subprocess.check_output(command, text=True).split())
        row = {"basis": basis, "images": count, "size": size}
        row["data_mib"] = round(count * 3 * size**2 / 2**20, 1)
        rows.append(row | {"peak_mib": round(peak, 1), "seconds": round(seconds, 1)})
    with atomic(out) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False)
    write_record(out, settings={"windows_shifted_by": STEP}, started=started)


if __name__ == "__main__":
    sys.exit(reported(lambda: main(standalone_mode=False)))
