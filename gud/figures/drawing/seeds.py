"""What figures tell of networks that differ in the training seed alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from gud.errors import InputError
from gud.figures.drawing.notes import BAND_NOTE, highest_note, rows_of

OVER_SEEDS = ", standard error over seeds and images, without the choice of the point"
"""Of differences `nll_minus_standard` of `mean_over_seeds`."""


def paired(values: pd.Series, errors: pd.Series) -> tuple[float, float]:
    """Mean over seeds of a difference, and its standard error over seeds and images.

    The images are the same for all seeds, so that their part of the error does not shrink with the
    number of seeds: error^2 = (mean paired error over images)^2 + variance over seeds / seeds.

    Args:
        values: the difference by seed.
        errors: the standard error of each over the images.
    """
    between = values.var(ddof=1) / len(values) if len(values) > 1 else 0.0
    return float(values.mean()), math.sqrt(errors.mean() ** 2 + between)


def networks(
    table: pd.DataFrame, experiments: Sequence[str], parameters: Sequence[str]
) -> pd.DataFrame:
    """The points of the networks of one experiment, all of which must have the parameters."""
    found = [rows_of(table, name, parameters) for name in experiments]
    return pd.concat(found, ignore_index=True)


def mean_over_seeds(rows: pd.DataFrame, parameters: Sequence[str]) -> pd.DataFrame:
    """One row for each point; those of a single network as they are.

    The mean over several has the columns `nll_bits_per_dim`, empty where a network lacks the point,
    and `nll_minus_standard` with its `_stderr`.

    Raises:
        InputError: no point has an NLL of all networks.
    """
    made = rows.experiment.unique()
    points = rows if len(made) == 1 else _means(rows, parameters, len(made))
    if points.nll_bits_per_dim.isna().all():
        raise InputError(f"the figure needs an NLL of {', '.join(made)}; the table holds none")
    return points


def _means(rows: pd.DataFrame, parameters: Sequence[str], seeds: int) -> pd.DataFrame:
    means, difference = [], "nll_minus_standard"
    columns = [*parameters, "nll_bits_per_dim", difference, f"{difference}_stderr"]
    for values, own in rows.reindex(columns=columns).groupby(list(parameters)):
        known = own.dropna(subset="nll_bits_per_dim")
        mean, of_standard = math.nan, (math.nan, math.nan)
        if len(known) == seeds:
            mean = known.nll_bits_per_dim.mean()
            of_standard = paired(known[difference], known[f"{difference}_stderr"])
        means.append((*values, mean, *of_standard))
    return pd.DataFrame(means, columns=columns)


def lowest_of_each(rows: pd.DataFrame) -> pd.DataFrame:
    """The point of the lowest NLL of each of several networks; nothing of a single one."""
    known = rows.dropna(subset="nll_bits_per_dim")
    if rows.experiment.nunique() == 1:
        return known[:0]
    return known.loc[known.groupby("experiment", sort=False).nll_bits_per_dim.idxmin()]


def lowest_note(points: pd.DataFrame, parameters: Sequence[str]) -> str:
    """The lowest NLL of `mean_over_seeds`, and how far standard diffusion, or the highest, is."""
    lowest = points.loc[points.nll_bits_per_dim.idxmin()]
    where = ", ".join(f"${name} = {lowest[name]:g}$" for name in parameters)
    note = f"{lowest.nll_bits_per_dim:.3f} bits/dim at {where}"
    error, covers = lowest.get("nll_minus_standard_band"), BAND_NOTE
    if "experiment" not in points:
        error, covers = lowest.nll_minus_standard_stderr, OVER_SEEDS
    if pd.isna(error):
        return note + highest_note(points)
    return (
        f"{note} ({lowest.nll_minus_standard:+.4f} ± {error:.4f} from standard diffusion on the "
        f"same images{covers})"
    )


def seeds_note(rows: pd.DataFrame, marks: str) -> str:
    """Of which networks the means are, and what marks `lowest_of_each`; nothing of a single one."""
    seeds = sorted(rows.seed.unique())
    if len(seeds) == 1:
        return ""
    return (
        f"Means over training seeds {', '.join(map(str, seeds))}, evaluated on the same images and "
        f"noise. {marks}: lowest NLL of each, where it is another point."
    )
