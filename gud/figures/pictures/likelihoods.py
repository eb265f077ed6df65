"""The likelihoods of an experiment image by image, and what each took, at all its points."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gud.cli import File, NamedPreset, PictureFile, experiment_option
from gud.config.figures import Labels
from gud.config.jobs import experiment_labels
from gud.config.sections.points import parameters_of_point
from gud.evaluate.points import LikelihoodPoint, read_likelihood
from gud.figures.drawing.style import (
    GREY,
    NLL_LABEL,
    VERMILION,
    WIDTH,
    small_print,
    style,
    write_figure,
)

BINS = 24
ROW, MOST = 0.15, 8.0
"""Height of a point, and of all, in inches."""


@style()
def draw_likelihoods(points: Sequence[LikelihoodPoint], name: str, labels: Labels) -> Figure:
    """A histogram of the images for each point, one line of cells, beside its evaluations.

    Args:
        points: of one experiment; they are shown in the order of their parameters.
        name: of that.
    """
    points = sorted(points, key=lambda one: [*parameters_of_point(one.path.stem).values()])
    height = min(ROW * len(points), MOST)
    edges = np.histogram_bin_edges(np.concatenate([point.one_by_one for point in points]), BINS)
    counts = np.stack([np.histogram(point.one_by_one, edges)[0] for point in points])
    figure = Figure(figsize=(WIDTH, 1.3 + height), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[3, 1])
    rows = np.arange(len(points) + 1) - 0.5
    cells = left.pcolormesh(edges, rows, counts, cmap="Blues")
    bar = figure.colorbar(cells, ax=left, label="images")
    bar.locator = MaxNLocator(4, integer=True)
    means = [point.per_image.mean() for point in points]
    left.plot(means, range(len(points)), "|", color=VERMILION, markersize=7, label="mean")
    left.set(xlabel=NLL_LABEL, title="images by their NLL")
    shown = range(0, len(points), int(np.ceil(ROW * len(points) / MOST)))
    left.set_yticks(shown, [points[row].path.stem.replace("_", ", ") for row in shown])
    left.invert_yaxis()
    for row, point in enumerate(points):
        took = point.evaluations
        right.plot(took, [row] * len(took), "o", color=GREY, markersize=3)
    right.set(xlabel="network evaluations", title="what an image took", xlim=(0, None))
    right.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    small_print(
        figure,
        f"{name}: {len(points[0].index)} test images at every point, each the mean over its "
        "probes. Red: the mean of the images. Evaluations: one mark for each batch, which shares "
        "the steps of its differential equation.",
        labels.data_note,
        labels.stand_in_note,
    )
    return figure


@click.command()
@experiment_option()
@click.option("--picture", type=PictureFile(), required=True, help="File to write, .png/.pdf.")
@click.argument("points", type=File, nargs=-1, required=True)
def main(preset: NamedPreset, experiment: str, picture: Path, points: tuple[Path, ...]) -> None:
    """Show the likelihoods of an experiment at POINTS, image by image."""
    started, labels = time.time(), experiment_labels(preset.preset, experiment)
    write_figure(
        draw_likelihoods([read_likelihood(path) for path in points], experiment, labels),
        [picture],
        f"Likelihoods {experiment}",
        inputs=points,
        settings=labels.record(),
        started=started,
    )
