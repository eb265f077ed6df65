"""The columns of tables, and what an artefact puts into those of its point."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TypeVar

import pandas as pd

from gud.config.jobs import Trained
from gud.config.sections.processes import process_of
from gud.evaluate.points import LikelihoodPoint
from gud.evaluate.uncertainty import probe_standard_error, standard_error
from gud.provenance import Record, checked_record
from gud.report.differences import DIFFERENCE_COLUMNS, Columns
from gud.report.reading import MeasuredQuality, read_scale

T = TypeVar("T")
MADE_COLUMNS: tuple[str, ...] = (
    "experiment",
    "group",
    "seed",
    "whitened",
    "network_space",
    "preconditioning",
    "gamma_noise",
    "process",
    "Gamma",
    "matching",
)
OTHERS = {"noised": "nll_noised", "bound": "bound"}
"""What the columns of further estimates begin with."""
OTHER_COLUMNS = tuple(
    f"{name}{end}"
    for name in OTHERS.values()
    for end in ("_bits_per_dim", "_stderr", "_minus_nll", "_minus_nll_stderr")
)
NLL_COLUMNS: tuple[str, ...] = (
    "nll_bits_per_dim",
    "nll_stderr",
    "nll_probe_stderr",
    *DIFFERENCE_COLUMNS,
    *OTHER_COLUMNS,
    "nll_errors_cover",
    "images",
    "regions",
    "probes",
    "renewals",
    "network_evaluations",
    "method",
    "coordinates",
    "seconds",
    "device",
)
QUALITY_COLUMNS: tuple[str, ...] = (
    "fid",
    "fid_stderr",
    "fid_errors_cover",
    "fid_metric",
    "fid_images",
    "fid_reference",
    "fid_reference_images",
    "fid_extractor",
    "kid",
    "kid_stderr",
    "precision",
    "recall",
    "kid_images",
    "sampler",
    "sampler_steps",
    "sampler_evaluations",
    "sampler_variance_bias",
    "sampler_variance_rms",
    "quality_seconds",
    "quality_device",
)
SAMPLER_COLUMNS = ("samples", "sampler_grid", "sampler_tolerance")
"""Where there are samples by several samplers: their quantity, which names their folder."""
SCALE = {
    "gaussian_independent": "independent Gaussian components",
    "gaussian": "Gaussian of full covariance",
    "png": "PNG",
    "webp": "lossless WebP",
}
"""Models of `gud.evaluate.scale`, whose bits/dim stand beside every likelihood."""
SCALE_COLUMNS = tuple(f"scale_{name}{end}" for name in SCALE for end in ("", "_stderr"))
BESIDE = ("kid", "kid_stderr", "precision", "recall", "kid_images")
"""Qualities measured beside the Frechet distance, which older ones lack."""
COUNTS = {
    "images",
    "regions",
    "probes",
    "renewals",
    "fid_images",
    "fid_reference_images",
    "kid_images",
    "sampler_steps",
    "sampler_evaluations",
}


def scale_note(points: pd.DataFrame) -> str:
    """What simple models need for the same test images, in bits/dim; empty if a table has none."""
    columns = {name: points.get(f"scale_{key}") for key, name in SCALE.items()}
    parts = [
        f"{name} {' or '.join(f'{value:.2f}' for value in sorted(set(column.dropna())))}"
        for name, column in columns.items()
        if column is not None and column.notna().any()
    ]
    return f"For scale, in bits/dim on the same images: {', '.join(parts)}." if parts else ""


def made_columns(experiment: str, trained: Trained) -> Columns:
    """What tells the experiment of a point and its network."""
    model = trained["model"]
    process = process_of(model)
    values = (
        experiment,
        trained["group"],
        trained["seed"],
        model["prior"] == "variance_matching",
        model["network_space"],
        model["preconditioning"],
        model["schedule"]["gamma_noise"],
        process.name,
        process.friction,
        getattr(process, "matching", math.nan),
    )
    return dict(zip(MADE_COLUMNS, values, strict=True))


def likelihood_columns(point: LikelihoodPoint) -> Columns:
    settings = point.record["settings"]["likelihood"]
    regions = len(set(point.region[: point.images].tolist()))
    covered = _grouped(point.images, regions)
    if (further := len(point.per_image)) > point.images:
        covered += f" for the difference to the point of {further}"
    return _other_columns(point) | {
        "nll_bits_per_dim": float(point.per_image.mean()),
        "nll_stderr": standard_error(point.per_image, point.region),
        "nll_probe_stderr": probe_standard_error(point.bits_per_dim),
        "nll_errors_cover": f"{covered}, probes; not training seeds",
        "images": point.images,
        "regions": regions,
        "probes": point.bits_per_dim.shape[1],
        "renewals": settings.get("renewals", 0),
        "network_evaluations": float(point.evaluations.mean()),
        "method": settings["method"],
        "coordinates": settings["coordinates"],
        "seconds": point.record["seconds"],
        "device": point.record["device"],
    }


def quality_columns(quality: MeasuredQuality, samples: Record) -> Columns:
    sampling = samples["settings"]["sampling"]
    return {
        "fid": quality.fid,
        "fid_stderr": _or_nan(quality.fid_stderr),
        "fid_errors_cover": _or_nan(quality.errors_cover),
        "fid_metric": quality.metric,
        "fid_images": quality.images,
        "fid_reference": quality.reference,
        "fid_reference_images": quality.reference_images,
        "fid_extractor": quality.extractor,
        **{key: _or_nan(getattr(quality, key)) for key in BESIDE},
        "sampler": sampling["method"],
        "sampler_steps": sampling["steps"],
        "sampler_evaluations": samples["evaluations"],
        "sampler_grid": sampling.get("grid", "uniform"),
        "sampler_tolerance": sampling.get("rtol") if sampling["method"] == "ode" else math.nan,
        "sampler_variance_bias": _or_nan(quality.sampler_variance_bias),
        "sampler_variance_rms": _or_nan(quality.sampler_variance_rms),
        "quality_seconds": _or_nan(samples["seconds"]) + quality.seconds,
        "quality_device": samples["device"],
    }


def scale_columns(path: Path) -> tuple[str, Columns, int]:
    """The experiment of a scale, its columns, and the number of images it was measured on."""
    record, table = checked_record(path), read_scale(path)
    columns: Columns = {}
    for name in SCALE:
        known = name in table.index
        columns[f"scale_{name}"] = table.bits_per_dim[name] if known else math.nan
        columns[f"scale_{name}_stderr"] = table.stderr[name] if known else math.nan
    return record["settings"]["experiment"], columns, record["settings"]["images"]


def _other_columns(point: LikelihoodPoint) -> Columns:
    """Further estimates of the same images: their means and how they differ from the first."""
    columns: Columns = {}
    for name, estimates in point.others.items():
        per_image, prefix = estimates.mean(1), OTHERS[name]
        for end, values in (("", per_image), ("_minus_nll", per_image - point.per_image)):
            columns[f"{prefix}{end or '_bits_per_dim'}"] = float(values.mean())
            columns[f"{prefix}{end}_stderr"] = standard_error(values, point.region)
    return columns


def _grouped(images: int, regions: int) -> str:
    return f"{images} images" + (f" in {regions} regions" if regions < images else "")


def _or_nan(value: T | None) -> T | float:
    return math.nan if value is None else value
