"""What the small print says of the points in a table."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from gud.errors import InputError

BAND_NOTE = ", a 95 % band for all pairs of points"
"""Of differences `nll_minus_..._band` between points chosen by their NLL."""


def rows_of(table: pd.DataFrame, experiment: str, parameters: Iterable[str]) -> pd.DataFrame:
    """The points of one experiment, all of which must have the parameters."""
    rows = table[table.experiment == experiment]
    if rows.empty:
        raise InputError(
            f"the table holds no point of {experiment}, only {sorted(table.experiment.unique())}"
        )
    for name in parameters:
        if name not in rows or rows[name].isna().any():
            raise InputError(f"the table gives no {name} for the points of {experiment}")
    return rows


def highest_note(points: pd.DataFrame) -> str:
    """How far the highest NLL lies above the lowest, if a table of points tells."""
    highest = points.loc[points.nll_bits_per_dim.idxmax()]
    band = highest.get("nll_minus_best_band")
    if pd.isna(band):
        return ""
    return (
        f"; the highest is {highest.nll_minus_best:.4f} ± {band:.4f} above it on the same "
        f"images{BAND_NOTE}"
    )
