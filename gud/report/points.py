"""Artefacts of single points: the likelihood with its errors, and records that fit their files."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int64

from gud.config.jobs import Trained
from gud.config.sections.schedules import FAMILIES
from gud.config.sections.section import Parameters
from gud.data.arrays import FINER, load_arrays
from gud.errors import InputError
from gud.provenance import Record, read_record, sha256
from gud.report.uncertainty import band_factor, estimates, standard_error

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
        bits_per_dim: negative log-likelihood, shape (images, probes); where the first images have
            finer steps too, by `corrected`.
        index: which test images, shape (images,).
        region: of the data set that each was cut from, shape (images,); its own for each image of a
            data set that names none.
        evaluations: network evaluations of the ODE for each batch of images, shape (batches,).
        others: further estimates of `bits_per_dim` of the same images, `noised` and `bound`, where
            the settings asked for them; of the bound the second axis is that of its replicates.
        computed: `bits_per_dim` before it was `corrected`, if it was: images one by one, where the
            other serves their mean and its error.
    """

    path: Path
    record: Record
    bits_per_dim: Float[np.ndarray, "images probes"]
    index: Int64[np.ndarray, " images"]
    region: Int64[np.ndarray, " images"]
    evaluations: Int64[np.ndarray, " batches"]
    others: dict[str, Float[np.ndarray, "images estimates"]] = field(default_factory=dict)
    computed: Float[np.ndarray, "images probes"] | None = None

    @property
    def per_image(self) -> Float[np.ndarray, " images"]:
        return self.bits_per_dim.mean(1)

    @property
    def one_by_one(self) -> Float[np.ndarray, " images"]:
        """Bits/dim of each image, moved by what finer steps change in the mean of all."""
        computed = self.bits_per_dim if self.computed is None else self.computed
        return computed.mean(1) + (self.bits_per_dim.mean() - computed.mean())

    def estimate(self, name: str) -> Float[np.ndarray, " images"] | None:
        """An estimate of each image: `nll` or one of `others`; None if there is no such."""
        if name == "nll":
            return self.per_image
        return self.others[name].mean(1) if name in self.others else None

    @property
    def trained(self) -> Trained:
        return self.record["settings"]["trained"]

    @property
    def estimator(self) -> Mapping[str, object]:
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
    asked = record["settings"]["likelihood"].get("also", [])
    kinds = {"bits_per_dim": "f images probes", "index": "i images", "evaluations": "i batches"}
    further = {name: f"{name}_bits_per_dim" for name in asked}
    kinds |= {array: f"f images {name}" for name, array in further.items()}
    finer = {FINER + name: "f few probes" for name in ("bits_per_dim", "noised_bits_per_dim")}
    arrays = load_arrays(path, kinds, optional={"region": "i images"} | finer)
    return LikelihoodPoint(
        path,
        record,
        estimates(arrays, "bits_per_dim"),
        arrays["index"],
        arrays.get("region", arrays["index"]),
        arrays["evaluations"],
        {name: estimates(arrays, array) for name, array in further.items()},
        arrays["bits_per_dim"],
    )


def checked_record(path: Path) -> Record:
    """The record of an artefact whose present content it describes."""
    record = record_of(path)
    if record.get("sha256") != sha256(path):
        raise InputError(f"{path} has changed since {path}.json was written: make it again")
    return record


def inputs_of(
    path: Path, record: Record, suffixes: tuple[str, ...]
) -> Iterator[tuple[Path, Record]]:
    """The inputs of an artefact with some suffixes, and their records, if they are what they were.

    Args:
        record: of the artefact.
    """
    for name, digest in record["inputs"].items():
        if not name.endswith(suffixes):
            continue
        file = Path(os.path.normpath(path.parent / name))
        found = record_of(file)
        if found["sha256"] != digest:
            raise InputError(
                f"{file} was made anew after {path} was made from it: make {path} again"
            )
        yield file, found


def record_of(path: Path) -> Record:
    """The record beside an artefact."""
    try:
        return read_record(path)
    except OSError:
        raise InputError(f"{path} has no record {path}.json, which must lie beside it") from None
