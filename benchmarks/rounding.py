"""How far rounding carries: likelihoods of the same network with other threads and other kernels.

    python benchmarks/rounding.py --results results/demo --out docs/reference/rounding.csv

Likelihoods of test images by a network of the demo, with one thread, with two, and without the
kernels of oneDNN, in the equal steps of Adams' method and in the adaptive ones of Tsitouras'. The
difference of an image is that of its bits/dim from those with one thread, over these; what
`gud compare` allows for another machine is meant to lie well above the largest.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import click
import pandas as pd
import torch

from gud.cli import out_option, reported
from gud.data import datasets
from gud.evaluate.likelihood import choose_images, image_bits
from gud.model import load
from gud.provenance import atomic, write_record

EXPERIMENT, POINT = "a_scan_isotropic", {"a": 1.0, "r": 0.0}
METHODS: dict[str, dict[str, Any]] = {
    "adams": {"method": "adams", "steps": 24, "coordinates": "standardised"},
    "tsit5": {"method": "tsit5", "rtol": 1e-3, "atol": 1e-3, "coordinates": "standardised"},
}
WAYS = {"one thread": (1, True), "two threads": (2, True), "without oneDNN": (1, False)}


@click.command()
@click.option("--results", type=click.Path(path_type=Path), required=True, help="Of the demo.")
@click.option("--images", type=click.IntRange(2), default=6, show_default=True)
@out_option()
def main(results: Path, images: int, out: Path) -> None:
    """Differences of likelihoods that only the rounding makes."""
    started, found = time.time(), []
    path, data = results / EXPERIMENT / "model.safetensors", results / "data/natural16.npz"
    model = load(path)
    test = datasets.load(data, "test", model.image_shape)
    index = choose_images(len(test), images, 0, data).tolist()
    for method, how in METHODS.items():
        bits = {}
        for way, (threads, kernels) in WAYS.items():
            torch.set_num_threads(threads)
            with torch.backends.mkldnn.flags(enabled=kernels):
                bits[way], evaluations = image_bits(
                    model, model.schedule(**POINT), test[index], index=index, **how
                )
            difference = (bits[way] / bits["one thread"] - 1).abs().max()
            row = {"method": method, "way": way, "evaluations": evaluations}
            found.append(row | {"largest_relative_difference": float(difference)})
            click.echo(" ".join(f"{key}={value}" for key, value in found[-1].items()))
    with atomic(out) as temporary:
        pd.DataFrame(found).to_csv(temporary, index=False)
    settings = {"images": images, "methods": METHODS, "experiment": EXPERIMENT, "point": POINT}
    write_record(out, inputs=[path, data], settings=settings, seed=0, started=started)


if __name__ == "__main__":
    sys.exit(reported(lambda: main(standalone_mode=False)))
