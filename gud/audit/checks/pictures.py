"""Checks of the pictures of experiments: each is drawn again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import click
import torch

from gud.audit.checks.check import Artefact, Check, kind, made_of, same_file
from gud.audit.checks.training import EXPERIMENT
from gud.config import inputs
from gud.config.preset import Preset
from gud.errors import InputError
from gud.figures.pictures import course, likelihoods, samples, steps


def redrawn(artefact: Artefact, command: click.Command, **options: Any) -> Check:
    """Whether the command that drew a picture gives its bytes again."""
    again = artefact.run.folder(artefact.names["experiment"]) / artefact.path.name
    assert command.callback
    named = {"preset": artefact.run.named, "experiment": artefact.names["experiment"]}
    try:
        command.callback(picture=again, **named, **options)
    except InputError as error:
        return Check("the preset has its experiment", False, str(error), stale=True)
    return same_file("it is drawn again to the same bytes", artefact, again)


def of_points(
    artefact: Artefact, command: click.Command, asked: Callable[[Preset, str], list[str]]
) -> Iterator[Check]:
    """Checks of a picture of all points that a preset asks for of an experiment."""
    yield redrawn(artefact, command, points=tuple(artefact.inputs))
    preset, experiment = artefact.run.preset, artefact.names["experiment"]
    if experiment in preset.experiments:
        yield made_of(artefact, asked(preset, experiment))


@kind("picture of a training", rf"{EXPERIMENT}/training\.png")
def of_training(artefact: Artefact) -> Iterator[Check]:
    yield redrawn(artefact, course.main, table=artefact.input(".csv"))


@kind("picture of likelihoods", rf"{EXPERIMENT}/nll\.png")
def of_likelihoods(artefact: Artefact) -> Iterator[Check]:
    yield from of_points(artefact, likelihoods.main, inputs.measured)


@kind("picture of samples", rf"{EXPERIMENT}/samples\.png")
def of_samples(artefact: Artefact) -> Iterator[Check]:
    yield from of_points(artefact, samples.main, inputs.drawn)


@kind("picture of steps", rf"{EXPERIMENT}/steps\.png")
def of_steps(artefact: Artefact) -> Iterator[Check]:
    """With as many threads as the job had: another number rounds the steps otherwise."""
    model, data = artefact.input(".safetensors"), artefact.input(".npz")
    threads = torch.get_num_threads()
    torch.set_num_threads(artefact.run.preset.compute.threads)
    try:
        yield redrawn(artefact, steps.main, model=model, data=data, device=None)
    finally:
        torch.set_num_threads(threads)
