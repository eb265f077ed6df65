"""Points of a schedule family at which a trained model is evaluated, and their names."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from gud.config.sections.section import Parameters
from gud.errors import InputError

Grid = dict[str, Annotated[list[float], Field(min_length=1)]]
"""The product of the values of each parameter."""


def point_name(parameters: Parameters) -> str:
    """The identifier of a point in file names, logs and tables, e.g. `a=0.4_r=0`.

    Snakemake splits names at commas when it hands a job to a cluster.
    """
    # -0.0 + 0.0 is 0.0.
    return "_".join(f"{key}={parameters[key] + 0.0:g}" for key in sorted(parameters))


def points(grids: Sequence[Grid]) -> dict[str, Parameters]:
    """All points of several grids, without repeats, by identifier such as `a=0.4_r=0`."""
    products = (
        dict(zip(sorted(grid), values, strict=True))
        for grid in grids
        for values in itertools.product(*(grid[key] for key in sorted(grid)))
    )
    return {point_name(point): point for point in products}


def parameters_of_point(name: str) -> Parameters:
    """The inverse of `point_name`."""
    try:
        return {key: float(value) for key, value in (part.split("=") for part in name.split("_"))}
    except ValueError:
        raise InputError(f"point {name!r} must read like a=0.4_r=0") from None
