"""Checks of what a model is put to for a single figure: strips, reconstructions, completions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gud.audit.checks.check import Artefact, Check, kind, prescribed
from gud.audit.checks.evaluation import POINT, finite, joins_shards, read_arrays
from gud.audit.checks.training import EXPERIMENT
from gud.config.jobs import inpainting_job, reconstruction_job, strip_job
from gud.errors import InputError


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
    yield of_job(artefact, strip_job)


@kind("reconstructions", rf"{EXPERIMENT}/(?P<quantity>reconstructions)/{POINT}\.npz")
def reconstructions(artefact: Artefact) -> Iterator[Check]:
    arrays = read_arrays(artefact.path)
    yield finite(arrays)
    test = artefact.run.images(artefact.input(".npz"), "test").numpy()
    same = np.array_equal(arrays["original"], test[arrays["index"]])
    yield Check("its originals are the test images of its index", same)
    yield from joins_shards(artefact, arrays)
    yield of_job(artefact, reconstruction_job)


@kind("inpainted", rf"{EXPERIMENT}/(?P<quantity>inpainted)/{POINT}\.npz")
def inpainted(artefact: Artefact) -> Iterator[Check]:
    arrays = read_arrays(artefact.path)
    yield finite(arrays)
    original, known = arrays["original"], arrays["known"].astype(bool)
    test = artefact.run.images(artefact.input(".npz"), "test").numpy()
    same = np.array_equal(original, test[arrays["index"]])
    yield Check("its originals are the test images of its index", same)
    kept = np.where(known, arrays["completions"] == original[:, None], True).all()
    yield Check("what is given keeps its grey levels", bool(kept))
    yield from joins_shards(artefact, arrays)
    yield of_job(artefact, inpainting_job)


def of_job(artefact: Artefact, job: Any) -> Check:
    """Whether settings are those of the job that the preset asks for."""
    names = artefact.names
    try:
        asked = job(artefact.run.preset, names["experiment"], names["point"])
    except InputError:
        return prescribed(artefact.settings, None)
    return prescribed(artefact.settings, asked.model_dump(mode="json"))
