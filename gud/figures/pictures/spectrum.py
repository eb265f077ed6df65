"""A fitted basis: the variances of its components as a table, and its first components."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from gud.cli import OutFile, PictureFile, input_option
from gud.config.sections.bases import basis_of
from gud.data.statistics import load
from gud.diffusion.bases import Basis
from gud.diffusion.representation import Statistics
from gud.figures.drawing.style import BLUE, WIDTH, small_print, style, write_figure
from gud.provenance import write_record, write_text

ROWS, COLUMNS = 4, 8
"""Of the components that are shown."""


def spectrum(basis: Basis, fitted: Statistics) -> pd.DataFrame:
    """One row per component, in the order of the basis.

    Its variance Sigma_i, the rank of that from 1 and its share of the whole, and what the basis
    knows of its place: frequency (cycles per image), column, group of wavelets.
    """
    variance = fitted.variance
    ranks = torch.empty(len(variance), dtype=torch.int64)
    ranks[variance.argsort(descending=True, stable=True)] = torch.arange(1, len(variance) + 1)
    columns = {
        "component": torch.arange(len(variance)),
        "variance": variance,
        "share": variance / variance.sum(),
        "rank": ranks,
        "frequency": basis.frequency,
        "column": basis.columns,
        "group": basis.groups,
    }
    return pd.DataFrame({name: x.numpy() for name, x in columns.items() if x is not None})


@style()
def draw_spectrum(basis: Basis, table: pd.DataFrame, name: str) -> Figure:
    """The variances by rank, and the images U^T e_i of the components of largest variance.

    Args:
        basis: of the images.
        table: from `spectrum`.
        name: of basis and data set.
    """
    first = table.sort_values("rank").head(ROWS * COLUMNS)
    unit = torch.zeros(len(first), len(table), dtype=torch.float64)
    unit[torch.arange(len(first)), torch.from_numpy(first.component.to_numpy(copy=True))] = 1
    images = basis.inverse(unit[:, None]).numpy()
    figure = Figure(figsize=(WIDTH, 2.7), layout="constrained")
    grid = figure.add_gridspec(ROWS, 1 + COLUMNS, width_ratios=[5] + [1] * COLUMNS)
    axis = figure.add_subplot(grid[:, 0])
    axis.loglog(
        table["rank"].sort_values(), table.variance.sort_values(ascending=False), color=BLUE
    )
    axis.set(xlabel="rank of the component", ylabel=r"variance $\Sigma_i$")
    for number, (image, share) in enumerate(zip(images, first.share, strict=True)):
        row, column = divmod(number, COLUMNS)
        panel = figure.add_subplot(grid[row, 1 + column])
        panel.set_axis_off()
        limit = np.abs(image).max()
        shown = image[0] if len(image) == 1 else np.moveaxis(image / limit + 1, 0, -1) / 2
        panel.imshow(shown, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
        panel.set_title(f"{share:.2g}", fontsize=5.5, pad=1.5)
    small_print(
        figure,
        f"{name}: the {len(first)} components of largest variance of {len(table)}, each on its own "
        "scale ({'white' if basis.mixed == 1 else 'grey'} is 0), and its share of the variance.",
    )
    return figure


@click.command()
@click.option("--basis", required=True, help="Such as pca, fourier, haar3 or db2-3.")
@input_option("--statistics", "Statistics of a data set in that basis, .safetensors.")
@click.option("--table", type=OutFile(), required=True, help="File to write, .csv.")
@click.option("--picture", type=PictureFile(), required=True, help="File to write, .png/.pdf.")
def main(basis: str, statistics: Path, table: Path, picture: Path) -> None:
    """Write the spectrum of a fitted basis, and a picture of its first components."""
    started, settings = time.time(), basis_of(basis)
    fitted = load(statistics, settings)
    shown = settings.of(fitted)
    rows = spectrum(shown, fitted)
    write_text(table, rows.to_csv(index=False))
    record: dict[str, Any] = {
        "inputs": [statistics],
        "settings": {"basis": basis},
        "started": started,
    }
    name = statistics.stem
    drawn = draw_spectrum(shown, rows, name)
    write_figure(drawn, [picture], f"Basis {name}", made_with=[table], **record)
    write_record(table, made_with=[picture], **record)
