"""The first samples of an experiment at all its points: the images whose quality is measured."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import click
import numpy as np
from jaxtyping import UInt8
from matplotlib.figure import Figure

from gud.cli import File, NamedPreset, PictureFile, experiment_option
from gud.config.figures import Labels
from gud.config.jobs import experiment_labels
from gud.config.sections.points import parameters_of_point
from gud.data.arrays import load_arrays
from gud.figures.drawing.images import picture
from gud.figures.drawing.style import WIDTH, small_print, style, write_figure
from gud.provenance import checked_record

SHOWN = 16
GAP = 1
"""White pixels between images."""

Images = UInt8[np.ndarray, "count 3 height width"]


@style()
def draw_samples(points: Mapping[str, Images], name: str, labels: Labels) -> Figure:
    """A row of images for each point.

    Args:
        points: the samples by the names of their points, in any order.
        name: of the experiment.
    """
    names = sorted(points, key=lambda point: [*parameters_of_point(point).values()])
    rows = [in_a_row(points[point][:SHOWN]) for point in names]
    height = (WIDTH - 0.9) * sum(row.shape[0] / row.shape[1] for row in rows)
    figure = Figure(figsize=(WIDTH, height + 0.06 * len(rows) + 0.3), layout="constrained")
    for axis, row, point in zip(
        figure.subplots(len(rows), 1, squeeze=False)[:, 0], rows, names, strict=True
    ):
        axis.imshow(row, interpolation="nearest")
        axis.set(xticks=[], yticks=[])
        axis.set_ylabel(point.replace("_", ", "), rotation=0, ha="right", va="center")
        axis.spines[:].set(visible=False)
    small_print(
        figure,
        f"{name}: the first {SHOWN} samples at every point, not chosen. Images of one column "
        "start from the same noise.",
        labels.data_note,
        labels.stand_in_note,
    )
    return figure


def in_a_row(images: Images) -> np.ndarray:
    """Colours of images side by side, shape (height, width of all, 3)."""
    apart = [np.pad(picture(i), ((0, 0), (0, GAP), (0, 0)), constant_values=1) for i in images]
    return np.concatenate(apart, 1)[:, :-GAP]


@click.command()
@experiment_option()
@click.option("--picture", type=PictureFile(), required=True, help="File to write, .png/.pdf.")
@click.argument("points", type=File, nargs=-1, required=True)
def main(preset: NamedPreset, experiment: str, picture: Path, points: tuple[Path, ...]) -> None:
    """Show the first samples of an experiment at POINTS."""
    started, labels = time.time(), experiment_labels(preset.preset, experiment)
    images = {}
    for path in points:
        checked_record(path)
        images[path.stem] = load_arrays(path, {"images": "8 count 3 height width"})["images"]
    write_figure(
        draw_samples(images, experiment, labels),
        [picture],
        f"Samples {experiment}",
        inputs=points,
        settings=labels.record(),
        started=started,
    )
