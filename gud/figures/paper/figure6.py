"""Figure 6: the column-sequential schedule at several values of its softness."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from gud.config.figures import FigureSection, Labels

if TYPE_CHECKING:
    from jaxtyping import Float
    from matplotlib.figure import Figure
    from torch import Tensor

    from gud.diffusion.noising import NoisingState


class Figure6(FigureSection):
    columns: Annotated[int, Field(ge=2, le=10)]
    b: list[Annotated[float, Field(ge=0, lt=1)]] = Field(min_length=1, max_length=5)
    gamma_denoise: Annotated[float, Field(lt=0)]

    title = "Figure 6: column-wise schedules"
    caption = (
        "Rates and suppression factors of five columns for several b: the larger b, the less the "
        "active times overlap."
    )

    def read(self, paths: Sequence[Path]) -> None:
        self.only(paths, 0)

    def draw(self, source: None, labels: Labels) -> Figure:
        """beta_i(t) above alpha_i(t), one curve for each column, one panel for each b."""
        import numpy as np
        from matplotlib import colormaps
        from matplotlib.figure import Figure

        from gud.figures.drawing.style import WIDTH, small_print

        # Cut short of the map's pale yellow.
        colors = colormaps["viridis"](np.linspace(0, 0.88, self.columns))
        figure = Figure(figsize=(WIDTH, 3.3), layout="constrained")
        axes = figure.subplots(2, len(self.b), sharex=True, squeeze=False)
        for (upper, lower), b in zip(axes.T, self.b, strict=True):
            times, state = self.column_states(b)
            t = times.numpy()
            for column, color in enumerate(colors):
                name = f"column {column + 1}{' (left)' if column == 0 else ''}"
                beta = state.beta[:, column].numpy()
                upper.fill_between(t, beta, color=color, alpha=0.15, linewidth=0)
                upper.plot(t, beta, color=color)
                lower.plot(t, state.alpha[:, column].numpy(), color=color, label=name)
            upper.set(title=f"$b = {b:g}$", ylim=(0, None))
            lower.set(
                xlabel="diffusion time $t$", xticks=[0, 0.5, 1], xlim=(0, 1.005), ylim=(0, 1.05)
            )
        axes[0, 0].set_ylabel(r"noising rate $\beta_i(t)$")
        axes[1, 0].set_ylabel(r"signal $\alpha_i(t)$")
        figure.legend(
            *axes[1, 0].get_legend_handles_labels(), loc="outside upper center", ncols=self.columns
        )
        small_print(
            figure,
            rf"Equation 21 for {self.columns} columns and data of variance 1, $\gamma$ from "
            rf"{self.gamma_denoise:g} to {gamma_noise():.2f}. Where $\beta_i = 0$ a "
            r"column is frozen. The scale of $\beta_i$ grows as $1 / (1 - b)$.",
        )
        return figure

    def column_states(self, b: float) -> tuple[Float[Tensor, " times"], NoisingState]:
        """Times and noising states of equation 21, one component a column, for data of variance 1.

        The times hold both sides of every jump of beta, which is then drawn vertical.
        """
        import torch

        from gud.diffusion.schedules.sequential import column_schedule

        schedule = column_schedule(torch.arange(self.columns), b, self.gamma_denoise, gamma_noise())
        jumps = torch.tensor([*schedule.kinks, 1.0], dtype=torch.float64)
        even = torch.linspace(0, 1, 301, dtype=torch.float64)
        t = torch.cat([even, jumps - 1e-6, jumps + 1e-6]).clamp(max=1).sort().values
        return t, schedule(t)


def gamma_noise() -> float:
    """What section 5.1 asks for data of variance 1, log V = 0."""
    from gud.diffusion.schedules import gamma_noise_default

    return gamma_noise_default(0.0)
