"""Figure 5: likelihood over softness and ordering."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PolyCollection
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from pydantic import model_validator

from gud import settings
from gud.cells import nearest_cells
from gud.errors import InputError
from gud.figure_style import A_LABEL, NLL_LABEL, WIDTH, Labels, rows_of, small_print, style

Box = Mapping[Literal["a", "r"], tuple[float, float]]
"""Lowest and highest value of a and r."""

MARK = {
    "markeredgecolor": "black",
    "markeredgewidth": 0.7,
    "markersize": 6,
    "clip_on": False,
    "zorder": 6,
}


class Figure5(settings.Figure5, Labels):
    @model_validator(mode="after")
    def _box_has_an_area(self) -> Figure5:
        for key in ("a", "r"):
            if key not in self.box or not self.box[key][0] < self.box[key][1]:
                raise ValueError(f"box must give {key} as [lowest, highest]; box = {self.box}")
        return self


@style()
def draw_figure5(table: pd.DataFrame, labels: Figure5) -> Figure:
    """NLL over a and r; the boxed region again at right, with the same colours.

    Each evaluated point colours the part of the plane that is nearest to it: nothing is
    interpolated. The points of the box colour the box, those of the grid around it the rest. A
    point without an NLL leaves its cell blank.
    """
    points = rows_of(table, labels.experiment, "ar")
    if points.nll_bits_per_dim.isna().all():
        raise InputError(f"figure5 needs an NLL of {labels.experiment}; the table holds none")
    span: Box = {"a": value_range(points.a), "r": value_range(points.r)}
    lowest = points.loc[points.nll_bits_per_dim.idxmin()]
    # The square root spreads the colours where they matter, near the lowest NLL.
    norm = PowerNorm(0.5, points.nll_bits_per_dim.min(), points.nll_bits_per_dim.max())
    inside = within(points, labels.box)
    if not inside.any():
        raise InputError(f"figure5 box = {labels.box} holds no point of {labels.experiment}")
    outside = points[~inside]
    coarse = points[points.a.isin(outside.a) & points.r.isin(outside.r)]
    figure = Figure(figsize=(WIDTH, 3.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_cells(left, coarse, span, norm)
    draw_cells(left, points[inside], labels.box, norm)
    draw_cells(right, points[inside], labels.box, norm)
    outline(left, labels.box)
    right.spines[:].set(visible=True, linewidth=0.9)
    right.set_title("the box at left, enlarged")
    standard = points[(points.a == 1) & (points.r == 0)]
    for axis, limits in ((left, span), (right, labels.box)):
        for mark, shape, color in (
            (standard, "o", "black"),
            (points.loc[[lowest.name]], "*", "white"),
        ):
            mark = mark[within(mark, limits)]
            axis.plot(mark.a, mark.r, shape, markerfacecolor=color, **MARK)
        axis.set(xlabel=A_LABEL, ylabel="ordering $r$", xlim=limits["a"], ylim=limits["r"])
    scale = ScalarMappable(norm, "viridis")
    ticks = norm.inverse(np.linspace(0, 1, 6))
    bar = figure.colorbar(scale, ax=[left, right], pad=0.02, aspect=30, ticks=ticks, format="%.3f")
    bar.set_label(NLL_LABEL)
    small_print(
        figure,
        f"{labels.data_note} Black dot: standard diffusion. Star: lowest NLL, "
        f"{_lowest_note(lowest)}. A cell is the region nearest to the point evaluated in it "
        "(white marks).",
        labels.stand_in_note,
    )
    return figure


def _lowest_note(lowest: pd.Series) -> str:
    note = f"{lowest.nll_bits_per_dim:.3f} bits/dim at $a = {lowest.a:g}$, $r = {lowest.r:g}$"
    if pd.isna(lowest.nll_minus_standard_stderr):
        return note
    return (
        f"{note} ({lowest.nll_minus_standard:+.4f} ± {lowest.nll_minus_standard_stderr:.4f} from "
        "standard diffusion on the same images)"
    )


def draw_cells(axis: Axes, points: pd.DataFrame, limits: Box, norm: PowerNorm) -> None:
    """The cell of each point inside the limits, coloured by its NLL and marked where it has one."""
    low, high = np.transpose([limits["a"], limits["r"]])
    corners = nearest_cells(points[["a", "r"]].to_numpy(dtype=float), low, high)
    cells = PolyCollection(corners, cmap="viridis", norm=norm, edgecolors="face", linewidths=0.3)
    cells.set_array(np.ma.masked_invalid(points.nll_bits_per_dim.to_numpy()))
    axis.add_collection(cells)
    known = points.dropna(subset="nll_bits_per_dim")
    axis.scatter(known.a, known.r, s=3, color="white", linewidths=0, alpha=0.8, clip_on=False)


def outline(axis: Axes, box: Box) -> None:
    """The frame of the box."""
    (a_low, a_high), (r_low, r_high) = box["a"], box["r"]
    frame = Rectangle((a_low, r_low), a_high - a_low, r_high - r_low)
    frame.set(edgecolor="black", facecolor="none", linewidth=0.9, clip_on=False, zorder=3)
    axis.add_patch(frame)


def value_range(column: pd.Series) -> tuple[float, float]:
    """Lowest and highest value, which must differ."""
    low, high = float(column.min()), float(column.max())
    if low == high:
        raise InputError(f"figure5 needs several values of {column.name}; the table has {low:g}")
    return low, high


def within(points: pd.DataFrame, box: Box) -> pd.Series:
    """Which points lie in the box, its edges included."""
    return points.a.between(*box["a"]) & points.r.between(*box["r"])
