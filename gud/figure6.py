"""Figure 6: the column-sequential schedule at several values of its softness."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.figure import Figure
from torch import Tensor

from gud import preset
from gud.figure_style import WIDTH, Labels, small_print, style
from gud.noising import NoisingState
from gud.schedules import gamma_noise_default
from gud.sequential import column_schedule

UNIT = torch.zeros(1, dtype=torch.float64)
"""log V of data of variance 1."""


class Figure6(preset.Figure6, Labels):
    pass


def column_states(labels: Figure6, b: float) -> tuple[Float[Tensor, " times"], NoisingState]:
    """Times and noising states of equation 21, one component a column, for data of variance 1.

    The times hold both sides of every jump of beta, which is then drawn vertical.
    """
    schedule = column_schedule(
        torch.arange(labels.columns), b, labels.gamma_denoise, gamma_noise_default(UNIT)
    )
    jumps = torch.tensor([*schedule.kinks, 1.0], dtype=torch.float64)
    even = torch.linspace(0, 1, 301, dtype=torch.float64)
    t = torch.cat([even, jumps - 1e-6, jumps + 1e-6]).clamp(max=1).sort().values
    return t, schedule(t)


@style()
def draw_figure6(labels: Figure6) -> Figure:
    """beta_i(t) above alpha_i(t), one curve for each column, one panel for each b."""
    # Cut short of the map's pale yellow.
    colors = colormaps["viridis"](np.linspace(0, 0.88, labels.columns))
    figure = Figure(figsize=(WIDTH, 3.3), layout="constrained")
    axes = figure.subplots(2, len(labels.b), sharex=True, squeeze=False)
    for (upper, lower), b in zip(axes.T, labels.b, strict=True):
        times, state = column_states(labels, b)
        t = times.numpy()
        for column, color in enumerate(colors):
            name = f"column {column + 1}{' (left)' if column == 0 else ''}"
            beta = state.beta[:, column].numpy()
            upper.fill_between(t, beta, color=color, alpha=0.15, linewidth=0)
            upper.plot(t, beta, color=color)
            lower.plot(t, state.alpha[:, column].numpy(), color=color, label=name)
        upper.set(title=f"$b = {b:g}$", ylim=(0, None))
        lower.set(xlabel="diffusion time $t$", xticks=[0, 0.5, 1], xlim=(0, 1.005), ylim=(0, 1.05))
    axes[0, 0].set_ylabel(r"noising rate $\beta_i(t)$")
    axes[1, 0].set_ylabel(r"signal $\alpha_i(t)$")
    figure.legend(
        *axes[1, 0].get_legend_handles_labels(), loc="outside upper center", ncols=labels.columns
    )
    small_print(
        figure,
        rf"Equation 21 for {labels.columns} columns and data of variance 1, $\gamma$ from "
        rf"{labels.gamma_denoise:g} to {gamma_noise_default(UNIT):.2f}. Where $\beta_i = 0$ a "
        r"column is frozen. The scale of $\beta_i$ grows as $1 / (1 - b)$.",
    )
    return figure
