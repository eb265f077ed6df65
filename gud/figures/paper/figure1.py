"""Figure 1: noising schedules as paths of two components, and one that was found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from gud.config.claims import experiments_of, pairing_faults
from gud.config.figures import FigureSection, Labels, TableSection
from gud.config.paths import path_file, table_file
from gud.config.sections.points import points
from gud.config.sections.section import Name
from gud.config.sections.validation import Fault
from gud.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import Tensor

    from gud.config.preset import Preset
    from gud.diffusion.schedules import Region

SHADE: dict[str, Any] = {"facecolor": "#56B4E9", "alpha": 0.22, "linewidth": 0}
FOUND = {"s": 1.0}


@dataclass(frozen=True)
class Paths:
    """What the figure shows.

    log_variance: log V of the components of largest and of smallest variance, shape (2,).
    region: that the network is trained for.
    standard, found: levels at the knots of both paths, shape (knots, groups + 1).
    table: likelihoods along the paths, and of the experiment whose network they are of.
    """

    log_variance: Tensor
    region: Region
    standard: Tensor
    found: Tensor
    table: pd.DataFrame


class Figure1(TableSection, FigureSection):
    """An experiment of schedule `free`, and the one whose network its path was found for."""

    experiments: Annotated[list[Name], Field(min_length=2, max_length=2)]

    title = "Figure 1: noising schedules as paths"
    caption = (
        "Noising states of two components along standard diffusion and along the path found on "
        "training images, in the region that the network is trained for; the inverse softness of "
        "each group of components along that path."
    )

    def claims(self, preset: Preset) -> Iterator[Fault]:
        made, (name, network) = experiments_of(self, preset), self.experiments
        found = made[name]
        if found.schedule.name != "free":
            yield (), f"shows a path of schedule free, but that of {name} is {found.schedule.name}"
        elif found.weights_of != network:
            yield (), f"compares {name} with {network}, but its path is of {found.weights_of}"
        elif FOUND not in points(found.nll.grids).values():
            yield (), f"needs the point s = 1 in experiments.{name}.nll.grids"
        for what in pairing_faults(made, name, network):
            yield (), f"compares {name} with {network}, but {what}"

    def references(self) -> dict[str, str]:
        name, network = self.experiments
        return {name: network}

    def sources(self, preset: Preset) -> list[str]:
        return [path_file(self.experiments[0]), table_file(self.key())]

    def read(self, paths: Sequence[Path]) -> Paths:
        """What `gud search` and `gud table` write."""
        from gud.evaluate.search import region_of
        from gud.model import load
        from gud.report.reading import read_table

        file, table = self.only(paths, 2)
        model = load(file)
        schedule, representation = model.settings.schedule, model.representation
        if schedule.name != "free" or schedule.levels is None:
            raise InputError(f"{file} holds no path that was found, but schedule {schedule.name}")
        order = representation.log_data_variance.argsort(descending=True)
        region = region_of(model, schedule)
        return Paths(
            representation.log_variance[order[[0, -1]]],
            region,
            region.standard(schedule.knots),
            region.limits.new_tensor(schedule.levels),
            read_table(table),
        )

    def draw(self, source: Paths, labels: Labels) -> Figure:
        """The paths of two components at left, the slopes of the groups at right."""
        from matplotlib.figure import Figure

        from gud.figures.drawing.style import WIDTH, small_print

        figure = Figure(figsize=(WIDTH, 3.4), layout="constrained")
        left, right = figure.subplots(1, 2)
        draw_plane(left, source)
        draw_slopes(right, source)
        groups = len(source.region.limits) - 1
        small_print(
            figure,
            f"{labels.data_note} Left: the two components of largest and of smallest variance; "
            f"marks are knots. Right: the inverse softness $a$ in each of {groups} groups of "
            "components, in the order of their variances, against the mean level of noise; "
            "standard diffusion is $a = 1$. Shaded: what the network is trained for, with one $a$ "
            "at a time for all groups.",
            measured_note(source.table, *self.experiments),
            labels.stand_in_note,
        )
        return figure


def draw_plane(axis: Axes, paths: Paths) -> None:
    """gamma of the two components along both paths, over those that the family passes through."""
    from matplotlib.patches import Polygon

    from gud.figures.drawing.style import BLUE, VERMILION

    region = paths.region
    steep = [
        region.levels(region.limits.new_full((2, len(region.limits) - 1), a)) for a in region.a
    ]
    corners = [steep[0][0], steep[0][1], steep[1][1], steep[1][0]]
    axis.add_patch(
        Polygon([two_of(paths, level) for level in corners], label="trained region", **SHADE)
    )
    for levels, name, color, marker in (
        (paths.standard, "standard diffusion", "black", ""),
        (paths.found, "found on training images", VERMILION, "o"),
    ):
        x, y = zip(*(two_of(paths, level) for level in levels), strict=True)
        axis.plot(x, y, label=name, color=color, marker=marker, markersize=3)
    axis.set(
        xlabel=r"$\gamma_i$, component of largest variance",
        ylabel=r"$\gamma_i$, component of smallest variance",
    )
    look: dict[str, Any] = {"textcoords": "offset points", "color": BLUE, "ha": "center"}
    for name, knot, place, side in (("data", 0, -4, "top"), ("noise", -1, 4, "bottom")):
        end = two_of(paths, paths.standard[knot])
        axis.annotate(name, end, (0, place), va=side, **look)
    axis.margins(y=0.12)
    axis.legend(loc="upper left")


def two_of(paths: Paths, levels: Tensor) -> tuple[float, float]:
    """gamma of the two components at the levels of one knot."""
    first, last = (paths.log_variance + levels[[0, -1]]).tolist()
    return first, last


def draw_slopes(axis: Axes, paths: Paths) -> None:
    """The inverse softness of each group along the path that was found."""
    import numpy as np
    from matplotlib import colormaps

    slopes = (paths.found.diff(dim=1) / paths.region.limits.diff()).T.numpy()
    level = paths.found.mean(1).numpy()
    # As in Figure 2: cut short of the map's black and pale yellow, large variances bright.
    colors = colormaps["inferno"](np.linspace(0.82, 0.08, len(slopes)))
    for number, (values, color) in enumerate(zip(slopes, colors, strict=True), 1):
        ends = {1: " (largest variances)", len(slopes): " (smallest)"}
        axis.plot(
            level,
            values,
            "o-",
            markersize=3,
            color=color,
            label=f"group {number}{ends.get(number, '')}",
        )
    low, high = paths.region.a
    axis.axhspan(low, high, **SHADE)
    axis.axhline(1.0, color="black")
    axis.set(xlabel=r"mean of $\gamma_i - \log V_i$ over the groups' limits")
    axis.set(ylabel="inverse softness $a$ of a group", ylim=(low - 0.4 * (high - low), None))
    axis.legend(loc="lower left", ncols=2, fontsize=6)


def measured_note(table: pd.DataFrame, found: str, network: str) -> str:
    """What the found path is worth on test images, as far as a table tells."""
    import pandas as pd

    rows = table[table.experiment == found]
    rows = rows[rows.s == 1] if "s" in rows else rows[:0]
    if rows.empty:
        raise InputError(f"the table holds no point s = 1 of {found}")
    row = rows.iloc[0]
    parts = [
        f"{name} {row[column]:+.4f} ± {row[f'{column}_stderr']:.4f}"
        for column, name in (
            ("nll_minus_standard", "NLL, from standard diffusion"),
            ("nll_minus_reference", f"NLL, from the best point of {network}"),
            ("bound_minus_reference", "variational bound, likewise"),
        )
        if not pd.isna(row.get(column))
    ]
    if not parts:
        return ""
    return (
        f"Differences of the found path on {row.images} test images that the search never saw, in "
        f"bits/dim with paired standard errors: {'; '.join(parts)}."
    )
