"""A quantity over a plane of two parameters: every point colours the region nearest to it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import PowerNorm
from matplotlib.patches import Rectangle

from gud.errors import InputError

Box = Mapping[str, tuple[float, float]]
"""Lowest and highest value of each of two parameters."""


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


def nearest_cells(
    points: Float[np.ndarray, "points 2"],
    low: Float[np.ndarray, " 2"],
    high: Float[np.ndarray, " 2"],
) -> list[Float[np.ndarray, "corners 2"]]:
    """For each point, the corners of the part of the rectangle [low, high] that is nearest to it.

    Distances are in units of the rectangle's sides. For the points of a grid the cells are
    rectangles whose sides lie halfway between neighbours.
    """
    unit = (points - low) / (high - low)
    cells = []
    for index, point in enumerate(unit):
        cell = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
        for other in np.delete(unit, index, axis=0):
            cell = clip(cell, other - point, (other @ other - point @ point) / 2)
        cells.append(low + cell * (high - low))
    return cells


def clip(
    polygon: Float[np.ndarray, "corners 2"], normal: Float[np.ndarray, " 2"], offset: float
) -> Float[np.ndarray, "clipped 2"]:
    """The part of a convex polygon where normal . x <= offset."""
    excess = polygon @ normal - offset
    kept = []
    for corner, (here, there) in enumerate(zip(excess, np.roll(excess, -1), strict=True)):
        start, end = polygon[corner], polygon[(corner + 1) % len(polygon)]
        if here <= 0:
            kept.append(start)
        if here * there < 0:
            kept.append(start + (end - start) * here / (here - there))
    return np.array(kept).reshape(-1, 2)
