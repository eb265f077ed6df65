"""The table behind a figure: one row per point, from its likelihood and sample quality."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import pandas as pd

from gud.cli import File, out_option
from gud.config.jobs import Trained
from gud.config.sections.points import point_name
from gud.config.sections.schedules import standard_parameters
from gud.errors import InputError
from gud.evaluate.points import LikelihoodPoint, read_likelihoods
from gud.provenance import Record, write_record, write_text
from gud.report.columns import (
    COUNTS,
    MADE_COLUMNS,
    NLL_COLUMNS,
    QUALITY_COLUMNS,
    SAMPLER_COLUMNS,
    SCALE_COLUMNS,
    likelihood_columns,
    made_columns,
    quality_columns,
    scale_columns,
)
from gud.report.differences import (
    REFERENCE_COLUMNS,
    Columns,
    Key,
    differences,
    key_of,
    reference_differences,
)
from gud.report.parameters import PARAMETER_NAMES
from gud.report.reading import read_sampled_quality

MEASURED = {
    "fid",
    "fid_stderr",
    "fid_replicates",
    "kid",
    "kid_stderr",
    "kid_replicates",
    "precision",
    "recall",
    "sampler_variance_bias",
    "sampler_variance_rms",
    "seconds",
    "device",
}
"""What may differ between the qualities of a table. All else must be the same to compare them: a
Frechet distance depends on the numbers of images and on the extractor."""

SUFFIXES = (".npz", ".json", ".csv")
"""Of likelihoods, of sample qualities and of scales."""

Rows = dict[tuple[Key, str], Columns]
"""By point and by the quantity of its samples; a likelihood stands beside `samples`."""


def tabulate(points: Sequence[Path], references: Mapping[str, str] | None = None) -> pd.DataFrame:
    """One row for each point that has a likelihood or a sample quality, and for each sampler.

    There is a column for each schedule parameter that any of the rows has. Rows are sorted by
    experiment, then by their parameters in alphabetical order. `group` is the experiment of the
    preset, `seed` that of the training, so that an experiment of several seeds is one group.

    `nll_minus_other_prior` is the difference to the experiment of the table that was made alike,
    from the same seed, but with the other prior, at the same point on the same images; likewise for
    network_space and preconditioning. It is empty where there is no such experiment.

    `nll_minus_reference` is the difference to a reference, another experiment on the same test
    images, at the same point or at its only one, or of another schedule at its best;
    `bound_minus_reference` that of the bounds.

    A `_stderr` is the standard error of its number, a `_band` the half-width of the 95 % band that
    holds for the differences of all points of an experiment at once (`uncertainty.band_factor`), so
    also for points that were chosen by their NLL. What they cover is said in `_errors_cover`.

    Args:
        points: likelihoods (.npz), all of an experiment with the same estimator; sample qualities
            (.json), all with the same metric and numbers of images; tables of `gud.evaluate.scale`
            (.csv) on the same images, which stand beside the networks of all seeds.
        references: the reference of each experiment that has one.

    Raises:
        InputError: a record is missing, does not belong to its file, or files do not go together.
    """
    nll, quality, scale = ([path for path in points if path.suffix == end] for end in SUFFIXES)
    rows: Rows = {}
    trainings: dict[str, Trained] = {}
    likelihoods: dict[str, dict[Key, LikelihoodPoint]] = {}
    for point in read_likelihoods(nll):
        key = _add(rows, trainings, point.path, point.record, likelihood_columns(point))
        alike = likelihoods.setdefault(key[0], {})
        alike[key] = point
        expected = next(iter(alike.values())).estimator
        _same("likelihood settings", point.estimator, point.path, expected)
    for key, columns in differences(likelihoods):
        rows[key, "samples"] |= columns
    measures = NLL_COLUMNS
    if references:
        measures += REFERENCE_COLUMNS
        for key, compared in reference_differences(likelihoods, references):
            rows[key, "samples"] |= compared
    measures += SCALE_COLUMNS if scale else ()
    for path in scale:
        experiment, columns, images = scale_columns(path)
        for alike in likelihoods.values():
            for key, point in alike.items():
                if experiment in (key[0], point.trained["group"]):
                    asked = point.record["settings"]["likelihood"]["images"]
                    _same("number of test images", images, path, asked)
                    rows[key, "samples"] |= columns
    measures += QUALITY_COLUMNS if quality else ()
    conditions: object = None
    for path in quality:
        measured, samples = read_sampled_quality(path)
        drawn = path.parent.name.replace("quality", "samples", 1)
        columns = quality_columns(measured, samples) | {"samples": drawn}
        _add(rows, trainings, path, samples, columns, drawn)
        found = measured.model_dump(exclude=MEASURED)
        conditions = conditions or found
        _same("quality settings", found, path, conditions)
    if any(drawn.startswith("samples-") for _, drawn in rows):
        measures += SAMPLER_COLUMNS
    parameters = [name for name in PARAMETER_NAMES if any(name in row for row in rows.values())]
    table = pd.DataFrame(
        [rows[key] for key in sorted(rows)],
        columns=[*MADE_COLUMNS, *parameters, *measures],
    )
    return table.astype({name: "Int64" for name in measures if name in COUNTS})


def _add(
    rows: Rows,
    trainings: dict[str, Trained],
    path: Path,
    record: Record,
    values: Columns,
    samples: str = "samples",
) -> Key:
    """Put the values of an artefact into the row of its point."""
    settings = record["settings"]
    try:
        parameters = {name: float(value) for name, value in settings["parameters"].items()}
        key = key_of(settings["experiment"], parameters)
        made = made_columns(settings["experiment"], settings["trained"])
    except KeyError as error:
        raise InputError(f"{path}.json: settings must name the point, but lack {error}") from None
    if standard_parameters(parameters) is None:
        raise InputError(f"{path}.json: no schedule family has the parameters {parameters}")
    if path.stem != point_name(parameters):
        raise InputError(f"{path} is recorded as the point {point_name(parameters)}")
    if trainings.setdefault(key[0], settings["trained"]) != settings["trained"]:
        raise InputError(f"{path}: another model or training made it than other points of {key[0]}")
    row = rows.setdefault((key, samples), {**made, **parameters})
    if repeated := row.keys() & values.keys():
        raise InputError(f"{path} gives {min(repeated)} of {key[0]} {path.stem} a second time")
    row |= values
    return key


def _same(what: str, found: Any, path: Path, expected: Any) -> None:
    if found != expected:
        raise InputError(f"{path}: {what} {found} must equal those of the other points, {expected}")


def read_references(pairs: Sequence[str]) -> dict[str, str]:
    """References by experiment from words such as `basis_haar=basis_pca`."""
    found: dict[str, str] = {}
    for pair in pairs:
        name, _, reference = pair.partition("=")
        if not name or not reference or name in found:
            raise InputError(
                f"--reference {pair}: expected EXPERIMENT=REFERENCE, once for an experiment"
            )
        found[name] = reference
    return found


@click.command()
@out_option("The table, .csv.")
@click.option(
    "--reference",
    "pairs",
    multiple=True,
    metavar="EXPERIMENT=REFERENCE",
    help="An experiment, and the one that it is compared with image by image.",
)
@click.argument("points", type=File, nargs=-1, required=True)
def main(out: Path, pairs: tuple[str, ...], points: tuple[Path, ...]) -> None:
    """Write a table of POINTS: likelihoods (.npz), qualities (.json), scales (.csv)."""
    started = time.time()
    if wrong := [path for path in points if path.suffix not in SUFFIXES]:
        raise InputError(
            f"{wrong[0]} is neither a likelihood (.npz) nor a quality (.json) nor a scale (.csv)"
        )
    references = read_references(pairs)
    write_text(out, tabulate(points, references).to_csv(index=False))
    settings = {"reference": references} if references else {}
    write_record(out, inputs=points, settings=settings, started=started)
