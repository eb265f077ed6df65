"""Checks of trained models and of the course of their training."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping

import pandas as pd
import torch
from torch import Tensor

from gud.audit.checks.check import Artefact, Check, kind, near, of_job
from gud.config import paths
from gud.config.jobs import search_job, training_job
from gud.data import statistics
from gud.model import Model, load
from gud.provenance import read_record
from gud.state_network import StateNetwork
from gud.training.checkpoint import read_checkpoint, ungroup
from gud.training.curve import COLUMNS
from gud.training.step import warmed_up

FIRST = COLUMNS[:4]
"""The columns that training curves of all versions have."""
EXPERIMENT = rf"(?P<experiment>{paths.NAME})"
TRAINED = rf"{EXPERIMENT}(?:/classifiers/(?:guide|judge))?"
"""The folder of a network, or of a classifier beside it."""


@kind("model", rf"{EXPERIMENT}/model\.safetensors")
def model(artefact: Artefact) -> Iterator[Check]:
    loaded = load(artefact.path)
    count = sum(weight.numel() for weight in loaded.network.parameters())
    yield Check("its weights are finite and fit the network of its settings", True, f"{count}")
    yield from as_trained(artefact, loaded)
    yield from schedule_ends(loaded)
    yield from averaged(artefact, loaded)
    yield of_job(artefact, training_job, "experiment")


@kind("path", rf"{EXPERIMENT}/path\.safetensors")
def path(artefact: Artefact) -> Iterator[Check]:
    loaded, settings = load(artefact.path), artefact.settings
    network = load(artefact.input(".safetensors"))
    same = equal(loaded.network.state_dict(), network.network.state_dict())
    yield Check("its weights are those of the network that it was found for", same)
    held, known = (model.representation.statistics.tensors() for model in (loaded, network))
    yield Check("its statistics are those of that network", equal(held, known))
    schedule = loaded.settings.schedule.model_dump(mode="json")
    asked = settings["schedule"]
    yield Check("it holds a path", schedule.get("levels") is not None)
    given = asked if asked["levels"] is not None else asked | {"levels": schedule.get("levels")}
    yield Check("its schedule is the one that was asked for", schedule == given)
    yield from schedule_ends(loaded)
    yield of_job(artefact, search_job, "experiment")


def equal(some: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> bool:
    return some.keys() == others.keys() and all(some[name].equal(others[name]) for name in some)


def as_trained(artefact: Artefact, model: StateNetwork) -> Iterator[Check]:
    """Whether a network holds the settings and the statistics that it was trained with."""
    held = model.settings.model_dump(mode="json")
    yield Check("it was trained with the settings it holds", held == artefact.settings["model"])
    fitted = statistics.load(artefact.input(".safetensors")).tensors()
    same = equal(model.representation.statistics.tensors(), fitted)
    yield Check("its statistics are those it was made from", same)


def schedule_ends(model: Model) -> Iterator[Check]:
    """Whether every corner of the family meets both ends of equation 19."""
    settings = model.settings.schedule.model_dump(mode="json")
    representation = model.representation
    if not {"gamma_denoise", "gamma_noise"} <= settings.keys():
        return
    names = sorted(settings["ranges"])
    given = settings["gamma_noise"]
    for corner in itertools.product(*(sorted(set(settings["ranges"][name])) for name in names)):
        point = dict(zip(names, corner, strict=True))
        schedule = model.schedule(**point)
        gamma = schedule.gamma(torch.tensor([0.0, 1.0], dtype=torch.float64))
        snr = representation.log_variance - gamma
        at = ", ".join(f"{name} = {value:g}" for name, value in point.items())
        yield near(
            f"at t = 0 the lowest log SNR is -gamma_denoise ({at})",
            snr[0].min(),
            -settings["gamma_denoise"],
            atol=1e-9,
        )
        noisiest = float(-snr[1].max())
        reached = abs(noisiest - given) < 1e-9 if isinstance(given, float) else noisiest >= 3 - 1e-9
        yield Check(
            f"at t = 1 the highest log SNR is -gamma_noise ({at})", reached, f"{-noisiest:.4g}"
        )
        rises = bool((gamma[1] >= gamma[0]).all())
        yield Check(f"gamma never falls ({at})", rises)


def averaged(artefact: Artefact, model: StateNetwork) -> Iterator[Check]:
    """Whether the weights are the moving average in the last checkpoint, if that is kept."""
    steps = artefact.settings["training"]["steps"]
    kept = artefact.path.parent / "checkpoints" / f"step-{steps:08d}.safetensors"
    if not kept.is_file():
        return
    average = ungroup(read_checkpoint(kept).tensors)["average"]
    own = model.network.state_dict()
    same = all(weight.equal(average[f"module.{name}"]) for name, weight in own.items())
    yield Check("its weights are the average that the last checkpoint holds", same)


@kind("training curve", rf"{TRAINED}/training\.csv")
def curve(artefact: Artefact) -> Iterator[Check]:
    table, training = pd.read_csv(artefact.path), artefact.settings["training"]
    missing = [name for name in FIRST if name not in table]
    yield Check(f"it has the columns {', '.join(FIRST)}", not missing)
    if missing:
        return
    steps, every = training["steps"], training["log_every"]
    expected = [*range(every, steps + 1, every)]
    expected += [steps] if not expected or expected[-1] != steps else []
    complete = table.step.tolist() == expected
    yield Check("it has a row for every logged step to the last", complete, f"{len(table)} rows")
    finite = bool((table.loss.abs() < float("inf")).all() and (table.loss > 0).all())
    yield Check("losses are finite and positive", finite)
    if "gradient_norm" in table:
        norms = table.gradient_norm.dropna()
        usual = bool((norms.between(0, float("inf"), inclusive="left")).all())
        yield Check("norms of the gradient are finite", usual)
        chosen = training["learning_rate"], training["warmup_steps"]
        due = table.step.map(lambda step: warmed_up(*chosen, step - 1))
        known = table.learning_rate.fillna(due)
        yield near("learning rates are those of its settings", known, due, rtol=1e-5)
    rising = table.seconds.is_monotonic_increasing and bool((table.seconds >= 0).all())
    yield Check("its clock never runs backwards", rising)
    stated = artefact.record.get("training_seconds")
    yield near(
        "its last row has the seconds of the record", table.seconds.iloc[-1], stated, atol=2e-3
    )
    trained = artefact.path.with_name("model.safetensors")
    if trained.is_file():
        keys = ("settings", "inputs", "training_seconds", "seed")
        made = read_record(trained)
        different = [key for key in keys if made.get(key) != artefact.record.get(key)]
        yield Check("it is of the training of the model", not different, ", ".join(different))


@kind("checkpoint", rf"{TRAINED}/checkpoints/step-(?P<step>\d+)\.safetensors", recorded=False)
def checkpoint(artefact: Artefact) -> Iterator[Check]:
    found = read_checkpoint(artefact.path)
    yield Check("its tensors have the sha256 that it states", True)
    yield Check("it is of the step in its name", found.step == int(artefact.names["step"]))
    state = {name: x for name, x in found.tensors.items() if not name.startswith("history/")}
    finite = all(bool(tensor.isfinite().all()) for tensor in state.values())
    yield Check("its weights and moments are finite", finite)
    yield from same_inputs(artefact, found.identity)


def same_inputs(artefact: Artefact, identity: dict[str, object]) -> Iterator[Check]:
    """Whether a checkpoint is of the training of the model beside it."""
    trained = artefact.path.parents[1] / "model.safetensors"
    if not trained.is_file() or not os.path.isfile(f"{trained}.json"):
        return
    record = read_record(trained)
    used = set(record["inputs"].values())
    belongs = {identity["data"], identity["statistics"]} == used
    yield Check("it is of the data and statistics of the model", belongs)
    same = identity["model"] == record["settings"]["model"]
    yield Check("it is of the settings of the model", same and identity["seed"] == record["seed"])
