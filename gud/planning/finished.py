"""What finished work took, by the files that it left."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from gud.config.jobs import Evaluation, evaluations
from gud.config.paths import history_file, job_file, table_file
from gud.config.preset import Preset
from gud.config.sections.evaluation import Likelihood
from gud.config.sections.experiments import Experiment
from gud.errors import InputError
from gud.provenance import read_record

DAMAGED = (
    *(OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError),
    *(csv.Error, BadZipFile),
)
"""What reading a file of results raises that is not what it should be."""
STAGES = {"nll": "likelihood", "samples": "sampling"}


@dataclass(frozen=True)
class Finished:
    """What finished work took.

    Args:
        seconds: of an image.
        evaluations: of the network, an image.
        source: which work that was.
    """

    seconds: float
    evaluations: float
    source: str


def finished_training(table: Path, experiment: Experiment) -> Finished | None:
    """What the finished training with this table took, if it was of this experiment."""
    try:
        record = read_record(table)
        settings, device = record["settings"], record["device"]
        with open(table) as file:
            *_, last = csv.DictReader(file)
        step, seconds = int(last["step"]), float(last["seconds"])
        batch = experiment.training.batch_size
        per_image = seconds / (step * batch)
    except DAMAGED:
        return None
    if (
        settings["model"] != experiment.model().model_dump(mode="json")
        or settings["training"]["batch_size"] != batch
    ):
        return None
    return Finished(per_image, 1.0, f"results ({step} steps on {device})")


def finished_shards(results: Path, evaluation: Evaluation) -> Finished | None:
    """What the shards of finished jobs took that evaluate the model of an experiment as asked."""
    images, seconds, evaluations, devices = 0, 0.0, 0.0, set()
    receipts = job_file(evaluation.experiment, evaluation.name, "*")
    for receipt in sorted(results.glob(receipts)):
        try:
            record = read_record(receipt)
            asked = record["settings"]["points"].items()
            same = all(settings == evaluation.record(point) for point, settings in asked)
            model = read_record(results / evaluation.model)["sha256"]
            if not same or model not in record["inputs"].values():
                continue
            for name in json.loads(receipt.read_text()):
                with np.load(receipt.parent.parent / name, allow_pickle=False) as arrays:
                    made, each = (
                        json.loads(str(arrays["made"])),
                        int(arrays["evaluations"][0].item()),
                    )
                    held = len(arrays["bits_per_dim" if "bits_per_dim" in arrays else "images"])
                images, seconds = images + held, seconds + made["seconds"]
                evaluations += each * held
                devices.add(made["device"])
        except DAMAGED:
            continue
    if not images:
        return None
    source = f"results ({images} images on {' and '.join(sorted(devices))})"
    return Finished(seconds / images, evaluations / images, source)


Found = Mapping[tuple[str, str], Finished]
"""Finished work by experiment and stage."""


def stage_of(evaluation: Evaluation) -> str:
    return STAGES.get(evaluation.name, evaluation.name.replace("-", " "))


def finished_work(preset: Preset, results: Path) -> Found:
    """What jobs of a preset that are finished took, by experiment and stage."""
    found: dict[tuple[str, str], Finished | None] = {}
    for name, experiment in preset.experiments.items():
        if experiment.weights_of is None:
            found[name, "training"] = finished_training(results / history_file(name), experiment)
    for evaluation in evaluations(preset):
        finished = finished_shards(results, evaluation) or finished_table(results, evaluation)
        found[evaluation.experiment, stage_of(evaluation)] = finished
    return {key: finished for key, finished in found.items() if finished}


def finished_table(results: Path, evaluation: Evaluation) -> Finished | None:
    """What the likelihoods in a finished table took, where shards have been deleted."""
    from gud.report.reading import read_table

    if not isinstance(evaluation.settings, Likelihood):
        return None
    asked = {"experiment": evaluation.experiment} | {
        key: getattr(evaluation.settings, key)
        for key in ("method", "coordinates", "images", "probes")
    }
    for path in sorted(results.glob(table_file("*"))):
        try:
            table = read_table(path, (*asked, "seconds", "network_evaluations", "device"))
        except InputError:
            continue
        rows = table[(table[list(asked)] == list(asked.values())).all(axis=1)]
        if len(rows):
            devices = " and ".join(sorted(rows.device.unique()))
            return Finished(
                float(rows.seconds.sum() / rows.images.sum()),
                float(rows.network_evaluations.mean()),
                f"results ({path.name}, {len(rows)} points on {devices})",
            )
    return None
