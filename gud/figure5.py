"""Likelihood over two schedule parameters: Figure 5, and the wavelet scan of section 5.3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PolyCollection
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from pydantic import model_validator

from gud import preset
from gud.cells import nearest_cells
from gud.errors import InputError
from gud.figure_style import (
    A_LABEL,
    COLUMN_WIDTH,
    NLL_LABEL,
    WIDTH,
    Labels,
    rows_of,
    small_print,
    style,
)
from gud.points import is_standard
from gud.settings import Name

Box = Mapping[str, tuple[float, float]]
"""Lowest and highest value of each of two parameters."""

MARK = {
    "markeredgecolor": "black",
    "markeredgewidth": 0.7,
    "markersize": 6,
    "clip_on": False,
    "zorder": 6,
}


class Plane(Labels):
    """Settings of a figure of the NLL over two parameters, a part of which may be enlarged."""

    axes: ClassVar[dict[str, str]]
    """The two parameters and what their axes are called."""
    experiment: Name
    box: Box | None = None


class Figure5(preset.Figure5, Plane):
    axes = {"a": A_LABEL, "r": "ordering $r$"}

    @model_validator(mode="after")
    def _box_has_an_area(self) -> Figure5:
        box = self.box or {}
        for key in self.axes:
            if key not in box or not box[key][0] < box[key][1]:
                raise ValueError(f"box must give {key} as [lowest, highest]; box = {box}")
        return self


class Wavelets(Plane):
    axes = {"a": "inverse softness of levels $a$", "b": "inverse softness of columns $b$"}


@style()
def draw_plane(table: pd.DataFrame, labels: Plane) -> Figure:
    """NLL over two parameters; the boxed region, if any, again at right, with the same colours.

    Each evaluated point colours the part of the plane that is nearest to it: nothing is
    interpolated. The points of the box colour the box, those of the grid around it the rest. A
    point without an NLL leaves its cell blank.
    """
    points = rows_of(table, labels.experiment, labels.axes)
    if points.nll_bits_per_dim.isna().all():
        raise InputError(f"the figure needs an NLL of {labels.experiment}; the table holds none")
    span = {name: value_range(points[name]) for name in labels.axes}
    # The square root spreads the colours where they matter, near the lowest NLL.
    norm = PowerNorm(0.5, points.nll_bits_per_dim.min(), points.nll_bits_per_dim.max())
    box = labels.box and {name: labels.box[name] for name in labels.axes}
    panels = [span, box] if box else [span]
    size = (WIDTH, 3.0) if box else (COLUMN_WIDTH, 3.4)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    if box:
        draw_box(axes[0], axes[1], points, span, box, norm)
    else:
        draw_cells(axes[0], points, span, norm)
    standard = points[is_standard(points)]
    lowest = points.loc[points.nll_bits_per_dim.idxmin()]
    for axis, limits in zip(axes, panels, strict=True):
        for mark, shape, color in (
            (standard, "o", "black"),
            (points.loc[[lowest.name]], "*", "white"),
        ):
            # An empty mark would still take room in the layout.
            for point in coordinates(mark[within(mark, limits)], limits):
                axis.plot(*point, shape, markerfacecolor=color, **MARK)
        (x, x_label), (y, y_label) = labels.axes.items()
        axis.set(xlabel=x_label, ylabel=y_label, xlim=limits[x], ylim=limits[y])
    scale = ScalarMappable(norm, "viridis")
    ticks = norm.inverse(np.linspace(0, 1, 6))
    bar = figure.colorbar(scale, ax=axes, pad=0.02, aspect=30, ticks=ticks, format="%.3f")
    bar.set_label(NLL_LABEL)
    small_print(
        figure,
        f"{labels.data_note}{'' if standard.empty else ' Black dot: standard diffusion.'} "
        f"Star: lowest NLL, {_lowest_note(lowest, points, labels)}. A cell is the region nearest "
        "to the point evaluated in it (white marks).",
        labels.stand_in_note,
    )
    return figure


def draw_box(
    left: Axes, right: Axes, points: pd.DataFrame, span: Box, box: Box, norm: PowerNorm
) -> None:
    """All points at left, those of the box framed; the box alone at right."""
    inside = within(points, box)
    if not inside.any():
        raise InputError(f"box = {box} holds no point of the table")
    outside = points[~inside]
    coarse = np.logical_and.reduce([points[name].isin(outside[name]) for name in span])
    draw_cells(left, points[coarse], span, norm)
    draw_cells(left, points[inside], box, norm)
    draw_cells(right, points[inside], box, norm)
    low, high = np.transpose(list(box.values()))
    frame = Rectangle(low, *(high - low))
    frame.set(edgecolor="black", facecolor="none", linewidth=0.9, clip_on=False, zorder=3)
    left.add_patch(frame)
    right.spines[:].set(visible=True, linewidth=0.9)
    right.set_title("the box at left, enlarged")


def _lowest_note(lowest: pd.Series, points: pd.DataFrame, labels: Plane) -> str:
    where = ", ".join(f"${name} = {lowest[name]:g}$" for name in labels.axes)
    note = f"{lowest.nll_bits_per_dim:.3f} bits/dim at {where}"
    if pd.notna(lowest.nll_minus_standard_stderr):
        return (
            f"{note} ({lowest.nll_minus_standard:+.4f} ± {lowest.nll_minus_standard_stderr:.4f} "
            "from standard diffusion on the same images)"
        )
    highest = points.loc[points.nll_bits_per_dim.idxmax()]
    if pd.isna(highest.get("nll_minus_best_stderr")):
        return note
    return (
        f"{note}; the highest is {highest.nll_minus_best:.4f} ± "
        f"{highest.nll_minus_best_stderr:.4f} above it on the same images"
    )


def draw_cells(axis: Axes, points: pd.DataFrame, limits: Box, norm: PowerNorm) -> None:
    """The cell of each point inside the limits, coloured by its NLL and marked where it has one."""
    low, high = np.transpose(list(limits.values()))
    corners = nearest_cells(coordinates(points, limits), low, high)
    cells = PolyCollection(corners, cmap="viridis", norm=norm, edgecolors="face", linewidths=0.3)
    cells.set_array(np.ma.masked_invalid(points.nll_bits_per_dim.to_numpy()))
    axis.add_collection(cells)
    known = points.dropna(subset="nll_bits_per_dim")
    dots = coordinates(known, limits)
    axis.scatter(dots[:, 0], dots[:, 1], s=3, color="white", linewidths=0, alpha=0.8, clip_on=False)


def coordinates(points: pd.DataFrame, limits: Box) -> Float[np.ndarray, "points 2"]:
    """The values of the two parameters that the limits name."""
    return points[list(limits)].to_numpy(dtype=float)


def value_range(column: pd.Series) -> tuple[float, float]:
    """Lowest and highest value, which must differ."""
    low, high = float(column.min()), float(column.max())
    if low == high:
        raise InputError(f"the figure needs several values of {column.name}, not only {low:g}")
    return low, high


def within(points: pd.DataFrame, box: Box) -> pd.Series:
    """Which points lie in the box, its edges included."""
    inside = [points[name].between(*limits) for name, limits in box.items()]
    return inside[0] & inside[1]
