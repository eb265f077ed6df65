"""What Figure 5 costs: its differences to standard diffusion by the paper's ODE, ours and a table.

    python benchmarks/figure5_cost.py --results results/demo --out docs/reference/figure5_cost.csv

Passes through the network, forward or backward, for a paired standard error of 0.005 bits/dim of
every difference on a grid of a and r, with the same images and random numbers:

    paper   (B) Tsitouras at 1e-4 in chi, three probes
    adams   equal steps in angles, one probe
    finer   the same in few steps, whose mean effect is corrected by more steps of fewer images
    table   the variational bound at few nodes (a, r), the sum over components of d gamma_i / dt
            times the error of eps at few times, and between the nodes a polynomial in a and r

The paper takes the same images at all points, and so does the table at its nodes; `each` takes at
every point the images of its own difference, as `gud evaluate-to` does, and at standard diffusion
those of any. An image's variance of the ODE's differences is that of `adams` in 48 steps with one
and three probes; the paper's evaluations are counted on few images. `images` are those of the
point that needs most, `at` which one, `images_of_all` the sum over the points. `bias` is the
largest error of a mean difference by what no image removes: of the steps against 128, at the ends
of the grid; of the polynomial against the bound itself at the points between the nodes.
"""

from __future__ import annotations

import itertools
import math
import sys
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
from jaxtyping import Float
from torch import Tensor

from gud.cli import out_option, reported
from gud.data import datasets
from gud.evaluate.likelihood import choose_images, image_bits, image_bound
from gud.model import Model, load
from gud.provenance import atomic, write_record

EXPERIMENT, STDERR = "ordering_scan", 0.005
STANDARD = (1.0, 0.0)
"""What differences are to."""
R, SOFTNESS = (0.0, 0.5, 1.0), ((0.4, 1.0, 1.6), (0.4, 0.7, 1.0, 1.6))
"""The nodes of the tables."""
BETWEEN = [*itertools.product((0.85, 1.15), (0.0, 0.1, 0.2)), (1.0, 0.1), (1.0, 0.2)]
ENDS = [*itertools.product(SOFTNESS[0], R)]
"""With those between, the grid of the demo; where the bias of the ODE is measured."""
STEPS, TIMES = (16, 24, 32, 48, 64), (1, 2, 4, 8)
COARSE, FINE = (8, 12, 16, 24), 48
"""Steps of all images, and of those that correct them."""

GRID, FEW = ENDS + BETWEEN, 4
Points = list[tuple[float, float]]
Needed = Float[np.ndarray, " points"]


def differences(values: Float[np.ndarray, "points images"], points: Points) -> np.ndarray:
    return values - values[points.index(STANDARD)]


