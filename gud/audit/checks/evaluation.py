"""Checks of likelihoods, samples and their quality."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from gud.audit.checks.check import Artefact, Check, kind, near, of_job, prescribed
from gud.audit.checks.training import EXPERIMENT
from gud.config import paths
from gud.config.jobs import get_evaluation, get_experiment
from gud.config.leaves import leaves
from gud.config.preset import Preset
from gud.config.sections.evaluation import Likelihood, Quality, Sampling
from gud.config.sections.validation import validate
from gud.data import datasets
from gud.data.arrays import FINER, NOT_NPZ, Arrays
from gud.errors import InputError
from gud.evaluate.likelihood import choose_images
from gud.evaluate.points import read_likelihood
from gud.evaluate.quality.measure import measure_quality
from gud.evaluate.samples import variance_error
from gud.evaluate.scale import measure_scale
from gud.evaluate.shards import digest, fingerprint, joined
from gud.model import load
from gud.provenance.places import path_of

POINT = rf"(?P<point>{paths.POINT})"
SAMPLER = rf"(?:{paths.SAMPLER})?"
DRAWN = rf"(?P<quantity>samples{SAMPLER}|{paths.GALLERY})"
COMPUTED = rf"(?P<quantity>nll|samples{SAMPLER}|{paths.GALLERY})"


def read_arrays(path: Path) -> Arrays:
    """All arrays of an npz file; `InputError` if it is none."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except NOT_NPZ as error:
        raise InputError(f"{path} cannot be read as an npz file: {error}") from None


def finite(arrays: Arrays) -> Check:
    """Whether all arrays hold finite numbers."""
    wrong = [
        name
        for name, array in arrays.items()
        if array.dtype.kind not in "biuf" or not np.isfinite(array).all()
    ]
    return Check("its arrays hold finite numbers", not wrong, ", ".join(wrong))


@kind("shard", rf"{EXPERIMENT}/[^/]+/shards/[^/]+/(?P<start>\d+)\.npz", recorded=False)
def shard(artefact: Artefact) -> Iterator[Check]:
    arrays, made = read_arrays(artefact.path), artefact.record
    stated = json.loads(str(arrays.pop("made")))
    yield Check("its arrays have the sha256 that it states", digest(arrays) == stated["sha256"])
    yield Check(
        "it starts at the image in its name", stated["start"] == int(artefact.names["start"])
    )
    yield finite(arrays)
    if "records" in stated:
        key = fingerprint(made["settings"], list(made["inputs"].values()))
        yield Check("its key is that of its settings and inputs", key == stated["key"])


def joins_shards(artefact: Artefact, arrays: Arrays) -> Iterator[Check]:
    """Whether each array is that of the shards that are still there, one after the other."""
    names = artefact.record.get("parts", {})
    paths = [path_of(name, artefact.path.parent) for name in names]
    if not paths or not all(path.is_file() for path in paths):
        return
    shards = [read_arrays(path) for path in paths]
    for shard in shards:
        shard.pop("made", None)
    expected = joined(shards)
    wrong = [
        name
        for name, array in expected.items()
        if not np.array_equal(array, arrays.get(name, np.empty(0)))
    ]
    measured = f"{len(shards)} shards" if not wrong else f"other {', '.join(wrong)}"
    yield Check("it joins its shards", not wrong, measured)


@kind("receipt", rf"{EXPERIMENT}/{COMPUTED}/jobs/(?P<job>\w+)\.json")
def receipt(artefact: Artefact) -> Iterator[Check]:
    listed = {str(Path(name)) for name in json.loads(artefact.path.read_text())}
    parts = artefact.record.get("parts", {})
    yield Check(
        "it lists the shards that its record hashes",
        {f"../{name}" for name in listed} == set(parts),
        f"{len(listed)} shards",
    )
    if artefact.names["job"] == "all":
        return
    names = artefact.names
    try:
        evaluation = get_evaluation(artefact.run.preset, names["experiment"], names["quantity"])
        planned = names["job"] in evaluation.jobs()
    except InputError:
        planned = False
    yield Check("the preset plans this job", planned, stale=True)


def point_job(preset: Preset, experiment: str, quantity: str, point: str) -> dict[str, Any]:
    """The settings of a point; `InputError` if the preset asks for none."""
    evaluation = get_evaluation(preset, experiment, quantity)
    evaluation.point(point)
    return evaluation.record(point)


