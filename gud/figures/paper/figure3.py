"""Figure 3: likelihood and sample quality over the softness, for both priors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gud.config.claims import curve_faults, experiments_of, legend_faults
from gud.config.figures import Labels
from gud.config.sections.points import points
from gud.config.sections.section import Name
from gud.config.sections.validation import Fault
from gud.errors import InputError
from gud.figures.drawing.sections import TableFigureSection

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from gud.config.preset import Preset

RING = {
    "label": "standard diffusion",
    "linestyle": "none",
    "marker": "o",
    "markersize": 8,
    "markerfacecolor": "none",
    "markeredgecolor": "black",
    "zorder": 5,
}


class Figure3(TableFigureSection):
    """Curves over a, one for each experiment; what networks they are of names them."""

    experiments: list[Name]

    title = "Figure 3: likelihood and sample quality over softness"
    caption = (
        "Likelihood and sample quality against the inverse softness a; one network for each curve. "
        "Standard diffusion is a = 1, unwhitened."
    )
    family = "soft_conditioning"

    def claims(self, preset: Preset) -> Iterator[Fault]:
        made = experiments_of(self, preset)
        yield from curve_faults(made)
        for name, experiment in made.items():
            if not any(point["r"] == 0 for point in points(experiment.nll.grids).values()):
                yield (), f"needs points in experiments.{name}.nll.grids at r = 0"
        if not any(experiment.quality.grids for experiment in made.values()):
            yield (), f"draws sample quality, but quality.grids of {', '.join(made)} are empty"
        yield from legend_faults(made, names_seeds=True)

    def draw(self, source: pd.DataFrame, labels: Labels) -> Figure:
        """NLL (left) and sample quality (right) over a, a curve for each experiment.

        The bars of the NLL are the errors of the difference to a = 1 on the same images, which is
        what tells the points of a curve apart; the error that they share is in the small print.
        """
        import pandas as pd
        from matplotlib.figure import Figure

        from gud.figures.drawing.curves import choices_note, curves_of, points_of
        from gud.figures.drawing.style import A_LABEL, NLL_LABEL, WIDTH, small_print
        from gud.report.columns import scale_note

        shown = points_of(source, self.experiments)
        curves = curves_of(shown, "experiment")
        metrics = shown.get("fid_metric", pd.Series(dtype=str)).dropna().unique()
        if len(metrics) != 1:
            raise InputError(f"figure3 needs one metric in column fid_metric, not {list(metrics)}")
        figure = Figure(figsize=(WIDTH, 2.7), layout="constrained")
        left, right = figure.subplots(1, 2, sharex=True)
        shared: list[str] = []
        unpaired: list[str] = []
        for curve in curves:
            nll = curve.points.dropna(subset="nll_bits_per_dim")
            quality = curve.points.dropna(subset="fid")
            paired = nll.nll_minus_standard_stderr.notna().all()
            bars = nll.nll_minus_standard_stderr if paired else nll.nll_stderr
            left.errorbar(nll.a, nll.nll_bits_per_dim, bars, label=curve.label, **curve.look)
            right.errorbar(
                quality.a,
                quality.fid,
                quality.fid_stderr.fillna(0),
                label=curve.label,
                **curve.look,
            )
            name = curve.label.split()[0]
            if paired:
                shared += [f"±{error:.3f} ({name})" for error in nll[nll.a == 1].nll_stderr]
            else:
                unpaired.append(name)
        standard = shown[~shown.whitened.astype(bool) & (shown.a == 1)]
        for axis, name in ((left, "nll_bits_per_dim"), (right, "fid")):
            if len(standard):
                axis.plot(standard.a, standard[name], **RING)
            axis.set_xlabel(A_LABEL)
        left.set_ylabel(NLL_LABEL)
        right.set_ylabel(metrics[0])
        figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=3)
        small_print(
            figure,
            f"{labels.data_note} {choices_note(shown)} {_nll_note(shown, shared, unpaired)} "
            f"{scale_note(shown)} "
            f"{_quality_note(shown)}",
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
    note += "; bars: standard error over both." if rows.fid_stderr.notna().any() else "."
    return f"{note} {_sampler_note(rows)}"


def _sampler_note(rows: pd.DataFrame) -> str:
    """What the sampler itself does to the variances, at least and at most over the points."""
    if "sampler_variance_bias" not in rows or rows.sampler_variance_bias.isna().all():
        return ""
    bias = rows.sampler_variance_bias.round(3) + 0.0  # no negative zero
    change = f"{bias.min():+.1%} to {bias.max():+.1%}" if bias.any() else "less than 0.1%"
    names = " or ".join(rows.sampler.unique()).replace("_", " ")
    return (
        f"The sampler alone ({names}), given the exact score of Gaussian data, changes the "
        f"variance of their components by {change} on average."
    )


def _counts(column: pd.Series) -> str:
    """The distinct counts in a column."""
    return " or ".join(f"{int(count):,}" for count in sorted(column.dropna().unique()))
