"""The course of a training: its loss, learning rate and gradient, from `training.csv`."""

from __future__ import annotations

import time
from pathlib import Path

import click
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from gud.cli import NamedPreset, PictureFile, experiment_option, input_option
from gud.config.figures import Labels
from gud.config.jobs import experiment_labels
from gud.errors import InputError
from gud.figures.drawing.style import BLUE, WIDTH, small_print, style, write_figure

PANELS = {
    "loss": "loss",
    "gradient_norm": "norm of the gradient",
    "learning_rate": "learning rate",
}
"""Columns, the last two of which earlier versions did not write."""


def read_course(path: Path) -> pd.DataFrame:
    """The table of a training; `InputError` if it is none, or holds no row."""
    try:
        table = pd.read_csv(path).astype("float64")
        (last,) = table[["step", "loss", "seconds"]].tail(1).to_numpy()
    except (OSError, ValueError, KeyError, OverflowError) as error:
        raise InputError(f"{path} is not the table of a training: {error}") from None
    if not np.isfinite(last).all():
        raise InputError(f"{path}: its last row holds numbers that are not finite")
    return table


@style()
def draw_course(table: pd.DataFrame, name: str, labels: Labels) -> Figure:
    """A panel over the steps for each column of `PANELS` that the table has.

    Args:
        table: of a training, as `training.csv` holds it.
        name: of the experiment.
    """
    columns = [name for name in PANELS if name in table and table[name].notna().any()]
    figure = Figure(figsize=(WIDTH, 2.1), layout="constrained")
    for axis, column in zip(
        figure.subplots(1, len(columns), squeeze=False)[0], columns, strict=True
    ):
        axis.plot(table.step, table[column], color=BLUE)
        axis.set(xlabel="step", title=PANELS[column])
    hours = table.seconds.iloc[-1] / 3600
    small_print(
        figure,
        f"{name}: {table.step.iloc[-1]:.0f} steps in {hours:.3g} hours. The loss is the mean since "
        "the point before, over all times and over the whole family of schedules; the norm is that "
        "of one step, before clipping.",
        labels.data_note,
        labels.stand_in_note,
    )
    return figure


@click.command()
@experiment_option()
@input_option("--table", "training.csv, of one training.")
@click.option("--picture", type=PictureFile(), required=True, help="File to write, .png/.pdf.")
def main(preset: NamedPreset, experiment: str, table: Path, picture: Path) -> None:
    """Show the course of a training."""
    started, labels = time.time(), experiment_labels(preset.preset, experiment)
    write_figure(
        draw_course(read_course(table), experiment, labels),
        [picture],
        f"Training {experiment}",
        inputs=[table],
        settings=labels.record(),
        started=started,
    )
