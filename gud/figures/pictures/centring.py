"""What dequantisation and mean removal did to a data set: mean image, grey levels, their bins."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.figure import Figure

from gud.cli import OutFile, PictureFile, input_option
from gud.data import centring, datasets
from gud.data.blocks import mean_image
from gud.data.centring import CELLS
from gud.diffusion.dequantisation import dequantise
from gud.figures.drawing.images import show
from gud.figures.drawing.style import BLUE, GREY, VERMILION, WIDTH, small_print, style, write_figure
from gud.provenance import atomic, write_record, write_text
from gud.randomness import Stream

SEED = 0
"""Of the noise of the dequantisation that is checked."""
CHECKED = 2**22
"""Grey levels that are dequantised for the check, the first ones of the training set."""
COLORS = {"red": VERMILION, "green": "#009E73", "blue": BLUE}


@style()
def draw_centring(
    mean: Float[np.ndarray, "3 height width"],
    levels: pd.DataFrame,
    position: Float[np.ndarray, " values"],
    checks: pd.DataFrame,
    name: str,
) -> Figure:
    """Three panels: the mean image, its grey levels, and where in their bins the noise put them.

    Args:
        mean: mean image, in [-1, 1].
        levels: how often each grey level (index) occurs, a column for each channel.
        position: of dequantised values in the bin of their grey level, in [0, 1).
        checks: of their uniformity, from `gud.data.centring.uniformity`.
        name: of the data set.
    """
    figure = Figure(figsize=(WIDTH, 2.3), layout="constrained")
    image, histogram, bins = figure.subplots(1, 3, width_ratios=[1, 1.6, 1.6])
    show(image, mean)
    image.set_title("mean image, removed")
    for channel in levels:
        share = levels[channel] / levels[channel].sum()
        histogram.step(levels.index, share, where="mid", color=COLORS[channel], linewidth=0.8)
    histogram.set(xlabel="grey level", ylabel="share of values", title="8-bit levels")
    counts, edges = np.histogram(position, CELLS, (0, 1))
    expected = len(position) / CELLS
    error, density = expected**-0.5, counts / expected
    bins.axhspan(1 - 2 * error, 1 + 2 * error, color=GREY, alpha=0.2, linewidth=0)
    bins.stairs(density, edges, baseline=None, color=BLUE)
    reach = 1.2 * max(4 * error, np.abs(density - 1).max())
    bins.set(
        xlim=(0, 1),
        ylim=(1 - reach, 1 + reach),
        xlabel="position in the bin of the level",
        ylabel="density",
    )
    bins.set_title("after dequantisation")
    numbers = checks.set_index("check").p_value.dropna()
    small_print(
        figure,
        f"Training images of {name}. Grey band: two standard errors of a cell of uniform values. "
        f"Of {len(position)} values: "
        + "; ".join(f"{check}, p = {p:.2g}" for check, p in numbers.items())
        + ".",
    )
    return figure


@click.command()
@input_option("--data", "A data set, .npz.")
@click.option("--mean", type=OutFile(), required=True, help="Mean image to write, .npy.")
@click.option("--levels", type=OutFile(), required=True, help="Counts of grey levels, .csv.")
@click.option("--checks", type=OutFile(), required=True, help="Checks of the dequantisation, .csv.")
@click.option(
    "--picture", type=PictureFile(), required=True, help="Picture of all this, .png/.pdf."
)
def main(data: Path, mean: Path, levels: Path, checks: Path, picture: Path) -> None:
    """Write the mean image, the grey levels and a check of the dequantisation."""
    started = time.time()
    images = datasets.load(data, "train")
    checked = images[: max(1, CHECKED // images[0].numel())]
    phi = dequantise(checked, Stream("cpu", SEED, "dequantisation"))
    uniform = centring.uniformity(checked, phi)
    image, counts = mean_image(images).numpy(), centring.grey_levels(images).T.numpy()
    counted = pd.DataFrame(counts, columns=list(COLORS)).rename_axis("level")
    with atomic(mean) as temporary, open(temporary, "wb") as file:
        np.save(file, image)
    write_text(levels, counted.to_csv())
    write_text(checks, uniform.to_csv(index=False))
    record: dict[str, Any] = {
        "inputs": [data],
        "settings": {"checked": len(checked)},
        "started": started,
    }
    figure = draw_centring(image, counted, centring.position(checked, phi), uniform, data.stem)
    tables = [mean, levels, checks]
    write_figure(figure, [picture], f"Dequantised {data.stem}", made_with=tables, **record)
    for made in tables:
        others = [other for other in (*tables, picture) if other != made]
        write_record(made, made_with=others, **record, seed=SEED)
