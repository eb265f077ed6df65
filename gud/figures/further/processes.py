"""Processes at the same noise levels: sample quality over softness, and over friction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gud.config.claims import experiments_of
from gud.config.figures import Labels
from gud.config.sections.points import points
from gud.config.sections.section import Name
from gud.config.sections.validation import Fault
from gud.errors import InputError
from gud.figures.drawing.sections import TableFigureSection

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from gud.config.preset import Preset


class Processes(TableFigureSection):
    """Experiments that differ in their process alone."""

    experiments: list[Name]

    title = "Processes compared: sample quality over softness and friction"
    caption = (
        "Sample quality of networks that differ in the process alone, at the same number of "
        "evaluations: against the inverse softness a, if there are several, and for standard "
        "diffusion against the friction Gamma of the position."
    )

    def claims(self, preset: Preset) -> Iterator[Fault]:
        made = experiments_of(self, preset)
        first, *others = made.values()
        several = any(len(points(one.quality.grids)) > 1 for one in made.values())
        if several and first.schedule.name != "soft_conditioning":
            yield (), f"draws several points over a, which {first.schedule.name} does not have"
        for key, experiment in made.items():
            if not experiment.quality.grids:
                yield (), f"draws sample quality, but experiments.{key}.quality.grids is empty"
        for other in others:
            for what in ("data", "basis", "prior", "schedule", "training", "preconditioning"):
                if getattr(first, what) != getattr(other, what):
                    yield (), f"says that processes alone differ, but {what} differs as well"
            if first.quality.sampling != other.quality.sampling:
                yield (), "says that processes alone differ, but quality.sampling differs as well"

    def draw(self, source: pd.DataFrame, labels: Labels) -> Figure:
        """FD over a (left), and over Gamma for standard diffusion; bars are standard errors."""
        import pandas as pd
        from matplotlib.figure import Figure

        from gud.figures.drawing.curves import error_bars, process_name
        from gud.figures.drawing.notes import rows_of
        from gud.figures.drawing.style import A_LABEL, COLUMN_WIDTH, OKABE_ITO, WIDTH, small_print
        from gud.report.parameters import is_standard

        if missing := [name for name in ("process", "Gamma", "matching") if name not in source]:
            raise InputError(f"the table has no column {missing[0]}: make it again")
        shown = pd.concat([rows_of(source, name, "") for name in self.experiments])
        shown = shown.dropna(subset="fid")
        scanned = [name for name, own in shown.groupby("experiment", sort=False) if len(own) > 1]
        width = WIDTH if scanned else COLUMN_WIDTH
        figure = Figure(figsize=(width, 2.7), layout="constrained")
        *left, right = figure.subplots(1, 2 if scanned else 1, squeeze=False)[0]
        for axis in left:
            for name, color in zip(self.experiments, OKABE_ITO, strict=False):
                own = shown[shown.experiment == name]
                if name in scanned:
                    own = own.sort_values("a")
                    look = {"label": process_name(own.iloc[0]), "color": color, "marker": "o"}
                    error_bars(axis, own.a, own, **look)
            axis.set_xlabel(A_LABEL)
            axis.set_ylabel(shown.fid_metric.iloc[0])
            axis.legend()
        _over_friction(right, shown[is_standard(shown)])
        right.set_ylabel(shown.fid_metric.iloc[0])
        first = shown.iloc[0]
        small_print(
            figure,
            f"{labels.data_note} The same network, training and noise levels for every process; "
            f"samples by {first.sampler.replace('_', ' ')} in "
            f"{' or '.join(str(count) for count in sorted(shown.sampler_evaluations.unique()))} "
            f"network evaluations. {int(first.fid_images):,} samples against "
            f"{int(first.fid_reference_images):,} {first.fid_reference} images; bars: standard "
            "error over both, not over trainings. Over friction: standard diffusion.",
            labels.stand_in_note,
        )
        return figure


def _over_friction(axis: Axes, standard: pd.DataFrame) -> None:
    """Gamma on a scale that keeps 0; processes without it as bands of one standard error."""
    from gud.figures.drawing.curves import error_bars, process_name
    from gud.figures.drawing.style import OKABE_ITO

    rows = standard.dropna(subset="Gamma").sort_values("Gamma")
    places = {gamma: place for place, gamma in enumerate(sorted(rows.Gamma.unique()))}
    for matching, color in (("hybrid", OKABE_ITO[2]), ("denoising", OKABE_ITO[4])):
        own = rows[rows.matching == matching]
        if len(own):
            label = f"{matching} score matching"
            error_bars(axis, own.Gamma.map(places), own, label=label, color=color, marker="s")
    for _, row in standard[standard.Gamma.isna()].iterrows():
        error = 0.0 if row.fid_stderr != row.fid_stderr else row.fid_stderr
        axis.axhspan(
            row.fid - error,
            row.fid + error,
            color=OKABE_ITO[0],
            alpha=0.25,
            label=process_name(row),
        )
    axis.set_xticks(range(len(places)), [f"{gamma:g}" for gamma in places])
    axis.set_xlabel(r"friction of the position $\Gamma$")
    axis.legend()
