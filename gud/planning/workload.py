"""The work of a preset, counted before it is done: jobs, network evaluations, bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gud.config.applications import ApplicationJob
from gud.config.figures import ApplicationSection
from gud.config.jobs import Evaluation
from gud.config.paths import history_file
from gud.config.preset import Preset
from gud.config.sections.evaluation import (
    BOUND_REPLICATES,
    ClassifierSettings,
    Likelihood,
    Sampling,
)
from gud.config.sections.model import TrainingSettings
from gud.config.sections.points import points
from gud.config.sections.schedules import PathSearch
from gud.networks.cost import Cost
from gud.planning.costs import schedule_at
from gud.planning.finished import Finished, finished_shards, finished_training
from gud.planning.memory import BYTES, COPIES, memory, together
from gud.planning.rates import Rates
from gud.planning.stages import stages
from gud.training.checkpoint import KEPT

LEAST_EVALUATIONS = 8
"""Of an adaptive solver on a piece of a schedule without kinks: two to choose the first step, and
the six of one step of Tsitouras or of Dormand and Prince."""

HALF = "a pass through a classifier as half of one through the network"


@dataclass(frozen=True)
class Work:
    """One stage of one experiment.

    Args:
        jobs: as planned.
        images: that go through the stage.
        forward, backward: passes through the network, times images.
        updates: steps of training.
        largest: part of all images that is in the largest job.
        disk_bytes: of its artefacts.
        memory_bytes: on each GPU, of weights and of the activations of the images that it holds
            at once; None where they are not known.
        assumed: what the number of passes rests on.
        finished: what jobs of it took that are finished.
    """

    experiment: str
    stage: str
    jobs: int
    images: int
    forward: int = 0
    backward: int = 0
    updates: int = 0
    largest: float = 1.0
    disk_bytes: int = 0
    memory_bytes: int | None = None
    assumed: str = ""
    finished: Finished | None = None

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


def planned(
    preset: Preset, costs: Mapping[str, Cost], adaptive: int, results: Path
) -> Iterator[Work]:
    """All stages of a preset.

    Args:
        costs: of one image, by experiment.
        adaptive: network evaluations assumed of an adaptive solver, a piece of a schedule.
        results: where finished work is looked for, whose evaluations need not be assumed.
    """
    for stage in stages(preset):
        experiment, jobs = preset.experiments[stage.experiment], len(stage.made)
        cost, work = costs[stage.experiment], partial(Work, stage.experiment, stage.title)
        match stage.asked:
            case TrainingSettings() as training:
                images = training.steps * training.batch_size
                # A checkpoint holds weights, their average and two moments; a model the average.
                disk = (KEPT * (COPIES - 1) + 1) * cost.weights * BYTES
                held = memory(cost, together(preset, experiment), COPIES)
                passes = (images, images, training.steps)
                done = finished_training(results / history_file(stage.experiment), experiment)
                yield work(jobs, images, *passes, disk_bytes=disk, memory_bytes=held, finished=done)
            case ClassifierSettings(training=training):
                images = jobs * training.steps * training.batch_size
                passes = (images // 2, images // 2, jobs * training.steps)
                yield work(jobs, images, *passes, assumed=HALF)
            case PathSearch() as search:
                # And the bound along two paths, on further images.
                searched = search.steps * search.batch_size
                forward = searched + 2 * search.images * BOUND_REPLICATES * search.times
                images = searched + search.images
                yield work(jobs, images, forward=forward, backward=searched)
            case Evaluation() as evaluation:
                yield evaluation_work(work, preset, evaluation, cost, adaptive, results)
            case ApplicationSection() as figure:
                kinds = {kind.made: kind for kind in ApplicationJob.__subclasses__()}
                (point,) = points(figure.grids)
                job = kinds[figure.made].of(preset, stage.experiment, point)
                schedule = schedule_at(preset, experiment, job.parameters)
                made = job.amount(preset.data[experiment.data], schedule)
                yield work(jobs, made.images, forward=made.passes, disk_bytes=made.kept)
            case samples:
                yield work(jobs, samples.images * jobs)


def evaluation_work(
    work: Callable[..., Work],
    preset: Preset,
    evaluation: Evaluation,
    cost: Cost,
    adaptive: int,
    results: Path,
) -> Work:
    """Likelihoods or samples at all points; evaluations are those of finished work if there is."""
    settings, experiment = evaluation.settings, preset.experiments[evaluation.experiment]
    jobs = evaluation.jobs().values()
    in_jobs = [sum(last - first for first, last in job.values()) for job in jobs]
    images, assumed, finished = sum(in_jobs), "", finished_shards(results, evaluation)
    # An ODE of samples has tolerances, and no steps.
    steps = settings.steps if isinstance(settings, Likelihood) else None
    if isinstance(settings, Sampling) and settings.method != "ode":
        each: float = settings.steps
    elif finished:
        each = finished.evaluations
        assumed = f"{each:.0f} evaluations as in {finished.source}"
    else:
        paths = (schedule_at(preset, experiment, at).path for at in evaluation.points.values())
        kinks = [len(path.kinks) for path in paths]
        counts = [solver_evaluations(k, adaptive, settings.method, steps) for k in kinks]
        each = sum(counts) / len(counts)
        if steps is None:
            assumed = f"{each:.0f} evaluations on average, by --evaluations"
    forward, backward, memory_bytes = round(images * each), 0, None
    held = 3 * preset.data[experiment.data].image_size ** 2  # 8-bit colour images
    if isinstance(settings, Likelihood):
        solutions = 1 + ("noised" in settings.also)
        replicates = BOUND_REPLICATES * ("bound" in settings.also)
        if (finer := settings.finer) and steps:
            forward += round(forward * finer.steps * finer.images / steps / settings.images)
        forward *= solutions
        backward = forward * settings.probes
        forward += images * replicates * settings.bound_times
        if evaluation.requested:
            most = "all images, the most that may be taken"
            assumed = f"{assumed}; {most}" if assumed else most
        # Bits/dim in double precision and the number of the image.
        held = 8 * (settings.probes * solutions + replicates + 1)
        memory_bytes = memory(cost, settings.batch_size, 1)
    return work(
        len(jobs),
        images,
        forward,
        backward,
        largest=max(in_jobs) / images,
        disk_bytes=2 * images * held,
        memory_bytes=memory_bytes,
        assumed=assumed,
        finished=finished,
    )
