"""The numbers behind a preset's tables, each with its deviations by what it was averaged over."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from gud.config.leaves import leaves
from gud.errors import InputError
from gud.evaluate.points import LikelihoodPoint, read_likelihoods
from gud.provenance import Record, checked_record, inputs_of, record_of
from gud.report.reading import read_sampled_quality, read_table
from gud.verdict.contrasts import (
    Numbers,
    Source,
    effective_freedom,
    image_deviations,
    jackknife_deviations,
)

Label = str | float | int | bool
Labels = dict[str, Label]


@dataclass(frozen=True)
class Units:
    """The independent units that a number was averaged over.

    Args:
        name: of the source, see `Source`.
        key: the same for numbers of the very same units.
    """

    name: str
    key: str
    deviations: Float[np.ndarray, " units"]
    freedom: float


@dataclass(frozen=True)
class Number:
    """One number of one network at one point.

    Args:
        measure: what it is, see `gud.verdict.claims.UNITS`.
        labels: what it was made by: `group`, `seed` and `data` of the training; the settings of the
            model, such as `prior`, `basis.name` or `schedule.gamma_denoise`; the parameters of the
            schedule; of samples also how they were drawn, such as `sampling.steps`.
        table: that it stands in.
    """

    measure: str
    labels: Labels
    value: float
    units: tuple[Units, ...]
    path: Path
    table: str


def read_numbers(tables: Sequence[Path]) -> list[Number]:
    """The likelihoods and sample qualities of all points of some tables, each once.

    Raises:
        InputError: a table's record does not lead to its points, or these have changed since.
    """
    found: dict[tuple[Path, str], Number] = {}
    for table in tables:
        read_table(table)
        paths = [path for path, _ in inputs_of(table, checked_record(table), (".npz", ".json"))]
        likelihoods = read_likelihoods(path for path in paths if path.suffix == ".npz")
        numbers = [_likelihood(point, table.stem) for point in likelihoods]
        for path in paths:
            numbers += _qualities(path, table.stem) if path.suffix == ".json" else ()
        for number in numbers:
            found.setdefault((number.path, number.measure), number)
    return list(found.values())


def _likelihood(point: LikelihoodPoint, table: str) -> Number:
    labels = labels_of(point.record)
    key = digest_of(labels["data"], point.index.tobytes())
    deviations = image_deviations(point.per_image, point.region)
    units = Units("images", key, deviations, effective_freedom(point.region))
    return Number("nll", labels, float(point.per_image.mean()), (units,), point.path, table)


def _qualities(path: Path, table: str) -> Iterator[Number]:
    """The distances of a set of samples; those without replicates are paired with no other."""
    quality, samples = read_sampled_quality(path)
    labels = labels_of(samples)
    drawn = digest_of(samples["settings"]["seed"], quality.images)
    real = digest_of(labels["data"], quality.reference, quality.reference_images)
    for measure in ("fid", "kid"):
        value, error = getattr(quality, measure), getattr(quality, f"{measure}_stderr")
        if value is None:
            continue
        units = []
        replicates = getattr(quality, f"{measure}_replicates")
        for source, key in (("samples", drawn), ("reference", real)):
            if own := getattr(replicates, source, []):
                deviations = jackknife_deviations(own)
                units.append(Units("samples", source + key, deviations, len(deviations) - 1.0))
        if not units:
            groups = record_of(path)["settings"]
            deviations = np.array([np.nan if error is None else error])
            freedom = max(groups.get("stderr_groups", 2) - 1.0, 1.0)
            units.append(Units("samples", str(path), deviations, freedom))
        yield Number(measure, labels, float(value), tuple(units), path, table)


def labels_of(record: Record) -> Labels:
    """The labels of a number by the record of its likelihoods or samples."""
    settings = record["settings"]
    try:
        made = settings["trained"]
        labels: Labels = {key: made[key] for key in ("group", "seed", "data")}
        labels |= _labelled(made["model"]) | settings["parameters"]
    except KeyError as error:
        raise InputError(f"the record of {record.get('artefact')} lacks {error}") from None
    return labels | _labelled(settings.get("sampling", {}), "sampling.")


def _labelled(settings: dict[str, Any], prefix: str = "") -> Labels:
    return {k: v for k, v in leaves(settings, prefix).items() if isinstance(v, str | int | float)}


def digest_of(*content: object) -> str:
    return hashlib.sha256(repr(content).encode()).hexdigest()


def combined(numbers: Sequence[Sequence[Number]], relative: bool) -> Numbers:
    """Numbers of seeds x points, paired where they share their units.

    Args:
        relative: whether logarithms are taken, of numbers above 0.
    """
    values = np.array([[number.value for number in seed] for seed in numbers])
    scale = 1 / values if relative else np.ones_like(values)
    blocks: dict[tuple[str, str, int], tuple[np.ndarray, float]] = {}
    for seed, row in enumerate(numbers):
        for point, number in enumerate(row):
            for units in number.units:
                key = units.name, units.key, len(units.deviations)
                empty = np.zeros((*values.shape, len(units.deviations)))
                block, _ = blocks.setdefault(key, (empty, units.freedom))
                block[seed, point] = units.deviations * scale[seed, point]
    sources = (Source(name, block, freedom) for (name, *_), (block, freedom) in blocks.items())
    return Numbers(np.log(values) if relative else values, tuple(sources))
