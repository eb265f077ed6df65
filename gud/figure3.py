"""Figure 3: likelihood and sample quality over the softness, for both priors."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from gud import preset
from gud.errors import InputError
from gud.figure_style import (
    A_LABEL,
    BLUE,
    NLL_LABEL,
    VERMILION,
    WIDTH,
    Labels,
    rows_of,
    small_print,
    style,
)

RING = {
    "label": "standard diffusion",
    "linestyle": "none",
    "marker": "o",
    "markersize": 8,
    "markerfacecolor": "none",
    "markeredgecolor": "black",
    "zorder": 5,
}


class Figure3(preset.Figure3, Labels):
    pass


@style()
def draw_figure3(table: pd.DataFrame, labels: Figure3) -> Figure:
    """NLL (left) and sample quality (right) over a, for both priors.

    The bars of the NLL are the errors of the difference to a = 1 on the same images, which is what
    tells the points of a curve apart; the error that they share is in the small print.
    """
    curves = (
        ("unwhitened (isotropic prior)", labels.isotropic, BLUE, "o"),
        ("whitened (variance-matching prior)", labels.variance_matching, VERMILION, "s"),
    )
    shown = table[table.experiment.isin([labels.isotropic, labels.variance_matching])]
    metrics = shown.get("fid_metric", pd.Series(dtype=str)).dropna().unique()
    if len(metrics) != 1:
        raise InputError(f"figure3 needs one metric in column fid_metric, not {list(metrics)}")
    figure = Figure(figsize=(WIDTH, 2.7), layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True)
    shared: list[str] = []
    unpaired: list[str] = []
    for label, experiment, color, marker in curves:
        points = rows_of(table, experiment, "ar")
        points = points[points.r == 0].sort_values("a")
        nll, quality = points.dropna(subset="nll_bits_per_dim"), points.dropna(subset="fid")
        paired = nll.nll_minus_standard_stderr.notna().all()
        bars = nll.nll_minus_standard_stderr if paired else nll.nll_stderr
        curve = {"label": label, "color": color, "marker": marker, "capsize": 1.8}
        left.errorbar(nll.a, nll.nll_bits_per_dim, bars, **curve)
        right.errorbar(quality.a, quality.fid, quality.fid_stderr.fillna(0), **curve)
        name = label.split()[0]
        if paired:
            shared += [f"±{error:.3f} ({name})" for error in nll[nll.a == 1].nll_stderr]
        else:
            unpaired.append(name)
    standard = rows_of(table, labels.isotropic, "ar").query("a == 1 and r == 0")
    for axis, name in ((left, "nll_bits_per_dim"), (right, "fid")):
        axis.plot(standard.a, standard[name], **RING)
        axis.set_xlabel(A_LABEL)
    left.set_ylabel(NLL_LABEL)
    right.set_ylabel(metrics[0])
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=3)
    small_print(
        figure,
        f"{labels.data_note} {_nll_note(shown, shared, unpaired)} {_quality_note(shown)}",
        labels.stand_in_note,
    )
    return figure


def _nll_note(shown: pd.DataFrame, shared: list[str], unpaired: list[str]) -> str:
    note = f"Left: {_counts(shown.images)} test images."
    if shared:
        note += (
            " Bars: standard error of the difference to $a = 1$ on the same images; the points of "
            f"a curve share a further error of {', '.join(shared)} bits/dim."
        )
    if unpaired:
        note += f" Bars ({', '.join(unpaired)}): standard error over the images."
    return note


def _quality_note(shown: pd.DataFrame) -> str:
    rows = shown.dropna(subset="fid")
    note = (
        f"Right: {_counts(rows.fid_images)} samples against {_counts(rows.fid_reference_images)} "
        f"{rows.fid_reference.iloc[0]} images"
    )
    return note + ("; bars: standard error." if rows.fid_stderr.notna().any() else ".")


def _counts(column: pd.Series) -> str:
    """The distinct counts in a column."""
    return " or ".join(f"{int(count):,}" for count in sorted(column.dropna().unique()))
