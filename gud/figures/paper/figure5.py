"""Figure 5: likelihood over softness and ordering."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from gud.config.claims import curve_faults, experiments_of, group_faults
from gud.config.figures import Labels
from gud.config.sections.points import points
from gud.config.sections.section import Name
from gud.config.sections.validation import Fault
from gud.figures.drawing.sections import TableFigureSection

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from gud.config.preset import Preset

MARK = {
    "markeredgecolor": "black",
    "markeredgewidth": 0.7,
    "clip_on": False,
    "zorder": 6,
}
AXES = {"a": "inverse softness $a$", "r": "ordering $r$"}


class Figure5(TableFigureSection):
    """An experiment, of all training seeds, and the box that is enlarged."""

    experiments: list[Name]
    box: dict[Literal["a", "r"], tuple[float, float]]

    title = "Figure 5: likelihood over softness and ordering"
    caption = (
        "Likelihood over the inverse softness a and the ordering parameter r in the Fourier basis; "
        "the boxed region enlarged, with the same colours. The black dot is standard diffusion."
    )
    family = "soft_conditioning"
    all_seeds = True

    def claims(self, preset: Preset) -> Iterator[Fault]:
        made = experiments_of(self, preset)
        yield from group_faults(made)
        first, experiment = next(iter(made.items()))
        if experiment.basis.name != "fourier":
            yield (
                (),
                f"shows orderings by frequency, which basis {experiment.basis.name} of "
                f"{first} has none of: take fourier",
            )
        for key in AXES:
            if key not in self.box or not self.box[key][0] < self.box[key][1]:
                yield ("box",), f"= {self.box} must give {key} as [lowest, highest]"
        found = points(experiment.nll.grids).values()
        if not any(
            all(low <= point[key] <= high for key, (low, high) in self.box.items())
            for point in found
        ):
            yield ("box",), f"= {self.box} holds no point of {first}.nll.grids"
        yield from curve_faults(made)
        for parameter in experiment.schedule.ranges:
            if len({point[parameter] for point in found}) < 2:
                where = f"experiments.{first}.nll.grids"
                yield (), f"needs several values of {parameter} in {where}"

    def draw(self, source: pd.DataFrame, labels: Labels) -> Figure:
        """NLL over a and r; the boxed region again at right, with the same colours.

        Each evaluated point colours the part of the plane that is nearest to it: nothing is
        interpolated. The points of the box colour the box, those of the grid around it the rest. A
        point without an NLL leaves its cell blank. Of several networks it is the mean over seeds.
        """
        import numpy as np
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import PowerNorm
        from matplotlib.figure import Figure

        from gud.figures.drawing.cells import coordinates, draw_box, value_range, within
        from gud.figures.drawing.seeds import (
            lowest_note,
            lowest_of_each,
            mean_over_seeds,
            networks,
            seeds_note,
        )
        from gud.figures.drawing.style import NLL_LABEL, WIDTH, small_print
        from gud.report.parameters import is_standard

        rows = networks(source, self.experiments, list(AXES))
        found = mean_over_seeds(rows, list(AXES))
        span = {name: value_range(found[name]) for name in AXES}
        # The square root spreads the colours where they matter, near the lowest NLL.
        norm = PowerNorm(0.5, found.nll_bits_per_dim.min(), found.nll_bits_per_dim.max())
        box = {"a": self.box["a"], "r": self.box["r"]}
        panels = [span, box]
        figure = Figure(figsize=(WIDTH, 3.0), layout="constrained")
        axes = figure.subplots(1, 2)
        left, right = axes
        draw_box(left, right, found, span, box, norm)
        standard, each = found[is_standard(found)], lowest_of_each(rows)
        lowest = found.loc[[found.nll_bits_per_dim.idxmin()]]
        for axis, limits in zip(axes, panels, strict=True):
            for mark, shape, color, size in (
                (standard, "o", "black", 6),
                (lowest, "*", "white", 6),
                (each, "*", "white", 3.5),
            ):
                # An empty mark would still take room in the layout.
                for point in coordinates(mark[within(mark, limits)], limits):
                    axis.plot(*point, shape, markerfacecolor=color, markersize=size, **MARK)
            (x, x_label), (y, y_label) = AXES.items()
            axis.set(xlabel=x_label, ylabel=y_label, xlim=limits[x], ylim=limits[y])
        scale = ScalarMappable(norm, "viridis")
        ticks = norm.inverse(np.linspace(0, 1, 6))
        bar = figure.colorbar(scale, ax=axes, pad=0.02, aspect=30, ticks=ticks, format="%.3f")
        bar.set_label(NLL_LABEL)
        sentences = [
            labels.data_note,
            seeds_note(rows, "Small stars"),
            "" if standard.empty else "Black dot: standard diffusion.",
            f"Star: lowest NLL, {lowest_note(found, list(AXES))}.",
            "A cell is the region nearest to the point evaluated in it (white marks).",
        ]
        small_print(figure, " ".join(filter(None, sentences)), labels.stand_in_note)
        return figure
