"""Checks of what a model is put to for a single figure: strips, reconstructions, completions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from gud.audit.checks.check import Artefact, Check, kind, near, of_job
from gud.audit.checks.evaluation import POINT, finite, joins_shards, read_arrays
from gud.audit.checks.training import EXPERIMENT, as_trained, averaged
from gud.classifier import load_classifier
from gud.config.applications import (
    GuidanceJob,
    InpaintingJob,
    ReconstructionJob,
    StripJob,
    classifier_job,
)
from gud.data import datasets
from gud.data.arrays import Arrays
from gud.evaluate.applications.shares import COLUMNS

EXACT = 1e-9
"""Of what is computed again from the same numbers."""


@kind("strips", rf"{EXPERIMENT}/(?P<quantity>strips)/{POINT}\.npz")
def strips(artefact: Artefact) -> Iterator[Check]:
    arrays, settings = read_arrays(artefact.path), artefact.settings["strip"]
    drawn = arrays["strips"]
    yield Check("strips are 8-bit, as many as asked for", drawn.dtype == np.uint8)
    yield Check("there are as many as asked for", len(drawn) == settings["strips"])
    yield finite(arrays)
    inside = bool(((arrays["seams"] > 0) & (arrays["seams"] < drawn.shape[-1])).all())
    yield Check("its seams lie inside", inside)
    yield from joins_shards(artefact, arrays)
    yield of_job(artefact, StripJob.of, "experiment", "point")


@kind("reconstructions", rf"{EXPERIMENT}/(?P<quantity>reconstructions)/{POINT}\.npz")
def reconstructions(artefact: Artefact) -> Iterator[Check]:
    arrays = read_arrays(artefact.path)
    yield finite(arrays)
    yield originals(artefact, arrays)
    yield from joins_shards(artefact, arrays)
    yield of_job(artefact, ReconstructionJob.of, "experiment", "point")


def originals(artefact: Artefact, arrays: Arrays) -> Check:
    test = artefact.run.images(artefact.input(".npz"), "test").numpy()
    same = np.array_equal(arrays["original"], test[arrays["index"]])
    return Check("its originals are the test images of its index", same)


@kind("inpainted", rf"{EXPERIMENT}/(?P<quantity>inpainted)/{POINT}\.npz")
def inpainted(artefact: Artefact) -> Iterator[Check]:
    arrays = read_arrays(artefact.path)
    yield finite(arrays)
    original, known = arrays["original"], arrays["known"].astype(bool)
    yield originals(artefact, arrays)
    kept = np.where(known, arrays["completions"] == original[:, None], True).all()
    yield Check("what is given keeps its grey levels", bool(kept))
    yield from joins_shards(artefact, arrays)
    yield of_job(artefact, InpaintingJob.of, "experiment", "point")


@kind("classifier", rf"{EXPERIMENT}/classifiers/(?P<classifier>guide|judge)/model\.safetensors")
def classifier(artefact: Artefact) -> Iterator[Check]:
    loaded = load_classifier(artefact.path)
    yield from as_trained(artefact, loaded)
    _, classes = datasets.load_labels(
        artefact.input(".npz"), "train", len(artefact.run.images(artefact.input(".npz"), "train"))
    )
    yield Check("its classes are those of the data", loaded.classes == classes)
    yield from averaged(artefact, loaded)
    yield of_job(artefact, classifier_job, "experiment", "classifier")


@kind("guided", rf"{EXPERIMENT}/(?P<quantity>guided)/{POINT}\.npz")
def guided(artefact: Artefact) -> Iterator[Check]:
    arrays = read_arrays(artefact.path)
    yield finite(arrays)
    classes = arrays["guided"].shape[1]
    named = [arrays[name] for name in ("assigned", "assigned_unguided")]
    within = all(bool(((found >= 0) & (found < classes)).all()) for found in named)
    yield Check("samples are assigned to classes of the data", within)
    yield Check(
        "a share of test images is classified correctly", 0 <= float(arrays["accuracy"]) <= 1
    )
    yield from joins_shards(artefact, arrays)
    yield of_job(artefact, GuidanceJob.of, "experiment", "point")


@kind("guided shares", rf"{EXPERIMENT}/(?P<quantity>guided)/{POINT}\.csv")
def shares(artefact: Artefact) -> Iterator[Check]:
    table = pd.read_csv(artefact.path).set_index("class")
    samples = artefact.path.with_suffix(".npz")
    missing = [name for name in COLUMNS[1:] if name not in table]
    yield Check(f"it has the columns {', '.join(COLUMNS)}", not missing, ", ".join(missing))
    yield of_job(artefact, GuidanceJob.of, "experiment", "point")
    if missing or not samples.is_file():
        return
    arrays = read_arrays(samples)
    assigned, unguided = arrays["assigned"], arrays["assigned_unguided"]
    count, classes = assigned.shape
    yield Check("it has a row for each class, and one for all", len(table) == classes + 1)
    if len(table) != classes + 1:
        return
    right = assigned == np.arange(classes)
    guided = np.append(right.sum(0), right.sum() / classes) / count
    drawn = np.append(np.bincount(unguided, minlength=classes) / count, 1 / classes)
    yield near(
        "its shares of guided samples are those of the samples",
        table.guided_share,
        guided,
        atol=EXACT,
    )
    yield near("its shares of unguided samples are theirs", table.unguided_share, drawn, atol=EXACT)
    spread = np.append(guided[:-1] * (1 - guided[:-1]), right.mean(1).var())
    errors = np.sqrt(spread / max(count - 1, 1))
    errors[-1] = errors[-1] if count > 1 else np.nan
    yield near("its standard errors are theirs", table.guided_share_stderr, errors, atol=EXACT)
    told = table[["samples", "judge_accuracy", "judge_images"]].drop_duplicates().to_numpy()
    stated = [[count, float(arrays["accuracy"]), int(arrays["tested"])]]
    yield near(
        "its counts and the judge's accuracy are those of the samples", told, stated, atol=EXACT
    )
