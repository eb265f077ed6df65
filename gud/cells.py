"""Cells of a plane: the region that is nearest to each of some points."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


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
