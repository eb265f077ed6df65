"""Curves of experiments, whose legend follows from what a table says of the networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from gud.config.sections.processes import BY_NAME
from gud.errors import InputError
from gud.figures.drawing.notes import rows_of
from gud.figures.drawing.style import BLUE, GREY, VERMILION

PRIORS = {False: "unwhitened (isotropic prior)", True: "whitened (variance-matching prior)"}
PRIORS_IN_SHORT = {False: "isotropic prior", True: "variance-matching prior"}
"""Where more is to be told, and whitened may also be what the network sees."""
CHOICES = {
    "network_space": {"image": "sees images", "whitened": "sees whitened images"},
    "preconditioning": {"none": "no preconditioning", "gaussian": "Gaussian preconditioning"},
}
"""What figures call the choices behind a network, besides the prior."""
RANGES = {
    "common": "Both priors over the same range of log SNR.",
    "auto": "Each prior over its own range of log SNR.",
}


def process_name(row: pd.Series) -> str:
    """What figures call the process in a row of a table."""
    section = BY_NAME[row.process]
    name = section.title
    if "Gamma" in section.model_fields:
        name += rf", $\Gamma = {row.Gamma:g}$"
    return name + (", DSM" if row.matching == "denoising" else "")


def error_bars(axis: Axes, x: Any, rows: pd.DataFrame, **look: Any) -> None:
    """Sample qualities with their standard errors."""
    axis.errorbar(x, rows.fid, rows.fid_stderr.fillna(0), capsize=1.8, **look)


@dataclass(frozen=True)
class Curve:
    """The points of one experiment or, if they are put together, of its networks of all seeds.

    Args:
        label: names the prior, and the choices in which the curves of a figure differ.
        points: rows of the table at r = 0, by a.
        look: keywords of matplotlib's `errorbar`.
    """

    label: str
    points: pd.DataFrame
    look: dict[str, Any]

    @property
    def isotropic(self) -> bool:
        return not self.points.whitened.iloc[0]


def points_of(table: pd.DataFrame, experiments: Sequence[str]) -> pd.DataFrame:
    """The points of experiments at r = 0, if the table says what a legend needs."""
    needed = ("group", "seed", "whitened", *CHOICES, "gamma_noise")
    if missing := [name for name in needed if name not in table]:
        raise InputError(f"the table has no column {missing[0]}: make it again")
    points = pd.concat([rows_of(table, name, "ar") for name in dict.fromkeys(experiments)])
    return points[points.r == 0].sort_values(["a", "seed"], kind="stable")


def curves_of(points: pd.DataFrame, by: str) -> list[Curve]:
    """One curve for each value of the column `by`, which is `experiment` or `group`.

    Colours tell priors apart, open marks and dashes the networks that see whitened images, and grey
    those without preconditioning where there are others.

    Raises:
        InputError: curves are made of networks that differ, or a legend would not tell them apart.
    """
    differ = [name for name in CHOICES if points[name].nunique() > 1]
    curves = []
    for name, own in points.groupby(by, sort=False):
        first = own.iloc[0]
        if any(own[key].nunique() > 1 for key in ("whitened", *CHOICES)):
            raise InputError(f"the networks of {name} differ by more than the seed")
        prior = (PRIORS_IN_SHORT if differ else PRIORS)[bool(first.whitened)]
        words = [prior, *(CHOICES[key][first[key]] for key in differ if first[key] != "gaussian")]
        if by == "experiment" and points.seed.nunique() > 1:
            words.append(f"seed {first.seed}")
        look = _look(first, grey="preconditioning" in differ)
        curves.append(Curve(", ".join(words), own, look))
    labels = [curve.label for curve in curves]
    if len(set(labels)) < len(labels):
        names = ", ".join(points[by].unique())
        raise InputError(f"a legend would not tell {names} apart: two are the same but in name")
    return curves


def _look(first: pd.Series, grey: bool) -> dict[str, Any]:
    color = VERMILION if first.whitened else BLUE
    if grey and first.preconditioning == "none":
        color = GREY
    open_marks = first.network_space == "whitened"
    return {
        "color": color,
        "marker": "s" if first.whitened else "o",
        "linestyle": "--" if open_marks else "-",
        "markerfacecolor": "white" if open_marks else color,
        "capsize": 1.8,
    }


def choices_note(points: pd.DataFrame) -> str:
    """What the networks of all curves have in common, which the legend does not say."""
    shared = [
        words[points[name].iloc[0]] for name, words in CHOICES.items() if points[name].nunique() < 2
    ]
    note = f"Every network {' with '.join(shared)}." if len(shared) == 2 else ""
    if len(shared) == 1:
        note = f"Every network: {shared[0]}."
    if points.preconditioning.nunique() > 1:
        note += f" {CHOICES['preconditioning']['gaussian']} where nothing else is said."
    if points.whitened.nunique() > 1 and points.gamma_noise.nunique() < 2:
        given = str(points.gamma_noise.iloc[0])
        note += " " + RANGES.get(given, f"Both priors with gamma_noise = {given}.")
    elif points.gamma_noise.nunique() > 1:
        note += " The ranges of log SNR differ."
    return note.strip()
