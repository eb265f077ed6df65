"""Schedule parameters in the rows of tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from gud.config.sections.schedules import FAMILIES, standard_parameters
from gud.config.sections.section import Parameters

PARAMETER_NAMES = tuple(sorted({name for family in FAMILIES for name in family.domains}))
"""All schedule parameters, in the order of a table's columns."""


def parameters_of(row: Mapping[str, Any] | pd.Series) -> Parameters:
    """The schedule parameters in a row of a table; those of other families are absent or NaN."""
    names = (name for name in PARAMETER_NAMES if name in row and not pd.isna(row[name]))
    return {name: float(row[name]) for name in names}


def is_standard(points: pd.DataFrame) -> pd.Series:
    """Which rows of a table are standard diffusion."""
    found = [parameters_of(row) for _, row in points.iterrows()]
    return pd.Series([p == standard_parameters(p) for p in found], points.index, dtype=bool)
