"""The work of a preset, counted before it is done: jobs, network evaluations, bytes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gud.checkpoint import KEPT
from gud.families import schedule_from_settings
from gud.plan import Evaluation, evaluations
from gud.preset import Experiment, Preset, points
from gud.rates import BYTES, Cost, Finished, Rates, stand_in_representation
from gud.schedules import Schedule
from gud.sequential import Sequential
from gud.settings import Data, Parameters
from gud.strips import ROUNDING, SlidingWindow, sliding_window
from gud.tasks import Likelihood, StripSettings

LEAST_EVALUATIONS = 8
"""Of an adaptive solver on a piece of a schedule without kinks: two to choose the first step, and
the six of one step of Tsitouras or of Dormand and Prince."""
COPIES = 5
"""Of all weights, in training: weights, gradients, Adam's two moments and the average."""
Found = Mapping[tuple[str, str], Finished]
"""Finished work by experiment and stage."""
STAGES = {"nll": "likelihood", "samples": "sampling"}


@dataclass(frozen=True)
class Work:
    """One stage of one experiment.

    Args:
        jobs: as planned.
        batches: jobs of one batch of images each.
        images: that go through the stage.
        forward, backward: passes through the network, times images.
        updates: steps of training.
        largest: part of all images that is in the largest job.
        disk: bytes of its artefacts.
        memory: bytes of weights and activations of a batch; None where they are not known.
        assumed: what the number of passes rests on.
    """

    experiment: str
    stage: str
    jobs: int
    batches: int
    images: int
    forward: int = 0
    backward: int = 0
    updates: int = 0
    largest: float = 1.0
    disk: int = 0
    memory: int | None = None
    assumed: str = ""

    def seconds(self, rates: Rates) -> float:
        if self.updates:
            return self.forward * rates.train + self.updates * rates.step
        return self.forward * rates.forward + self.backward * rates.backward


def image_size(data: Data) -> int:
    """Height and width of a data set's images; those of CIFAR-10 are its own."""
    return getattr(data, "size", 32)


def solver_evaluations(kinks: int, adaptive: int, method: str, steps: int | None) -> int:
    """Network evaluations of one solution: assumed, but for fixed steps.

    Args:
        kinks: of the schedule, at which solvers stop.
        adaptive: assumed for an adaptive method on a schedule without kinks.
    """
    if method == "rk4":
        return 4 * (steps or 1) * (kinks + 1)
    return adaptive + LEAST_EVALUATIONS * kinks


def strip_evaluations(window: SlidingWindow, strip: StripSettings) -> int:
    """Network evaluations of one strip by `gud.strips.generate_strips`, without final cleaning."""

    def steps(start: float, end: float) -> int:
        return max(1, math.ceil((start - end) * strip.steps_per_unit - ROUNDING))

    first = steps(1.0, window.time) if window.time < 1 else 0
    moves = (strip.windows - 1) * steps(window.time, window.end)
    return first + moves + steps(window.time, 0.0)


def planned(
    preset: Preset, costs: Mapping[str, Cost], adaptive: int, found: Found
) -> Iterator[Work]:
    """All stages of a preset.

    Args:
        costs: of one image, by experiment.
        adaptive: network evaluations assumed of an adaptive solver, a piece of a schedule.
        found: finished work, whose evaluations need not be assumed.
    """
    asked: dict[str, list[Evaluation]] = {}
    for evaluation in evaluations(preset):
        asked.setdefault(evaluation.experiment, []).append(evaluation)
    for name, experiment in preset.experiments.items():
        yield training_work(name, experiment, costs[name])
        for evaluation in asked[name]:
            if evaluation.points:
                finished = found.get((name, stage_of(evaluation)))
                yield evaluation_work(preset, evaluation, costs[name], adaptive, finished)
            if evaluation.name == "samples" and evaluation.points:
                images = evaluation.settings.images * len(evaluation.points)
                number = len(evaluation.points)
                yield Work(name, "quality", number, number, images)
        yield from application_work(preset, name)


def stage_of(evaluation: Evaluation) -> str:
    return STAGES.get(evaluation.name, evaluation.name.replace("-", " "))


