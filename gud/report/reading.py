"""Tables and sample qualities, checked as they are read."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import ConfigDict, Field

from gud.config.sections.section import Positive, Section
from gud.config.sections.validation import validate
from gud.errors import InputError
from gud.provenance import Record, checked_record, inputs_of
from gud.report.differences import DIFFERENCE_COLUMNS
from gud.report.parameters import PARAMETER_NAMES

NEEDED = ("experiment", "nll_bits_per_dim", "nll_minus_standard_stderr")
NUMBERS = (
    "seed",
    *PARAMETER_NAMES,
    "nll_bits_per_dim",
    "nll_stderr",
    "nll_probe_stderr",
    *DIFFERENCE_COLUMNS,
    "nll_noised_bits_per_dim",
    "nll_noised_stderr",
    "bound_bits_per_dim",
    "bound_stderr",
    "images",
    "probes",
    "renewals",
    "network_evaluations",
    "seconds",
    "fid",
    "fid_stderr",
    "fid_images",
    "fid_reference_images",
    "kid",
    "kid_stderr",
    "kid_images",
    "precision",
    "recall",
    "quality_seconds",
)
"""Columns of tables that hold a finite number or nothing."""


class Replicates(Section):
    """A distance without each group of samples, and without each of reference images."""

    samples: list[float]
    reference: list[float]


class MeasuredQuality(Section):
    """What `gud.evaluate.quality` writes, as far as tables build on it; further keys are free."""

    model_config = ConfigDict(extra="allow")

    metric: str
    fid: float
    fid_stderr: Annotated[float, Field(ge=0)] | None
    images: Positive
    reference: str
    reference_images: Positive
    extractor: str
    seconds: Annotated[float, Field(ge=0)]
    device: str
    errors_cover: str | None = None
    sampler_variance_bias: float | None = None
    sampler_variance_rms: float | None = None
    kid: float | None = None
    kid_stderr: Annotated[float, Field(ge=0)] | None = None
    precision: float | None = None
    recall: float | None = None
    kid_images: Positive | None = None
    fid_replicates: Replicates | None = None
    kid_replicates: Replicates | None = None


def read_quality(path: Path) -> MeasuredQuality:
    """The sample quality in a file; `InputError` if it is none or its distance is not a number."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read as JSON: {error}") from None
    return validate(MeasuredQuality, found, str(path))


def read_sampled_quality(path: Path) -> tuple[MeasuredQuality, Record]:
    """A sample quality, and the record of the samples that it was measured on, if it still is."""
    inputs = inputs_of(path, checked_record(path), (".npz",))
    samples = [record for _, record in inputs if "sampling" in record["settings"]]
    if len(samples) != 1:
        raise InputError(f"{path}.json: inputs hold {len(samples)} sets of samples, must be one")
    return read_quality(path), samples[0]


def read_scale(path: Path) -> pd.DataFrame:
    """A table of `gud.evaluate.scale`, by model; `InputError` if it is none."""
    try:
        table = pd.read_csv(path).set_index("model")
        found = table[["bits_per_dim", "stderr"]].astype("float64")
    except (OSError, ValueError, KeyError, pd.errors.ParserError) as error:
        raise InputError(f"scale {path} cannot be read: {error}") from None
    # The images of a single region have no standard error.
    if not np.isfinite(found.bits_per_dim).all() or np.isinf(found.stderr).any():
        raise InputError(f"scale {path} holds values that are not finite")
    return found


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < math.inf


def read_table(path: Path, needed: tuple[str, ...] = NEEDED) -> pd.DataFrame:
    """A table of `gud.report.tables`.

    Args:
        needed: columns that it must have.

    Raises:
        InputError: it is no such table, holds no point, or text or an infinity for a number.
    """
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise InputError(f"table {path} cannot be read: {error}") from None
    if missing := [name for name in needed if name not in table]:
        raise InputError(f"table {path} has no column {missing[0]}")
    if table.empty:
        raise InputError(f"table {path} holds no point")
    if table.experiment.isna().any():
        raise InputError(f"table {path} has a row without an experiment")
    for name in table.columns.intersection(list(NUMBERS)):
        if wrong := [value for value in table[name].dropna() if not _finite(value)]:
            raise InputError(
                f"table {path}: {name} = {str(wrong[0])[:60]!r} is not a finite number"
            )
    if "whitened" in table and table.whitened.dtype != bool:
        raise InputError(
            f"table {path}: whitened = {table.whitened.iloc[0]!r} is not True or False"
        )
    return table
