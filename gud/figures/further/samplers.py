"""Samplers of the same networks: sample quality against network evaluations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gud.config.figures import Labels
from gud.figures.drawing.sections import TableFigureSection
from gud.figures.further.sde_and_ode import SdeAndOde

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

NAMES = {
    ("euler_maruyama", "uniform"): "EM, uniform steps",
    ("euler_maruyama", "quadratic"): "EM, quadratic steps",
    ("sscs", "uniform"): "SSCS, uniform steps",
    ("sscs", "quadratic"): "SSCS, quadratic steps",
    ("sscs2", "uniform"): "SSCS of order 2",
    ("exponential_ode3", "active"): "exponential, ODE",
    ("exponential_sde2", "active"): "exponential, SDE",
    ("exponential_mixed2", "active"): "exponential, ODE then SDE",
    ("corrected_ode3", "active"): "corrected, ODE",
    ("ode", "uniform"): "ODE, adaptive steps",
}
"""What the legend calls a method and a grid; others go by the names that presets give."""


class Samplers(SdeAndOde, TableFigureSection):
    """A panel for each experiment, a curve for each method and grid."""

    title = "Samplers compared: sample quality against network evaluations"
    caption = (
        "Sample quality of the same networks by several samplers, against the number of network "
        "evaluations that each takes."
    )

    def draw(self, source: pd.DataFrame, labels: Labels) -> Figure:
        """FD against network evaluations, a panel for each experiment; bars are standard errors."""
        from matplotlib.figure import Figure

        from gud.figures.drawing.curves import error_bars, process_name
        from gud.figures.drawing.notes import rows_of
        from gud.figures.drawing.style import (
            COLUMN_WIDTH,
            OKABE_ITO,
            WIDTH,
            logarithmic,
            small_print,
        )

        width = WIDTH if len(self.experiments) > 1 else COLUMN_WIDTH
        figure = Figure(figsize=(width, 3.1), layout="constrained")
        panels = len(self.experiments)
        axes = figure.subplots(1, panels, sharex=True, sharey=True, squeeze=False)[0]
        shown = [(one.method, one.grid) for one in self.methods]
        looks: dict[Any, dict[str, Any]] = {
            key: {"color": color, "marker": "s" if key[0] == "ode" else "o"}
            for key, color in zip(dict.fromkeys(shown), OKABE_ITO, strict=False)
        }
        ticks = sorted({steps for one in self.methods for steps in one.steps})
        for axis, name in zip(axes, self.experiments, strict=True):
            rows = rows_of(source, name, "")
            for (method, grid), look in looks.items():
                own = rows[(rows.sampler == method) & (rows.sampler_grid == grid)]
                if len(own):
                    own, label = own.sort_values("sampler_evaluations"), f"{method}, {grid}"
                    look = look | {"label": NAMES.get((method, grid), label.replace("_", " "))}
                    error_bars(axis, own.sampler_evaluations, own, **look)
            axis.set(xscale="log", xlabel="network evaluations")
            logarithmic(axis)
            axis.set_xticks(ticks, map(str, ticks))
            axis.minorticks_off()
            axis.set_title(process_name(rows.iloc[0]))
        named = [axis.get_legend_handles_labels() for axis in axes]
        handles = {label: handle for pair in named for handle, label in zip(*pair, strict=True)}
        figure.legend(handles.values(), handles, loc="outside upper center", ncols=panels + 1)
        first = source.iloc[0]
        axes[0].set_ylabel(first.fid_metric)
        small_print(
            figure,
            f"{labels.data_note} One network in each panel, the same draws from the prior by all "
            f"samplers. {int(first.fid_images):,} samples against "
            f"{int(first.fid_reference_images):,} {first.fid_reference} images; bars: standard "
            "error over both, not over trainings.",
            labels.stand_in_note,
        )
        return figure