def training_work(name: str, experiment: Experiment, cost: Cost) -> Work:
    training = experiment.training
    images = training.steps * training.batch_size
    # A checkpoint holds the weights, their average and two moments; the model the average alone.
    disk = (KEPT * (COPIES - 1) + 1) * cost.weights * BYTES
    memory = COPIES * cost.weights * BYTES + cost.activations * training.batch_size
    return Work(
        name,
        "training",
        jobs=1,
        batches=1,
        images=images,
        forward=images,
        backward=images,
        updates=training.steps,
        disk=disk,
        memory=memory,
    )


def evaluation_work(
    preset: Preset, evaluation: Evaluation, cost: Cost, adaptive: int, finished: Finished | None
) -> Work:
    """Likelihoods or samples at all points; evaluations are those of finished work if there is."""
    settings, batches = evaluation.settings, preset.compute.job_batches
    likelihood = isinstance(settings, Likelihood)
    jobs = evaluation.jobs(batches.nll if likelihood else batches.samples)
    in_jobs = [sum(last - first for first, last in job.values()) for job in jobs]
    images, assumed = sum(in_jobs), ""
    if settings.method in ("euler_maruyama", "ancestral"):
        forward = images * (settings.steps or 0)
    elif finished:
        forward = round(images * finished.evaluations)
        assumed = f"{finished.evaluations:.0f} evaluations as in {finished.source}"
    else:
        each = [
            solver_evaluations(kinks, adaptive, settings.method, settings.steps)
            for kinks in kinks_of(preset, evaluation)
        ]
        forward = settings.images * sum(each)
        if settings.method != "rk4":
            assumed = f"{sum(each) / len(each):.0f} evaluations on average, by --evaluations"
    size = image_size(preset.data[preset.experiments[evaluation.experiment].data])
    # Bits/dim in double precision and the number of the image, or 8-bit colour images.
    held = 8 * (settings.probes + 1) if isinstance(settings, Likelihood) else 3 * size * size
    return Work(
        evaluation.experiment,
        stage_of(evaluation),
        jobs=len(jobs),
        batches=len(evaluation.jobs(1)),
        images=images,
        forward=forward,
        backward=forward * (settings.probes if isinstance(settings, Likelihood) else 0),
        largest=max(in_jobs) / images,
        disk=2 * images * held,
        memory=cost.weights * BYTES + cost.activations * settings.batch_size
        if likelihood
        else None,
        assumed=assumed,
    )


def schedule_at(preset: Preset, name: str, parameters: Parameters) -> Schedule:
    """The schedule of an experiment for data whose statistics are not known yet."""
    experiment = preset.experiments[name]
    representation = stand_in_representation(experiment, image_size(preset.data[experiment.data]))
    return schedule_from_settings(experiment.schedule.model_dump(), representation, parameters)


def kinks_of(preset: Preset, evaluation: Evaluation) -> list[int]:
    """Number of kinks of the schedule at each point."""
    return [
        len(schedule_at(preset, evaluation.experiment, point).path.kinks)
        for point in evaluation.points.values()
    ]


def application_work(preset: Preset, name: str) -> Iterator[Work]:
    """Strips (Figure 7) and reconstructions (Figure 8) by an experiment."""
    columns = image_size(preset.data[preset.experiments[name].data])
    image = 3 * columns * columns
    figure = preset.figures.figure7
    if figure and figure.experiment == name:
        strip, total = figure.settings, 0
        asked = points(figure.grids)
        for parameters in asked.values():
            path = schedule_at(preset, name, parameters).path
            assert isinstance(path, Sequential)
            # What noise may be left in columns that are cut off does not change the steps.
            window = sliding_window(path, columns, strip.shift, strip.time, residual=0.999)
            total += strip.strips * strip_evaluations(window, strip)
        images = strip.strips * len(asked)
        # 8-bit strips and a picture of one window in float32.
        width = (strip.windows - 1) * strip.shift + columns
        disk = images * (image * width // columns + 4 * image)
        yield Work(name, "strips", len(asked), len(asked), images, total, disk=disk)
    sketch = preset.figures.figure8
    if sketch and sketch.experiment == name:
        asked, section = points(sketch.grids), sketch.settings
        images = section.images * section.keys * len(asked)
        disk = image * section.images * len(asked) * (section.keys + 5)
        forward = images * section.steps
        yield Work(name, "reconstructions", len(asked), len(asked), images, forward, disk=disk)
