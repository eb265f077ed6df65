"""Artefacts of single points: the likelihood with its errors, and records that fit their files."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int64

from gud.errors import InputError
from gud.provenance import read_record, sha256
from gud.settings import PARAMETERS, STANDARD, Parameters

PARAMETER_NAMES = tuple(sorted({name for family in PARAMETERS.values() for name in family}))
"""All schedule parameters, in the order of a table's columns."""


def parameters_of(row: Mapping[str, Any] | pd.Series) -> Parameters:
    """The schedule parameters in a row of a table; those of other families are absent or NaN."""
    return {name: row[name] for name in PARAMETER_NAMES if name in row and not pd.isna(row[name])}


def standard_parameters(names: Iterable[str]) -> Parameters | None:
    """Where the schedule family with these parameters is standard diffusion; None if none has."""
    wanted = set(names)
    return next((point for point in STANDARD.values() if point.keys() == wanted), None)


def is_standard(points: pd.DataFrame) -> pd.Series:
    """Which rows of a table are standard diffusion."""
    found = [parameters_of(row) for _, row in points.iterrows()]
    return pd.Series([p == standard_parameters(p) for p in found], points.index, dtype=bool)


@dataclass(frozen=True)
class LikelihoodPoint:
    """The likelihood artefact of one point.

    Args:
        path: of the artefact.
        record: its provenance record.
        bits_per_dim: negative log-likelihood, shape (images, probes).
        index: which test images, shape (images,).
        evaluations: network evaluations of the ODE for each batch of images, shape (batches,).
    """

    path: Path
    record: dict[str, Any]
    bits_per_dim: Float[np.ndarray, "images probes"]
    index: Int64[np.ndarray, " images"]
    evaluations: Int64[np.ndarray, " batches"]

    @property
    def per_image(self) -> Float[np.ndarray, " images"]:
        return self.bits_per_dim.mean(1)

    @property
    def estimator(self) -> dict[str, Any]:
        """The settings that all points of one experiment must share to be compared."""
        settings = self.record["settings"]["likelihood"]
        return {key: settings[key] for key in settings if key not in ("images", "batch_size")}


def standard_error(values: Float[np.ndarray, " images"]) -> float:
    """Standard error of the mean of independent values; NaN for fewer than two."""
    return float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else math.nan


def probe_standard_error(bits_per_dim: Float[np.ndarray, "images probes"]) -> float:
    """Part of the standard error of the mean that more Hutchinson probes would remove.

    NaN for a single probe, which cannot tell.
    """
    images, probes = bits_per_dim.shape
    if probes < 2:
        return math.nan
    return math.sqrt(bits_per_dim.var(axis=1, ddof=1).sum() / probes) / images


def paired_difference(point: LikelihoodPoint, other: LikelihoodPoint | None) -> tuple[float, float]:
    """Mean and standard error, over the images, of NLL(point) - NLL(other) for each image.

    Both are NaN where there is no other point or it was evaluated on other images.
    """
    if other is None or not np.array_equal(point.index, other.index):
        return math.nan, math.nan
    difference = point.per_image - other.per_image
    return float(difference.mean()), standard_error(difference)


def read_likelihood(path: Path) -> LikelihoodPoint:
    """A likelihood artefact with its record, checked."""
    record = checked_record(path)
    with np.load(path, allow_pickle=False) as arrays:
        names = ("bits_per_dim", "index", "evaluations")
        if missing := [name for name in names if name not in arrays]:
            raise InputError(
                f"{path} must hold the arrays {', '.join(names)}; {missing[0]} is not there"
            )
        bits_per_dim, index, evaluations = (arrays[name] for name in names)
    if bits_per_dim.ndim != 2 or len(bits_per_dim) != len(index):
        raise InputError(
            f"{path}: bits_per_dim has shape {bits_per_dim.shape}, which must be (images, probes) "
            f"with the {len(index)} images of index"
        )
    if not np.isfinite(bits_per_dim).all():
        raise InputError(f"{path}: bits_per_dim holds values that are not finite")
    return LikelihoodPoint(path, record, bits_per_dim, index, evaluations)


def checked_record(path: Path) -> dict[str, Any]:
    """The record of an artefact whose present content it describes."""
    record = record_of(path)
    if record.get("sha256") != sha256(path):
        raise InputError(f"{path} has changed since {path}.json was written: make it again")
    return record


def record_of(path: Path) -> dict[str, Any]:
    """The record beside an artefact."""
    try:
        return read_record(path)
    except OSError:
        raise InputError(f"{path} has no record {path}.json, which must lie beside it") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{path}.json is not JSON: {error}") from None
