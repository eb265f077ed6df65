"""All verdicts at a glance: how far each effect lies on the side of its claim."""

from __future__ import annotations

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gud.figures.drawing.style import BLUE, GREY, VERMILION, WIDTH, small_print, style

COLOURS = {"confirmed": BLUE, "refuted": VERMILION, "undecided": GREY}
"""By verdict; told apart by the colour-blind, and by their marks."""
MARKS = {"confirmed": "o", "refuted": "X", "undecided": "s"}
ROW = 0.19
"""Inches for a claim."""


def draw_effects(table: pd.DataFrame, note: str) -> Figure:
    """Effects less what their claims say, with 95 % bars, sorted; a panel for each unit.

    To the right of 0 a claim is true. Claims without data are not shown.

    Args:
        table: of `gud.verdict.page.as_table`.
        note: small print.
    """
    tested = table[table.effect.notna()]
    panels = [panel for _, panel in tested.groupby("unit", sort=False)] or [tested]
    heights = [len(panel) + 1.5 for panel in panels]
    with style():
        figure = Figure(figsize=(WIDTH, ROW * sum(heights) + 0.8), layout="constrained")
        axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
        for axis, panel in zip(axes, panels, strict=True):
            _draw_panel(axis, panel)
        for verdict, colour in COLOURS.items():
            axes[0].plot([], [], MARKS[verdict], color=colour, label=verdict)
        figure.legend(loc="outside upper right", ncols=len(COLOURS), handletextpad=0.2)
        small_print(figure, "To the right of 0 a claim is true. Bars: 95 %.", note)
    return figure


def _draw_panel(axis: Axes, panel: pd.DataFrame) -> None:
    drawn = [(*_support(row), row) for _, row in panel.iterrows()]
    drawn.sort(key=lambda one: one[0])
    for place, (value, low, high, row) in enumerate(drawn):
        colour = COLOURS[row.verdict]
        axis.plot([low, high], [place, place], color=colour)
        axis.plot(value, place, MARKS[row.verdict], color=colour)
    axis.axvline(0, color="black", linewidth=0.6, zorder=0)
    axis.set_yticks(range(len(drawn)), [_label(row) for *_, row in drawn], fontsize=6)
    axis.set_ylim(-0.6, max(len(drawn), 1) - 0.4)
    axis.set_xlabel(panel.unit.iloc[0] if drawn else "no claim could be tested")


def _support(row: pd.Series) -> tuple[float, float, float]:
    """How far value and bounds of an effect lie inside the region where its claim is true."""
    ends = dict(part.split(" ") for part in row.holds.split(" and "))
    lowest, highest = float(ends.get(">", -np.inf)), float(ends.get("<", np.inf))

    def inside(effect: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        return np.minimum(effect - lowest, highest - effect)

    middle = np.clip((lowest + highest) / 2, row.low, row.high)
    middle = row.effect if np.isnan(middle) else middle
    bounds = inside(np.array([row.low, row.high, middle]))
    return float(inside(np.array([row.effect]))[0]), float(bounds.min()), float(bounds.max())


def _label(row: pd.Series) -> str:
    many = "" if row.seeds > 1 else " (one seed)"
    return f"{row.claim.replace('_', ' ')}{many}"