def interpolation(points: Points, nodes: Points) -> Float[np.ndarray, "points nodes"]:
    """From values at the nodes to those of their polynomial in a and r at the points."""

    def powers(points: Points) -> np.ndarray:
        a, r = np.array(points).T
        return np.stack([a**i * r**j for i in range(len(nodes) // len(R)) for j in range(len(R))])

    return powers(points).T @ np.linalg.inv(powers(nodes)).T


class Images:
    """Test images of a model, with the random numbers of `gud evaluate`."""

    def __init__(self, model: Model, data: Path, images: int) -> None:
        test = datasets.load(data, "test", model.image_shape)
        self.index = choose_images(len(test), images, 0, data, sort=False).tolist()
        self.model, self.images = model, test[self.index]

    def bits(self, point: tuple[float, float], n: int, **ode: Any) -> tuple[Tensor, int]:
        schedule = self.model.schedule(a=point[0], r=point[1])
        return image_bits(self.model, schedule, self.images[:n], index=self.index[:n], **ode)

    def bound(self, point: tuple[float, float], times: int) -> np.ndarray:
        schedule = self.model.schedule(a=point[0], r=point[1])
        found = image_bound(
            self.model, schedule, self.images, index=self.index, times=times, replicates=1
        )
        return found[:, 0].numpy()


def needed(variance: Float[np.ndarray, " points"], points: Points) -> Needed:
    """Images for the requested error of every difference, of this variance for an image."""
    images = variance / STDERR**2
    images[points.index(STANDARD)] = images.max()
    return images


def ode_rows(images: Images, n: int) -> list[dict[str, Any]]:
    def solve(steps: int, probes: int, few: int, points: Points) -> np.ndarray:
        ode = {"method": "adams", "coordinates": "standardised", "steps": steps, "probes": probes}
        return np.stack([images.bits(point, few, **ode)[0].numpy() for point in points])

    three = solve(FINE, 3, n, GRID)
    mean, fine = differences(three.mean(2), GRID), differences(three[:, :, 0], GRID)
    passes = 4.0 * float(np.mean([images.bits(point, 2, probes=1)[1] for point in ENDS[::4]]))
    own = needed(mean.var(1, ddof=1), GRID)
    same = np.full_like(own, own.max())
    rows = [row("paper", same, passes), row("paper, each", own, passes)]
    own = needed(fine.var(1, ddof=1), GRID)
    exact = differences(solve(2 * STEPS[-1], 1, FEW, ENDS)[:, :, 0], ENDS)
    biases = {}
    for steps in STEPS:
        error = differences(solve(steps, 1, FEW, ENDS)[:, :, 0], ENDS) - exact
        biases[steps] = float(np.abs(error.mean(1)).max())
        for way, taken in (("", np.full_like(own, own.max())), (", each", own)):
            rows.append(row(f"adams {steps}{way}", taken, 2.0 * (steps + 1), bias=biases[steps]))
    for steps in COARSE:
        coarse = differences(solve(steps, 1, n, GRID)[:, :, 0], GRID)
        taken, corrected = two_levels(coarse, fine, steps)
        passes = 2.0 * (steps + 1) + 2.0 * (FINE + 1) * corrected * len(GRID) / taken.sum()
        way = f"adams {steps}, finer {FINE} for {corrected:.0f}, each"
        rows.append(row(way, taken, passes, bias=biases[FINE]))
    return rows


def two_levels(
    coarse: Float[np.ndarray, "points images"],
    fine: Float[np.ndarray, "points images"],
    steps: int,
) -> tuple[Needed, float]:
    """The images, and how many of them are corrected, for the requested error at the least cost.

    The variance of a mean is (V + 2 C) / n + S / m, with S the variance of what finer steps change
    and C its covariance with the coarse values; a part of the error is left to the second term, of
    the same m images at all points.
    """
    both = [np.cov(one, change) for one, change in zip(coarse, fine - coarse, strict=True)]
    of_images = np.array([max(each[0, 0] + 2 * each[0, 1], 0.0) for each in both])
    of_shift = max(each[1, 1] for each in both)

    def images(part: float) -> tuple[Needed, float]:
        corrected = of_shift / part / STDERR**2
        return needed(of_images / (1 - part), GRID).clip(min=corrected), corrected

    def cost(part: float) -> float:
        of_points, corrected = images(part)
        return of_points.sum() * (steps + 1) + corrected * len(GRID) * (FINE + 1)

    return images(min(np.linspace(0.01, 0.8, 80), key=cost))


def table_rows(images: Images) -> list[dict[str, Any]]:
    rows, biases = [], {}
    direct = differences(np.stack([images.bound(point, TIMES[-1]) for point in GRID]), GRID)
    nodes = [*itertools.product(SOFTNESS[-1], R)]
    for times in TIMES[::-1]:
        at_nodes = dict(zip(nodes, (images.bound(node, times) for node in nodes), strict=True))
        for softness in SOFTNESS:
            own = [*itertools.product(softness, R)]
            table = interpolation(GRID, own) @ np.stack([at_nodes[node] for node in own])
            found = differences(table, GRID)
            if times == TIMES[-1]:
                biases[softness] = float(np.abs((found - direct).mean(1)).max())
            way = f"table of {len(own)}, {times} times"
            most = needed(found.var(1, ddof=1), GRID).max()
            rows.append(row(way, np.full(len(own), most), float(times), own, biases[softness]))
    return rows


def row(
    way: str,
    images: Needed,
    passes: float,
    points: Points = GRID,
    bias: float = math.nan,
) -> dict[str, Any]:
    """Of one way; `passes` are those of an image at a point."""
    others = [i for i, point in enumerate(points) if point != STANDARD]
    a, r = points[max(others, key=lambda i: images[i])]
    counts = {"images": round(images.max()), "images_of_all": round(images.sum())}
    at = {"at": f"a={a:g},r={r:g}"} if images.min() < images.max() else {}
    return {"way": way} | counts | {"passes_of_an_image": passes, "bias": bias} | at


@click.command()
@click.option("--results", type=click.Path(path_type=Path), required=True, help="Of the demo.")
@click.option("--images", type=click.IntRange(8), default=32, show_default=True, help="Of the ODE.")
@out_option()
def main(results: Path, images: int, out: Path) -> None:
    """Passes for the differences of Figure 5, by three ways."""
    started = time.time()
    inputs = [results / EXPERIMENT / "model.safetensors", results / "data/natural16.npz"]
    model = load(inputs[0])
    found = ode_rows(Images(model, inputs[1], images), images)
    found += table_rows(Images(model, inputs[1], 12 * images))
    table = pd.DataFrame(found)
    table["passes"] = table.images_of_all * table.passes_of_an_image
    table["ratio"] = table.passes / table.passes[0]
    with atomic(out) as temporary:
        table.to_csv(temporary, index=False)
    settings = {"images": images, "stderr": STDERR, "points": len(GRID)}
    write_record(out, inputs=inputs, settings=settings, seed=0, started=started)
    click.echo(table.to_string(index=False, float_format="{:.4g}".format))


if __name__ == "__main__":
    sys.exit(reported(lambda: main(standalone_mode=False)))
