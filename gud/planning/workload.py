"""The work of a preset, counted before it is done: jobs, network evaluations, bytes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gud.config.applications import applications
from gud.config.jobs import Evaluation, batches_in_job, evaluations
from gud.config.paths import quality_folder
from gud.config.preset import Preset
from gud.config.sections.data import class_count, image_size
from gud.config.sections.evaluation import (
    BOUND_REPLICATES,
    ConditionalSettings,
    InpaintingSettings,
    Likelihood,
    PathSearch,
    ReconstructionSettings,
    StripSettings,
)
from gud.config.sections.points import points
from gud.config.sections.section import Parameters
from gud.diffusion.schedules import Schedule
from gud.diffusion.schedules.sequential import Sequential
from gud.diffusion.strips import ROUNDING, SlidingWindow, sliding_window
from gud.planning.costs import BYTES, Cost, Rates, stand_in_representation
from gud.planning.finished import Finished, Found, stage_of
from gud.planning.memory import COPIES, memory, together
from gud.training.checkpoint import KEPT

LEAST_EVALUATIONS = 8
"""Of an adaptive solver on a piece of a schedule without kinks: two to choose the first step, and
the six of one step of Tsitouras or of Dormand and Prince."""


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
        disk_bytes: of its artefacts.
        memory_bytes: on each GPU, of weights and of the activations of the images that it holds
            at once; None where they are not known.
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
    disk_bytes: int = 0
    memory_bytes: int | None = None
    assumed: str = ""

    def seconds(self, rates: Rates) -> float:
        if self.updates:
            return self.forward * rates.train + self.updates * rates.step
        return self.forward * rates.forward + self.backward * rates.backward


def solver_evaluations(kinks: int, adaptive: int, method: str, steps: int | None) -> int:
    """Network evaluations of one solution: assumed, but for fixed steps.

    Args:
        kinks: of the schedule, at which solvers stop, but for `adams`.
        adaptive: assumed for an adaptive method on a schedule without kinks.
    """
    if method == "adams":
        return steps + 1 if steps else adaptive
    if steps:
        return 4 * steps * (kinks + 1)
    return adaptive + LEAST_EVALUATIONS * kinks


def strip_evaluations(window: SlidingWindow, strip: StripSettings) -> int:
    """Network evaluations of one strip by `generate_strips`, without final cleaning."""

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
        if experiment.weights_of is None:
            yield training_work(preset, name, costs[name])
        if experiment.search:
            yield search_work(name, experiment.search)
        for evaluation in asked[name]:
            if evaluation.points:
                finished = found.get((name, stage_of(evaluation)))
                yield evaluation_work(preset, evaluation, costs[name], adaptive, finished)
            if evaluation.name.startswith("samples") and evaluation.points:
                images = evaluation.settings.images * len(evaluation.points)
                number, stage = len(evaluation.points), quality_folder(evaluation.name)
                yield Work(name, stage.replace("-", " "), number, number, images)
        yield from application_work(preset, name)


def training_work(preset: Preset, name: str, cost: Cost) -> Work:
    experiment = preset.experiments[name]
    training = experiment.training
    images = training.steps * training.batch_size
    # A checkpoint holds the weights, their average and two moments; the model the average alone.
    disk = (KEPT * (COPIES - 1) + 1) * cost.weights * BYTES
    return Work(
        name,
        "training",
        jobs=1,
        batches=1,
        images=images,
        forward=images,
        backward=images,
        updates=training.steps,
        disk_bytes=disk,
        memory_bytes=memory(cost, together(preset, experiment), COPIES),
    )


def search_work(name: str, search: PathSearch) -> Work:
    """The search for a path, and the bound along two paths on further images."""
    searched = search.steps * search.batch_size
    compared = 2 * search.images * BOUND_REPLICATES * search.times
    images = searched + search.images
    return Work(name, "search", 1, 1, images, forward=searched + compared, backward=searched)


def evaluation_work(
    preset: Preset, evaluation: Evaluation, cost: Cost, adaptive: int, finished: Finished | None
) -> Work:
    """Likelihoods or samples at all points; evaluations are those of finished work if there is."""
    settings = evaluation.settings
    likelihood = isinstance(settings, Likelihood)
    jobs = evaluation.jobs(batches_in_job(preset, evaluation.name))
    in_jobs = [sum(last - first for first, last in job.values()) for job in jobs.values()]
    images, assumed = sum(in_jobs), ""
    if not likelihood and settings.method != "ode":
        forward = images * (settings.steps or 0)
    elif finished:
        forward = round(images * finished.evaluations)
        assumed = f"{finished.evaluations:.0f} evaluations as in {finished.source}"
    else:
        paths = (
            schedule_at(preset, evaluation.experiment, point).path
            for point in evaluation.points.values()
        )
        each = [
            solver_evaluations(len(path.kinks), adaptive, settings.method, settings.steps)
            for path in paths
        ]
        forward = settings.images * sum(each)
        if not likelihood or settings.steps is None:
            assumed = f"{sum(each) / len(each):.0f} evaluations on average, by --evaluations"
    size = image_size(preset.data[preset.experiments[evaluation.experiment].data])
    backward, held = 0, 3 * size * size  # 8-bit colour images
    if isinstance(settings, Likelihood):
        solutions = 1 + ("noised" in settings.also)
        if (finer := settings.finer) and settings.steps:
            forward += round(
                forward * finer.steps * finer.images / settings.steps / settings.images
            )
        replicates = BOUND_REPLICATES * ("bound" in settings.also)
        forward *= solutions
        backward = forward * settings.probes
        forward += images * replicates * settings.bound_times
        if evaluation.requested:
            assumed = "; ".join(
                [*filter(None, [assumed]), "all images, the most that may be taken"]
            )
        # Bits/dim in double precision and the number of the image.
        held = 8 * (settings.probes * solutions + replicates + 1)
    return Work(
        evaluation.experiment,
        stage_of(evaluation),
        jobs=len(jobs),
        batches=len(evaluation.jobs(1)),
        images=images,
        forward=forward,
        backward=backward,
        largest=max(in_jobs) / images,
        disk_bytes=2 * images * held,
        memory_bytes=memory(cost, settings.batch_size, 1) if likelihood else None,
        assumed=assumed,
    )


def schedule_at(preset: Preset, name: str, parameters: Parameters) -> Schedule:
    """The schedule of an experiment for data whose statistics are not known yet."""
    experiment = preset.experiments[name]
    representation = stand_in_representation(experiment, image_size(preset.data[experiment.data]))
    return experiment.schedule.build(representation, parameters)


def application_work(preset: Preset, name: str) -> Iterator[Work]:
    """What figures put an experiment to: strips, reconstructions, completions."""
    columns = image_size(preset.data[preset.experiments[name].data])
    image = 3 * columns * columns
    for figure in applications(preset, name):
        asked, settings = points(figure.grids), figure.settings
        if isinstance(settings, StripSettings):
            images = settings.strips * len(asked)
            windows = [strip_window(preset, name, point, settings) for point in asked.values()]
            each = [strip_evaluations(window, settings) for window in windows]
            forward = settings.strips * sum(each)
            # 8-bit strips and a picture of one window in float32.
            width = (settings.windows - 1) * settings.shift + columns
            disk = images * (image * width // columns + 4 * image)
        elif isinstance(settings, ConditionalSettings):
            yield classifier_work(preset, name, settings)
            images = settings.guidance.sampling.images * len(asked)
            images *= 1 + class_count(preset.data[preset.experiments[name].data])
            forward = images * settings.guidance.sampling.steps
            disk = image * images
        elif isinstance(settings, InpaintingSettings):
            images = settings.sampling.images * settings.keys * len(asked)
            forward = images * settings.sampling.steps
            disk = image * settings.sampling.images * len(asked) * (settings.keys + 1)
        else:
            assert isinstance(settings, ReconstructionSettings)
            images = settings.images * settings.keys * len(asked)
            forward = images * settings.steps
            disk = image * settings.images * len(asked) * (settings.keys + 5)
        yield Work(name, figure.made, len(asked), len(asked), images, forward, disk_bytes=disk)


def classifier_work(preset: Preset, name: str, settings: ConditionalSettings) -> Work:
    """The training of two classifiers, each the downward half of a network."""
    training = settings.classifier.training
    images = 2 * training.steps * training.batch_size
    assumed = "a pass through a classifier as half of one through the network"
    passes = {"forward": images // 2, "backward": images // 2, "updates": 2 * training.steps}
    return Work(name, "classifiers", 2, 2, images, **passes, assumed=assumed)


def strip_window(
    preset: Preset, name: str, parameters: Parameters, strip: StripSettings
) -> SlidingWindow:
    """The window of a strip, as if data had variance 1."""
    path = schedule_at(preset, name, parameters).path
    assert isinstance(path, Sequential)
    columns = image_size(preset.data[preset.experiments[name].data])
    # What noise may be left in columns that are cut off does not change the steps.
    return sliding_window(path, columns, strip.shift, strip.time, residual=0.999)