@kind("likelihood", rf"{EXPERIMENT}/(?P<quantity>nll)/{POINT}\.npz")
def likelihood(artefact: Artefact) -> Iterator[Check]:
    section = artefact.settings["likelihood"]
    settings = validate(Likelihood, section, f"{artefact.path}.json")
    data = artefact.input(".npz")
    point, arrays = read_likelihood(artefact.path), read_arrays(artefact.path)
    yield finite(arrays)
    shape, most = point.bits_per_dim.shape, (settings.images, settings.probes)
    yield Check(
        "bits_per_dim is of all images and probes",
        shape == most or (settings.requested and shape[0] <= most[0] and shape[1] <= most[1]),
        f"{shape}",
    )
    if settings.finer:
        few = arrays[f"{FINER}bits_per_dim"].shape
        enough = few == (settings.finer.images, settings.probes)
        yield Check("the first images have finer steps too", enough, f"{few}")
    test = artefact.run.images(data, "test")
    seed, sort = artefact.settings["seed"], not settings.shuffled
    chosen = choose_images(len(test), settings.images, seed, data, sort=sort)[: shape[0]]
    same = np.array_equal(point.index, chosen)
    yield Check("it is of the test images that the seed chooses", same)
    if same:
        region = datasets.load_regions(data, "test", len(test))[chosen]
        yield Check("their regions are those of the data", np.array_equal(point.region, region))
    yield Check("the network was evaluated", bool((point.evaluations > 0).all()))
    yield from joins_shards(artefact, arrays)
    yield of_job(artefact, point_job, "experiment", "quantity", "point")


@kind("samples", rf"{EXPERIMENT}/{DRAWN}/{POINT}\.npz")
def samples(artefact: Artefact) -> Iterator[Check]:
    settings = validate(Sampling, artefact.settings["sampling"], f"{artefact.path}.json")
    arrays, model = read_arrays(artefact.path), load(artefact.input(".safetensors"))
    images = arrays.get("images", np.empty(0))
    shape = (settings.images, *model.image_shape)
    yield Check(
        "images are 8-bit, as many as asked for",
        images.dtype == np.uint8 and images.shape == shape,
        f"{images.dtype} of shape {images.shape}",
    )
    yield finite(arrays)
    varied = len(np.unique(images.reshape(len(images), -1), axis=0)) if images.size else 0
    yield Check("images are not all the same", varied > 1, f"{varied} of {len(images)} different")
    yield from joins_shards(artefact, arrays)
    if "variance_bias" in arrays:
        schedule = model.schedule(**artefact.settings["parameters"])
        error = variance_error(model, schedule, settings)
        expected = torch.full((len(arrays["variance_bias"]),), float(error.mean()))
        yield near(
            "the sampler's error on Gaussian data comes out again",
            arrays["variance_bias"],
            expected,
            rtol=1e-4,
            atol=1e-6,
        )
    yield of_job(artefact, point_job, "experiment", "quantity", "point")


@kind("quality", rf"{EXPERIMENT}/quality{SAMPLER}/{POINT}\.json")
def quality(artefact: Artefact) -> Iterator[Check]:
    found = json.loads(artefact.path.read_text())
    settings = validate(Quality, artefact.settings, f"{artefact.path}.json")
    drawn = [path for path in artefact.inputs if path.parent.name.startswith("samples")]
    reference = [path for path in artefact.inputs if path.parent.name == "data"]
    if settings.extractor == "random" and drawn and reference:
        folder = artefact.run.folder("quality")
        again, linked = folder / "again.json", folder / reference[0].name
        if not linked.exists():
            # The moments of the data that are kept beside them are not trusted, nor are new ones.
            linked.symlink_to(reference[0])
        measure_quality(settings, drawn[0], linked, again)
        known, again_known = leaves(found), leaves(json.loads(again.read_text()))
        measured = again_known.keys() - {"seconds", "device"}
        numbers = {key for key in measured if isinstance(again_known[key], float | list)}
        for key in sorted(numbers):
            statement = f"its {key} comes out again"
            value = known.get(key, np.nan)
            yield near(statement, value, again_known[key], rtol=1e-3, atol=1e-9)
        wrong = sorted(k for k in measured - numbers if known.get(k) != again_known[k])
        yield Check("it tells what was compared", not wrong, ", ".join(wrong))
    yield Check("its distance is a finite number", bool(np.isfinite(found["fid"])))
    experiment = artefact.run.preset.experiments.get(artefact.names["experiment"])
    yield prescribed(artefact.settings, experiment.quality.metric if experiment else None)


@kind("reference moments", r"data/\w+\.npz\.statistics/\w+\.npz")
def moments(artefact: Artefact) -> Iterator[Check]:
    yield finite(read_arrays(artefact.path))
    yield Check("it is of a data set", artefact.input(".npz").is_file())


@kind("scale", rf"{EXPERIMENT}/scale\.csv")
def scale(artefact: Artefact) -> Iterator[Check]:
    preset, settings = artefact.run.preset, artefact.settings
    try:
        experiment = get_experiment(preset, artefact.names["experiment"])
    except InputError as error:
        yield Check("the preset has its experiment", False, str(error), stale=True)
        return
    asked = prescribed(
        {key: settings.get(key) for key in ("basis", "images", "mirrored")},
        {
            "basis": experiment.basis,
            "images": experiment.nll.settings.images,
            "mirrored": experiment.training.flip,
        },
    )
    yield asked
    if asked.holds:
        inputs = artefact.input(".npz"), artefact.input(".safetensors")
        again, _ = measure_scale(experiment, artefact.seed, *inputs)
        found = pd.read_csv(artefact.path)
        yield Check("it names the models", list(found.model) == list(again.model))
        numbers = ["bits_per_dim", "stderr", "images", "regions"]
        yield near("its numbers come out again", found[numbers], again[numbers], rtol=1e-6)
