"""Figure 6: the column-sequential schedule at several values of its softness."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.figure import Figure
from pydantic import Field

from gud.figure_style import WIDTH, Labels, small_print, style
from gud.noising import NoisingState
from gud.schedules import gamma_noise_default
from gud.sequential import column_schedule

TIMES = 2001
"""Enough for the jumps of beta to look vertical."""


class Figure6(Labels):
    columns: Annotated[int, Field(ge=2, le=10)]
    b: list[Annotated[float, Field(ge=0, lt=1)]] = Field(min_length=1, max_length=5)
    gamma_denoise: Annotated[float, Field(lt=0)]


def column_states(labels: Figure6, b: float) -> NoisingState:
    """The noising states of equation 21, one component a column, for data of variance 1."""
    gamma_noise = gamma_noise_default(torch.zeros(1, dtype=torch.float64))
    columns = torch.arange(labels.columns)
    schedule = column_schedule(columns, b, labels.gamma_denoise, gamma_noise)
    return schedule(torch.linspace(0, 1, TIMES, dtype=torch.float64))


@style()
def draw_figure6(labels: Figure6) -> Figure:
    """beta_i(t) above alpha_i(t), one curve for each column, one panel for each b."""
    # Cut short of the map's pale yellow.
    colors = colormaps["viridis"](np.linspace(0, 0.88, labels.columns))
    t = np.linspace(0, 1, TIMES)
    figure = Figure(figsize=(WIDTH, 3.1), layout="constrained")
    axes = figure.subplots(2, len(labels.b), sharex=True, sharey="row", squeeze=False)
    for (upper, lower), b in zip(axes.T, labels.b, strict=True):
        state = column_states(labels, b)
        for column, color in enumerate(colors):
            name = f"column {column + 1}{' (left)' if column == 0 else ''}"
            beta = state.beta[:, column].numpy() * (1 - b)
            upper.fill_between(t, beta, color=color, alpha=0.15, linewidth=0)
            upper.plot(t, beta, color=color)
            lower.plot(t, state.alpha[:, column].numpy(), color=color, label=name)
        upper.set_title(f"$b = {b:g}$")
        lower.set(xlabel="diffusion time $t$", xticks=[0, 0.5, 1], xlim=(-0.01, 1.01))
    axes[0, 0].set_ylabel(r"noising rate $(1-b)\,\beta_i(t)$")
    axes[1, 0].set_ylabel(r"signal $\alpha_i(t)$")
    figure.legend(
        *axes[1, 0].get_legend_handles_labels(), loc="outside upper center", ncols=labels.columns
    )
    low = labels.gamma_denoise
    high = gamma_noise_default(torch.zeros(1, dtype=torch.float64))
    small_print(
        figure,
        rf"Equation 21 for {labels.columns} columns and data of variance 1, $\gamma$ from {low:g} "
        rf"to {high:.2f}. Where $\beta_i = 0$ a column is frozen. A column is noised for a time "
        r"$1 - b$, at a rate that grows as $1 / (1 - b)$.",
    )
    return figure
