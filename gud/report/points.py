"""Artefacts of single points: the likelihood with its errors, and records that fit their files."""

from __future__ import annotations

import math
import zlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from jaxtyping import Float, Int64

from gud.config.jobs import Trained
from gud.config.sections.schedules import FAMILIES
from gud.config.sections.section import Parameters
from gud.errors import InputError
from gud.provenance import Record, read_record, sha256
from gud.report.uncertainty import band_factor, standard_error

NOT_NPZ = (OSError, EOFError, ValueError, TypeError, AttributeError, BadZipFile, zlib.error)
"""What reading an npz file raises if it is none."""
PARAMETER_NAMES = tuple(sorted({name for family in FAMILIES for name in family.domains}))
"""All schedule parameters, in the order of a table's columns."""


def parameters_of(row: Mapping[str, Any] | pd.Series) -> Parameters:
    """The schedule parameters in a row of a table; those of other families are absent or NaN."""
    names = (name for name in PARAMETER_NAMES if name in row and not pd.isna(row[name]))
    return {name: float(row[name]) for name in names}


def standard_parameters(names: Iterable[str]) -> Parameters | None:
    """Where the schedule family with these parameters is standard diffusion; None if none has."""
    wanted = set(names)
    return next((one.standard for one in FAMILIES if one.standard.keys() == wanted), None)


def is_standard(points: pd.DataFrame) -> pd.Series:
    """Which rows of a table are standard diffusion."""
    found = [parameters_of(row) for _, row in points.iterrows()]
    return pd.Series([p == standard_parameters(p) for p in found], points.index, dtype=bool)


SCALE_NAMES = {
    "gaussian_independent": "independent Gaussian components",
    "gaussian": "Gaussian of full covariance",
    "png": "PNG",
    "webp": "lossless WebP",
}


def scale_note(points: pd.DataFrame) -> str:
    """What simple models need for the same test images, in bits/dim; empty if a table has none."""
    columns = {name: points.get(f"scale_{key}") for key, name in SCALE_NAMES.items()}
    parts = [
        f"{name} {' or '.join(f'{value:.2f}' for value in sorted(set(column.dropna())))}"
        for name, column in columns.items()
        if column is not None and column.notna().any()
    ]
    return f"For scale, in bits/dim on the same images: {', '.join(parts)}." if parts else ""


@dataclass(frozen=True)
class LikelihoodPoint:
    """The likelihood artefact of one point.

    Args:
        path: of the artefact.
        record: its provenance record.
        bits_per_dim: negative log-likelihood, shape (images, probes).
        index: which test images, shape (images,).
        region: of the data set that each was cut from, shape (images,); its own for each image of a
            data set that names none.
        evaluations: network evaluations of the ODE for each batch of images, shape (batches,).
        others: further estimates of `bits_per_dim` of the same images, `noised` and `bound`, where
            the settings asked for them; of the bound the second axis is that of its replicates.
    """

    path: Path
    record: Record
    bits_per_dim: Float[np.ndarray, "images probes"]
    index: Int64[np.ndarray, " images"]
    region: Int64[np.ndarray, " images"]
    evaluations: Int64[np.ndarray, " batches"]
    others: dict[str, Float[np.ndarray, "images estimates"]] = field(default_factory=dict)

    @property
    def per_image(self) -> Float[np.ndarray, " images"]:
        return self.bits_per_dim.mean(1)

    def estimate(self, name: str) -> Float[np.ndarray, " images"] | None:
        """An estimate of each image: `nll` or one of `others`; None if there is no such."""
        if name == "nll":
            return self.per_image
        return self.others[name].mean(1) if name in self.others else None

    @property
    def trained(self) -> Trained:
        return self.record["settings"]["trained"]

    @property
    def estimator(self) -> dict[str, Any]:
        """The settings that all points of one experiment must share to be compared."""
        settings = self.record["settings"]["likelihood"]
        return {key: settings[key] for key in settings if key not in ("images", "batch_size")}


def paired_difference(
    point: LikelihoodPoint, other: LikelihoodPoint | None, estimate: str = "nll"
) -> tuple[float, float]:
    """Mean and standard error, over the images, of NLL(point) - NLL(other) for each image.

    Both are NaN where there is no other point or it was evaluated on other images.

    Args:
        estimate: of the NLL, see `LikelihoodPoint.estimate`; NaN where one of the two has none.
    """
    if other is None or not np.array_equal(point.index, other.index):
        return math.nan, math.nan
    one, two = point.estimate(estimate), other.estimate(estimate)
    if one is None or two is None:
        return math.nan, math.nan
    return float((one - two).mean()), standard_error(one - two, point.region)


def difference_factor(points: Collection[LikelihoodPoint]) -> float:
    """`band_factor` of the points of an experiment; NaN if they were evaluated on other images."""
    first = next(iter(points))
    if not all(np.array_equal(point.index, first.index) for point in points):
        return math.nan
    return band_factor(np.stack([point.per_image for point in points], 1), first.region)


def read_likelihood(path: Path) -> LikelihoodPoint:
    """A likelihood artefact with its record, checked."""
    record = checked_record(path)
    names = ("bits_per_dim", "index", "evaluations")
    asked = record["settings"]["likelihood"].get("also", [])
    expected = [*names, *(f"{name}_bits_per_dim" for name in asked)]
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if missing := [name for name in expected if name not in arrays]:
                raise InputError(
                    f"{path} must hold the arrays {', '.join(expected)}; {missing[0]} is not there"
                )
            bits_per_dim, index, evaluations = (arrays[name] for name in names)
            region = arrays.get("region", index)
            others = {name: arrays[f"{name}_bits_per_dim"] for name in asked}
    except InputError:
        raise
    except NOT_NPZ as error:
        raise InputError(f"{path} cannot be read as an npz file: {error}") from None
    kinds = "".join(array.dtype.kind for array in (bits_per_dim, index, evaluations))
    if kinds != "fii" or index.ndim != 1 or evaluations.ndim != 1 or not bits_per_dim.size:
        raise InputError(
            f"{path}: bits_per_dim, index and evaluations must hold numbers, the latter two "
            f"integers along one axis"
        )
    if not len(evaluations):
        raise InputError(f"{path}: evaluations is empty")
    if bits_per_dim.ndim != 2 or len(bits_per_dim) != len(index):
        raise InputError(
            f"{path}: bits_per_dim has shape {bits_per_dim.shape}, which must be (images, probes) "
            f"with the {len(index)} images of index"
        )
    if not np.isfinite(bits_per_dim).all():
        raise InputError(f"{path}: bits_per_dim holds values that are not finite")
    if region.shape != index.shape:
        raise InputError(f"{path}: region has shape {region.shape}, expected that of index")
    for name, other in others.items():
        if other.dtype.kind != "f" or other.ndim != 2 or len(other) != len(index):
            raise InputError(
                f"{path}: {name}_bits_per_dim is {other.dtype} of shape {other.shape}, expected "
                f"numbers for each of the {len(index)} images"
            )
        if not np.isfinite(other).all():
            raise InputError(f"{path}: {name}_bits_per_dim holds values that are not finite")
    return LikelihoodPoint(path, record, bits_per_dim, index, region, evaluations, others)


def checked_record(path: Path) -> Record:
    """The record of an artefact whose present content it describes."""
    record = record_of(path)
    if record.get("sha256") != sha256(path):
        raise InputError(f"{path} has changed since {path}.json was written: make it again")
    return record


def record_of(path: Path) -> Record:
    """The record beside an artefact."""
    try:
        return read_record(path)
    except OSError:
        raise InputError(f"{path} has no record {path}.json, which must lie beside it") from None
