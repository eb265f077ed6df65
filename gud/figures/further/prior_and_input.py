"""Priors against what the networks see, over training seeds: what of Figure 3 is due to which."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from gud.config.claims import curve_faults, experiments_of, legend_faults
from gud.config.figures import Labels
from gud.config.leaves import differing
from gud.config.sections.experiments import Experiment
from gud.config.sections.section import Name
from gud.config.sections.validation import Fault
from gud.errors import InputError
from gud.figures.drawing.sections import TableFigureSection

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from gud.config.preset import Preset
    from gud.figures.drawing.curves import Curve

EFFECTS = (
    ("prior", "whitened", "variance-matching $-$ isotropic"),
    ("network_space", "network_space", "whitened $-$ images seen"),
)
"""A factor, the column of its levels, and what the difference between these is called."""


class PriorAndInput(TableFigureSection):
    """Priors against what networks see, over all training seeds of the experiments."""

    experiments: list[Name]

    title = "Priors against what the networks see, over training seeds"
    caption = (
        "Likelihood and sample quality over the inverse softness a for both priors, with networks "
        "that see the original or the whitened images, over training seeds; and what each of the "
        "two choices changes."
    )
    family = "soft_conditioning"
    all_seeds = True

    def claims(self, preset: Preset) -> Iterator[Fault]:
        made = experiments_of(self, preset)
        yield from curve_faults(made)
        yield from legend_faults(made, names_seeds=False)
        pairs = itertools.combinations(map(_choices, made.values()), 2)
        if not any(set(differing(*pair)) in ({"prior"}, {"network_space"}) for pair in pairs):
            yield ("experiments",), "must name two that differ in prior or network_space alone"

    def draw(self, source: pd.DataFrame, labels: Labels) -> Figure:
        """NLL and sample quality over a, and the difference that each choice makes to the NLL.

        Bars of the curves are standard errors over the training seeds. Those of the differences
        take seeds and test images together; see `paired`.
        """
        import pandas as pd
        from matplotlib.figure import Figure

        from gud.figures.drawing.curves import choices_note, curves_of, points_of
        from gud.figures.drawing.style import A_LABEL, NLL_LABEL, WIDTH, logarithmic, small_print

        shown = points_of(source, self.experiments)
        curves = curves_of(shown, "group")
        figure = Figure(figsize=(WIDTH, 3.2), layout="constrained")
        left, middle, right = figure.subplots(1, 3, width_ratios=[1, 1, 1.15])
        metrics = shown.get("fid_metric", pd.Series(dtype=str)).dropna().unique()
        for axis, name in ((left, "nll_bits_per_dim"), (middle, "fid")):
            for curve in curves:
                if name in curve.points:
                    draw_over_seeds(axis, curve, name)
            axis.set_xlabel(A_LABEL)
        left.set_ylabel(NLL_LABEL)
        middle.set_ylabel(" or ".join(metrics) or "sample quality")
        logarithmic(middle)
        draw_effects(right, curves)
        curve_legend, effect_legend = (one.get_legend_handles_labels() for one in (left, right))
        figure.legend(*curve_legend, loc="outside upper left", ncols=2, fontsize=6)
        figure.legend(*effect_legend, loc="outside upper right", fontsize=6)
        seeds = sorted(shown.seed.unique())
        small_print(
            figure,
            f"{labels.data_note} {choices_note(shown)} Training seeds {', '.join(map(str, seeds))} "
            "(dots), all evaluated on the same images and noise. Left and middle: bars are the "
            "standard error over the seeds. Right: differences of the NLL on the same images "
            "between networks of the same seed; bars are the standard error over seeds and images.",
            labels.stand_in_note,
        )
        return figure


def _choices(experiment: Experiment) -> dict[str, object]:
    """What made the network of an experiment."""
    training = experiment.training.model_dump(mode="json")
    made = {"data": experiment.data, "seed": experiment.seed, "training": training}
    return experiment.model().model_dump(mode="json") | made


def draw_over_seeds(axis: Axes, curve: Curve, name: str) -> None:
    """The mean over seeds with its standard error, and each seed as a dot."""
    points = curve.points.dropna(subset=name)
    if points.empty:
        return
    over = points.groupby("a")[name].agg(["mean", "sem"])
    axis.errorbar(over.index, over["mean"], over["sem"].fillna(0), label=curve.label, **curve.look)
    if (points.groupby("a").size() > 1).any():
        axis.plot(points.a, points[name], ".", color=curve.look["color"], markersize=2, alpha=0.6)


def draw_effects(axis: Axes, curves: list[Curve]) -> None:
    """The difference that each factor makes at each level of the other, over the values of a."""
    import numpy as np

    from gud.figures.drawing.seeds import paired
    from gud.figures.drawing.style import A_LABEL, GREY

    series = []
    for factor, levels, title in EFFECTS:
        for curve in curves:
            column = f"nll_minus_other_{factor}"
            if column not in curve.points or curve.points[levels].iloc[0] not in (True, "whitened"):
                continue
            rows = curve.points.dropna(subset=column)
            if len(rows):
                series.append((factor, title, curve, rows))
    if not series:
        raise InputError("no two experiments of the table differ in prior or network_space alone")
    values = sorted({a for *_, rows in series for a in rows.a})
    offsets = np.linspace(-0.27, 0.27, len(series)) if len(series) > 1 else np.zeros(1)
    for offset, (factor, title, curve, rows) in zip(offsets, series, strict=True):
        column = f"nll_minus_other_{factor}"
        of = {a: paired(own[column], own[f"{column}_stderr"]) for a, own in rows.groupby("a")}
        at = [values.index(a) + offset for a in of]
        mean, error = np.transpose(list(of.values()))
        other = _other(factor, curve)
        axis.errorbar(at, mean, error, label=f"{title} ({other})", **_mark(factor, curve))
    axis.axhline(0, color=GREY, linewidth=0.6)
    axis.set_xticks(range(len(values)), [f"{a:g}" for a in values])
    axis.set_xlabel(A_LABEL)
    axis.set_ylabel("difference (bits/dim)")


def _other(factor: str, curve: Curve) -> str:
    """The level of the other factor, at which a difference is taken."""
    first = curve.points.iloc[0]
    if factor == "prior":
        return "images seen" if first.network_space == "image" else "whitened seen"
    return "isotropic" if curve.isotropic else "variance-matching"


def _mark(factor: str, curve: Curve) -> dict[str, Any]:
    look = dict(curve.look) | {"linestyle": "none"}
    if factor == "prior":
        look |= {"color": "black", "marker": "D", "markersize": 3.5}
        filled = curve.points.network_space.iloc[0] == "image"
        look["markerfacecolor"] = "black" if filled else "white"
    return look
