"""How the points of a table came about, by the records that lead from it to models and data."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from pydantic import ConfigDict

from gud.config.paths import HISTORY
from gud.config.sections.section import Positive, Section
from gud.config.sections.validation import validate
from gud.errors import InputError
from gud.provenance import Record, checked_record, inputs_of

MADE_FROM = (".npz", ".safetensors")
"""Files of arrays and models."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Origin:
    """How the points of an experiment came about: settings of the data, training and its course."""

    data: dict[str, object]
    steps: int
    history: Path | None

    @property
    def training_hours(self) -> float | None:
        return None if self.history is None else training_seconds(self.history) / 3600


class _Steps(Section):
    """The part of a training's settings that is shown."""

    model_config = ConfigDict(extra="ignore")

    steps: Positive


def training_seconds(history: Path) -> float:
    """Seconds that a training took, by its `training.csv`."""
    try:
        seconds = float(pd.read_csv(history).seconds.iloc[-1])
    except (OSError, ValueError, AttributeError, IndexError, TypeError, OverflowError):
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise InputError(f"{history} does not tell the seconds of a training")
    return seconds


def origins(table: Path) -> dict[str, Origin]:
    """The origin of each experiment of a table, by the records of its likelihoods and qualities."""
    found: dict[str, Origin] = {}
    for point, record in inputs_of(table, checked_record(table), (".npz", ".json")):
        inputs = dict(inputs_of(point, record, MADE_FROM))
        for samples, drawn in list(inputs.items()):
            if "sampling" in drawn["settings"]:
                inputs |= inputs_of(samples, drawn, MADE_FROM)
                record = inputs.pop(samples)
        made = {path.suffix: (path, used) for path, used in inputs.items()}
        try:
            (model, trained), (_, data) = made[".safetensors"], made[".npz"]
            if "search" in trained["settings"]:  # a path, which was searched with a model
                [(model, trained)] = inputs_of(model, trained, (".safetensors",))
            steps = validate(_Steps, trained["settings"]["training"], f"{model}.json").steps
            experiment = record["settings"]["experiment"]
        except KeyError as error:
            raise InputError(f"the records of {point} and its model lack {error}") from None
        origin = Origin(data["settings"], steps, _history(model, trained))
        if found.setdefault(experiment, origin) != origin:
            raise InputError(f"{table} holds points of {experiment} from different models or data")
    return found


def _history(model: Path, trained: Record) -> Path | None:
    """The course of the training that made a model; None, with a warning, if it is not there."""
    path = model.with_name(HISTORY)
    try:
        record = checked_record(path)
        training_seconds(path)
    except (InputError, OSError) as error:
        log.warning("hours of %s are left empty: %s", model, error)
        return None
    same = ("settings", "inputs", "training_seconds")
    if any(record.get(key) != trained.get(key) for key in same):
        log.warning("hours of %s are left empty: %s is of another training", model, path)
        return None
    return path
