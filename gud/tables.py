"""The table behind a figure: one row per point, from its likelihood and sample-quality artefacts.

python -m gud.tables --nll FILE.npz... [--quality FILE.json...] --out TABLE.csv
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from gud.errors import InputError, command_line
from gud.points import (
    PARAMETER_NAMES,
    LikelihoodPoint,
    checked_record,
    paired_difference,
    probe_standard_error,
    read_likelihood,
    record_of,
    standard_error,
    standard_parameters,
)
from gud.provenance import atomic, write_record
from gud.settings import Parameters, point_name

Key = tuple[str, tuple[tuple[str, float], ...]]
"""What identifies a row: experiment and parameters, in the order by which a table is sorted."""

NLL_COLUMNS: tuple[str, ...] = (
    "nll_bits_per_dim",
    "nll_stderr",
    "nll_probe_stderr",
    "nll_minus_standard",
    "nll_minus_standard_stderr",
    "nll_minus_best",
    "nll_minus_best_stderr",
    "images",
    "probes",
    "network_evaluations",
    "method",
    "coordinates",
    "seconds",
    "device",
)
QUALITY_COLUMNS: tuple[str, ...] = (
    "fid",
    "fid_stderr",
    "fid_metric",
    "fid_images",
    "fid_reference",
    "fid_reference_images",
    "fid_extractor",
    "sampler",
    "sampler_steps",
    "sampler_evaluations",
    "quality_seconds",
    "quality_device",
)
MEASURED = {"fid", "fid_stderr", "seconds", "device"}
"""What may differ between the qualities of a table. All else must be the same to compare them: a
Frechet distance depends on the numbers of images and on the extractor."""
COUNTS = {
    "images",
    "probes",
    "fid_images",
    "fid_reference_images",
    "sampler_steps",
    "sampler_evaluations",
}


def tabulate(nll: Iterable[Path], quality: Iterable[Path] = ()) -> pd.DataFrame:
    """One row for each point that has a likelihood or a sample quality.

    There is a column for each schedule parameter that any of the rows has. Rows are sorted by
    experiment, then by their parameters in alphabetical order.

    Args:
        nll: likelihood artefacts (.npz), all points of an experiment with the same estimator.
        quality: sample-quality artefacts (.json), all with the same metric and numbers of images.

    Raises:
        InputError: a record is missing, does not belong to its file, or files do not go together.
    """
    rows: dict[Key, dict[str, Any]] = {}
    likelihoods: dict[str, dict[Key, LikelihoodPoint]] = {}
    for path in nll:
        point = read_likelihood(path)
        key = _add(rows, path, point.record, _likelihood_columns(point))
        points = likelihoods.setdefault(key[0], {})
        points[key] = point
        _same("likelihood settings", point.estimator, path, next(iter(points.values())).estimator)
    for points in likelihoods.values():
        best = min(points.values(), key=lambda point: point.per_image.mean())
        for key, point in points.items():
            standard = standard_parameters(name for name, _ in key[1])
            others = {"standard": points.get(_key(key[0], standard or {})), "best": best}
            for name, other in others.items():
                mean, error = paired_difference(point, other)
                rows[key] |= {f"nll_minus_{name}": mean, f"nll_minus_{name}_stderr": error}
    conditions: dict[str, Any] = {}
    measures = NLL_COLUMNS
    for path in quality:
        measures = NLL_COLUMNS + QUALITY_COLUMNS
        measured, samples = _read_quality(path)
        _add(rows, path, samples, _quality_columns(measured, samples))
        found = {key: measured[key] for key in measured.keys() - MEASURED}
        conditions = conditions or found
        _same("quality settings", found, path, conditions)
    parameters = [name for name in PARAMETER_NAMES if any(name in row for row in rows.values())]
    table = pd.DataFrame(
        [rows[key] for key in sorted(rows)],
        columns=["experiment", "whitened", *parameters, *measures],
    )
    return table.astype({name: "Int64" for name in measures if name in COUNTS})


def _key(experiment: str, parameters: Parameters) -> Key:
    return experiment, tuple(sorted(parameters.items()))


def _add(
    rows: dict[Key, dict[str, Any]], path: Path, record: dict[str, Any], values: dict[str, Any]
) -> Key:
    """Put the values of an artefact into the row of its point."""
    settings = record["settings"]
    try:
        parameters = {name: float(value) for name, value in settings["parameters"].items()}
        key = _key(settings["experiment"], parameters)
        whitened = settings["prior"] == "variance_matching"
    except KeyError as error:
        raise InputError(f"{path}.json: settings must name the point, but lack {error}") from None
    if standard_parameters(parameters) is None:
        raise InputError(f"{path}.json: no schedule family has the parameters {parameters}")
    if path.stem != point_name(parameters):
        raise InputError(f"{path} is recorded as the point {point_name(parameters)}")
    row = rows.setdefault(key, {"experiment": key[0], "whitened": whitened, **parameters})
    _same("prior", whitened, path, row["whitened"])
    if repeated := row.keys() & values.keys():
        raise InputError(f"{path} gives {min(repeated)} of {key[0]} {path.stem} a second time")
    row |= values
    return key


def _same(what: str, found: Any, path: Path, expected: Any) -> None:
    if found != expected:
        raise InputError(f"{path}: {what} {found} must equal those of the other points, {expected}")


def _likelihood_columns(point: LikelihoodPoint) -> dict[str, Any]:
    settings = point.record["settings"]["likelihood"]
    images, probes = point.bits_per_dim.shape
    return {
        "nll_bits_per_dim": float(point.per_image.mean()),
        "nll_stderr": standard_error(point.per_image),
        "nll_probe_stderr": probe_standard_error(point.bits_per_dim),
        "images": images,
        "probes": probes,
        "network_evaluations": float(point.evaluations.mean()),
        "method": settings["method"],
        "coordinates": settings["coordinates"],
        "seconds": point.record["seconds"],
        "device": point.record["device"],
    }


def _read_quality(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """A sample quality, and the record of the samples that it was measured on."""
    inputs = [Path(os.path.normpath(path.parent / name)) for name in checked_record(path)["inputs"]]
    records = [record_of(file) for file in inputs if file.suffix == ".npz"]
    samples = [record for record in records if "sampling" in record["settings"]]
    if len(samples) != 1:
        raise InputError(f"{path}.json: inputs hold {len(samples)} sets of samples, must be one")
    return json.loads(path.read_text()), samples[0]


def _quality_columns(quality: dict[str, Any], samples: dict[str, Any]) -> dict[str, Any]:
    sampling = samples["settings"]["sampling"]
    return {
        "fid": quality["fid"],
        "fid_stderr": math.nan if quality["fid_stderr"] is None else quality["fid_stderr"],
        "fid_metric": quality["metric"],
        "fid_images": quality["images"],
        "fid_reference": quality["reference"],
        "fid_reference_images": quality["reference_images"],
        "fid_extractor": quality["extractor"],
        "sampler": sampling["method"],
        "sampler_steps": sampling["steps"],
        "sampler_evaluations": samples["evaluations"],
        "quality_seconds": samples["seconds"] + quality["seconds"],
        "quality_device": samples["device"],
    }


@command_line
def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nll", type=Path, nargs="*", default=[], metavar="FILE.npz")
    parser.add_argument("--quality", type=Path, nargs="*", default=[], metavar="FILE.json")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args(argv)
    started = time.time()
    inputs = arguments.nll + arguments.quality
    if not inputs:
        raise InputError("--nll and --quality are both empty: a table needs at least one point")
    table = tabulate(arguments.nll, arguments.quality)
    with atomic(arguments.out) as temporary:
        table.to_csv(temporary, index=False)
    write_record(arguments.out, inputs=inputs, started=started)


if __name__ == "__main__":
    sys.exit(main())
