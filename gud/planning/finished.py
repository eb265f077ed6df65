"""What finished work took, by the files that it left."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from gud.config.jobs import Evaluation
from gud.config.paths import job_file
from gud.config.sections.experiments import Experiment
from gud.provenance import read_record

DAMAGED = (
    *(OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError),
    *(csv.Error, BadZipFile),
)
"""What reading a file of results raises that is not what it should be."""


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


def last_row(table: Path) -> dict[str, str]:
    """The last row of the table of a training, by column; raises one of `DAMAGED`."""
    with open(table) as file:
        *_, last = csv.DictReader(file)
    return last


def finished_training(table: Path, experiment: Experiment) -> Finished | None:
    """What the finished training with this table took, if it was of this experiment."""
    batch = experiment.training.batch_size
    try:
        record, last = read_record(table), last_row(table)
        settings, step = record["settings"], int(last["step"])
        found = Finished(
            float(last["seconds"]) / (step * batch),
            1.0,
            f"results ({step} steps on {record['device']})",
        )
        same = settings["model"] == experiment.model().model_dump(mode="json")
        return found if same and settings["training"]["batch_size"] == batch else None
    except DAMAGED:
        return None


def finished_shards(results: Path, evaluation: Evaluation) -> Finished | None:
    """What the shards of finished jobs took that evaluate the model of an experiment as asked."""
    images, seconds, evaluations, devices = 0, 0.0, 0.0, set()
    for receipt in sorted(results.glob(job_file(evaluation.experiment, evaluation.name, "*"))):
        try:
            record = read_record(receipt)
            asked = record["settings"]["points"].items()
            same = all(settings == evaluation.record(point) for point, settings in asked)
            model = read_record(results / evaluation.model)["sha256"]
            if not same or model not in record["inputs"].values():
                continue
            for name in json.loads(receipt.read_text()):
                with np.load(receipt.parent.parent / name, allow_pickle=False) as arrays:
                    made = json.loads(str(arrays["made"]))
                    each = int(arrays["evaluations"][0].item())
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
