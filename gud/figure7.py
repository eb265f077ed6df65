"""Figure 7: strips of image by column-wise generation, and the window that made them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb, to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from gud import seams
from gud.errors import InputError
from gud.figure_images import Arrays, load_arrays, picture, show
from gud.figure_style import WIDTH, Labels, small_print, style
from gud.settings import NonNegative

FROZEN, ACTIVE, TO_COME = "#F0E442", "#009E73", "#0072B2"
"""Yellow, green and blue of Okabe and Ito."""
MOST = 3
"""Strips that are drawn, the first ones."""
LEFT = 0.6
"""Part of the figure's width that the strips take."""


class Figure7(Labels):
    """Settings: number of the strip whose making is shown."""

    strip: NonNegative


def load_strips(path: Path) -> Arrays:
    """What `gud.extend` writes."""
    names = ("strips", "seams", "snapshot", "position", "gamma", "beta", "b", "time")
    return load_arrays(path, names)


@style()
def draw_figure7(arrays: Arrays, labels: Figure7) -> Figure:
    """Strips (left); the window in the middle of one of them at its time t (right)."""
    if labels.strip >= len(arrays["strips"]):
        raise InputError(
            f"strip = {labels.strip} must be less than the {len(arrays['strips'])} strips"
        )
    strips = arrays["strips"][:MOST]
    count, _, rows, width = strips.shape
    height = count * (LEFT * WIDTH * rows / width + 0.08)
    figure = Figure(figsize=(WIDTH, max(2.1, height + 0.6)), layout="constrained")
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=[LEFT, 1 - LEFT])[0]
    for axis, strip in zip(left.subplots(count, 1, squeeze=False)[:, 0], strips, strict=True):
        show(axis, strip)
        axis.set_xticks(arrays["seams"] - 0.5, [])
        axis.tick_params(length=1.5, width=0.4)
    left.suptitle("strips generated from left to right", fontsize=7.5)
    draw_window(right, arrays, labels.strip)
    small_print(figure, f"{labels.data_note} {_strip_note(arrays)}", labels.stand_in_note)
    return figure


def draw_window(panel: Any, arrays: Arrays, number: int) -> None:
    """The picture at the time of a window, tinted by what is done to each column, over beta_i.

    Args:
        panel: a subfigure.
    """
    snapshot, position = arrays["snapshot"][number], int(arrays["position"])
    columns = snapshot.shape[-1]
    done = min(position, columns // 2)
    made = picture(arrays["strips"][number][..., position - done : position])
    absent = np.ones((snapshot.shape[1], columns // 4, 3))
    canvas = np.concatenate([made, picture(snapshot), absent], axis=1)
    frozen, to_come = column_roles(arrays["gamma"], arrays["beta"])
    rates = np.where(to_come, 0.0, arrays["beta"])
    # Green deepens with the rate, so that a column that is all but frozen looks it.
    opacity = 0.12 + 0.4 * rates / rates.max()
    tint = np.column_stack([np.tile(to_rgb(ACTIVE), (columns, 1)), opacity])
    tint[frozen], tint[to_come] = to_rgba(FROZEN, 0.3), to_rgba(TO_COME, 0.4)
    before = np.tile(to_rgba(FROZEN, 0.3), (done, 1))
    after = np.tile(to_rgba(TO_COME, 0.4), (absent.shape[1], 1))
    extent = (-done - 0.5, columns + absent.shape[1] - 0.5, snapshot.shape[1] - 0.5, -0.5)
    upper = panel.subplots()
    # As wide as the picture, whose pixels are square.
    lower = upper.inset_axes((0, -0.52, 1, 0.45), sharex=upper)
    upper.imshow(canvas, interpolation="nearest", extent=extent)
    upper.imshow(np.vstack([before, tint, after])[None], interpolation="nearest", extent=extent)
    upper.axvline(-0.5, color="black", linewidth=0.7)
    upper.axvline(columns - 0.5, color="black", linewidth=0.7)
    upper.set(yticks=[], aspect="equal")
    upper.spines[:].set(visible=False)
    upper.tick_params(bottom=False, labelbottom=False)
    draw_rates(lower, rates, tint)
    panel.legend(
        handles=[
            Patch(facecolor=to_rgba(color, 0.5), label=label)
            for color, label in ((FROZEN, "frozen"), (ACTIVE, "active"), (TO_COME, "to come"))
        ],
        loc="outside upper center",
        ncols=3,
    )


def draw_rates(
    axis: Axes, rates: Float[np.ndarray, " columns"], tint: Float[np.ndarray, "columns 4"]
) -> None:
    """beta_i of each column of the window."""
    opaque = tint[:, :3] * tint[:, 3:] + 1 - tint[:, 3:]
    axis.bar(np.arange(len(rates)), rates, 1.0, color=opaque, edgecolor="#444444", linewidth=0.3)
    axis.set(xlabel="column $i$ of the window", ylabel=r"rate $\beta_i$", xticks=[])


def column_roles(
    gamma: Float[np.ndarray, " columns"], beta: Float[np.ndarray, " columns"]
) -> tuple[Bool[np.ndarray, " columns"], Bool[np.ndarray, " columns"]]:
    """Which columns are frozen, and which are pure noise; the others are active.

    The last column of a window is pure noise at its time t, up to rounding.
    """
    noise = gamma >= gamma.max() - 1e-6
    return (beta == 0) & ~noise, noise


def _strip_note(arrays: Arrays) -> str:
    positions, columns = arrays["seams"], arrays["snapshot"].shape[-1]
    note = (
        f"Strips: network for {columns} columns, $b = {float(arrays['b']):g}$; at "
        f"$t = {float(arrays['time']):.3f}$ "
    )
    if not len(positions):
        return f"{note}in a single window."
    note += f"the window moves by {positions[0]} columns, at the ticks."
    if len(positions) > 1 and positions[0] > 1:
        ratio = seams.seam_statistic(arrays["strips"], positions)
        note += (
            f" Mean gradient across these seams over that elsewhere: {ratio.value:.2f} ± "
            f"{ratio.stderr:.2f}."
        )
    slope, _ = seams.drift(arrays["strips"])
    if math.isfinite(slope.stderr):
        note += (
            f" Drift of the mean of a column along {len(arrays['strips'])} strips: "
            f"{slope.value:.2f} ± {slope.stderr:.2f} grey levels per column."
        )
    return f"{note} Right: strip and window (between the lines) half-way; values clipped."
