"""Experiments: one trained network each, and what it is evaluated for."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypedDict

from gud.config.leaves import differing
from gud.config.sections.data import Data
from gud.config.sections.evaluation import Likelihood, Quality, Sampling
from gud.config.sections.model import ModelSettings, TrainingSettings
from gud.config.sections.points import Grid, points
from gud.config.sections.schedules import FreePath, PathSearch, ScheduleFamily
from gud.config.sections.section import Name, Section, Text
from gud.config.sections.validation import Fault
from gud.errors import InputError

MOST_POINTS = 10_000
"""Of a grid."""
LEAST_RAMP = 8
"""Steps of Adams' method in which a component goes from data to noise: with 6 of them, likelihoods
of the demo's wavelets err by 0.3 bits/dim, with 12 those of its columns by 0.004."""
MOST_BATCHES = 1_000_000
"""Of images, at all points of a grid."""
COURSE = {"checkpoint_every", "log_every"}
"""Settings of a training on which the trained model does not depend."""


class NllTask(Section):
    grids: list[Grid]
    settings: Likelihood


class QualityTask(Section):
    grids: list[Grid]
    sampling: Sampling
    metric: Quality


class MadeBy(TypedDict):
    """What makes a model, as JSON values."""

    seed: int
    data: str
    model: dict[str, Any]
    training: dict[str, Any]


class Experiment(ModelSettings):
    """One trained network and what it is evaluated for.

    Args:
        group: the experiment's name in the file, which the networks of its training seeds share.
        seed: that of the training; see `gud.config.seeds`.
        weights_of: the experiment whose network is evaluated in place of one of its own.
        search: for the path of schedule `free`; others have none.
    """

    title: Text
    data: Name
    group: Name
    seed: int
    weights_of: Name | None = None
    search: PathSearch | None = None
    training: TrainingSettings
    nll: NllTask
    quality: QualityTask

    def model(self) -> ModelSettings:
        """The part that determines the trained model."""
        return ModelSettings(**{key: getattr(self, key) for key in ModelSettings.model_fields})

    def made_by(self) -> MadeBy:
        """All that determines the trained model."""
        return {
            "seed": self.seed,
            "data": self.data,
            "model": self.model().model_dump(mode="json"),
            "training": self.training.model_dump(mode="json", exclude=COURSE),
        }


def experiment_faults(experiment: Experiment, data: Data, gpus: int) -> Iterator[Fault]:
    """What can be known not to work before there is any data.

    Args:
        gpus: that a training shares its batches among.
    """
    schedule, basis, training = experiment.schedule, experiment.basis, experiment.training
    if schedule.bases and basis.name not in schedule.bases:
        yield (
            ("schedule", "name"),
            f"= {schedule.name} needs basis {' or '.join(schedule.bases)}, not {basis.name}",
        )
    if basis.name != "fourier" and schedule.ranges.get("r", (0.0, 0.0)) != (0.0, 0.0):
        yield ("schedule", "ranges", "r"), f"must be [0, 0] for basis {basis.name}"
    size = data.image_size
    checks: dict[str, Callable[[], None]] = {
        "basis": lambda: basis.check(size),
        "network": lambda: experiment.network.check(size, basis.components(size)),
    }
    for key, check in checks.items():
        try:
            check()
        except InputError as error:
            yield (key,), f"does not fit images of data.{experiment.data}: {error}"
    if gpus and training.batch_size % gpus:
        yield (
            ("training", "batch_size"),
            f"= {training.batch_size} cannot be shared evenly by compute.train_gpu = {gpus} GPUs",
        )
    yield from grid_faults(("nll", "grids"), experiment.nll.grids, schedule)
    yield from batch_faults(("nll", "settings"), experiment.nll.grids, experiment.nll.settings)
    yield from grid_faults(("quality", "grids"), experiment.quality.grids, schedule)
    if experiment.quality.grids:
        yield from quality_faults(experiment.quality)
    yield from _process_faults(experiment)
    yield from _search_faults(experiment)
    yield from _ramp_faults(experiment)


def weights_faults(name: str, experiments: Mapping[str, Experiment]) -> Iterator[Fault]:
    """Why the network of `weights_of` cannot be evaluated for an experiment, if it cannot."""
    experiment = experiments[name]
    if experiment.weights_of is None:
        return
    other, where = experiments[experiment.weights_of], ("weights_of",)
    if other.weights_of is not None:
        yield where, f"= {experiment.weights_of} trains no network: it takes another's as well"
    elif other.seed != experiment.seed:
        yield where, f"= {experiment.weights_of} has no network of training seed {experiment.seed}"
    one, two = experiment.made_by(), other.made_by()
    if isinstance(experiment.schedule, FreePath):
        # The network knows gamma and not the schedule, but where it is trained.
        del one["model"]["schedule"], two["model"]["schedule"]
    for key, (here, there) in differing(one, two).items():
        yield (
            where,
            f"= {experiment.weights_of} has another network than this experiment describes: "
            f"{key.removeprefix('model.')} is {json.dumps(there)} there, {json.dumps(here)} here",
        )
    if isinstance(experiment.schedule, FreePath):
        yield from _region_faults(experiment.schedule, other.schedule, experiment.weights_of)


def _region_faults(free: FreePath, known: ScheduleFamily, network: str) -> Iterator[Fault]:
    """Where a free path would leave what a network is trained for."""
    here = ("schedule", "name")
    if known.name != "soft_conditioning":
        yield here, f"= free needs a network of soft_conditioning, but {network} has {known.name}"
        return
    if what := known.outside({"r": 0.0}):
        yield here, f"= free orders components by variance, but {network} is asked for {what}"
    for key in ("gamma_denoise", "gamma_noise"):
        one, other = getattr(free, key), getattr(known, key)
        if one != other:
            yield ("schedule", key), f"= {one} must be that of {network}, {other}"
    for number in free.a:
        if what := known.outside({"a": number, "r": 0.0}):
            yield ("schedule", "a"), f"= {[*free.a]} asks {network} for {what}"


def _search_faults(experiment: Experiment) -> Iterator[Fault]:
    """A search without a free path, or the other way round, or of what it cannot judge."""
    schedule = experiment.schedule
    if not isinstance(schedule, FreePath):
        if experiment.search is not None:
            yield ("search",), f"is of paths of schedule free, not of {schedule.name}"
        return
    if experiment.search is None:
        yield ("search",), "is missing, which says how the path of schedule free is found"
    if experiment.weights_of is None:
        yield ("weights_of",), "is missing: schedule free lies where another's network is trained"
    if experiment.process.k != 1:
        yield ("process",), f"has k = {experiment.process.k}, but schedule free needs k = 1"


def _ramp_faults(experiment: Experiment) -> Iterator[Fault]:
    """Too few equal steps of Adams' method for the ramps of a sequential schedule."""
    settings = experiment.nll.settings
    if not experiment.schedule.sequential or settings.method != "adams" or settings.requested:
        return
    for name, point in points(experiment.nll.grids).items():
        steps = (settings.steps or math.inf) * math.prod(1 - value for value in point.values())
        if steps < LEAST_RAMP:
            yield (
                ("nll", "settings", "steps"),
                f"= {settings.steps} leaves method adams {steps:.2g} steps for a ramp of the "
                f"schedule at {name}, which takes {LEAST_RAMP} or more: take tsit5",
            )


def _process_faults(experiment: Experiment) -> Iterator[Fault]:
    """What does not serve processes of several variables per component."""
    k = experiment.process.k
    if k > 1 and experiment.nll.grids and experiment.nll.settings.method == "adams":
        where = ("nll", "settings", "method")
        yield where, f"= adams does not serve processes of k = {k} variables per component"


def quality_faults(quality: QualityTask) -> Iterator[Fault]:
    """Too many samples to be planned, or too few for what is measured on them."""
    images, groups = quality.sampling.images, quality.metric.stderr_groups
    yield from batch_faults(("quality", "sampling"), quality.grids, quality.sampling)
    if images < 2:
        yield ("quality", "sampling", "images"), f"= {images}: a covariance needs 2 or more"
    if groups > 1 and images - math.ceil(images / groups) < 2 or groups > images:
        yield (
            ("quality", "metric", "stderr_groups"),
            f"= {groups} leaves too few of quality.sampling.images = {images} when one group is "
            "left out",
        )
    if quality.metric.reference_images == 1:
        yield ("quality", "metric", "reference_images"), "= 1: a covariance needs 2 or more"


def grid_faults(
    keys: tuple[str, ...], grids: list[Grid], schedule: ScheduleFamily
) -> Iterator[Fault]:
    """Points that the network is not trained for, or that files cannot be named by."""
    for number, grid in enumerate(grids):
        here = (*keys, str(number))
        if grid.keys() != schedule.ranges.keys():
            yield (
                here,
                f"gives {', '.join(grid) or 'nothing'}, but schedule {schedule.name} has "
                f"{', '.join(schedule.ranges)}",
            )
        for key, values in grid.items():
            for value in values:
                if what := schedule.outside({key: value}):
                    yield here, f"asks for {what}"
                if float(f"{value:g}") != value:
                    yield (
                        here,
                        f"asks for {key} = {value!r}, which must have six digits at most: they "
                        "name its files",
                    )
        if (many := math.prod(map(len, grid.values()))) > MOST_POINTS:
            yield here, f"has {many} points, which must be {MOST_POINTS} at most"


def batch_faults(
    keys: tuple[str, ...], grids: list[Grid], settings: Likelihood | Sampling
) -> Iterator[Fault]:
    """More batches than a plan can hold."""
    most = sum(math.prod(map(len, grid.values())) for grid in grids)
    batches = most * math.ceil(settings.images / settings.batch_size)
    if batches > MOST_BATCHES:
        yield (
            (*keys, "images"),
            f"= {settings.images} makes {batches} batches of {settings.batch_size} at {most} "
            f"points, which must be {MOST_BATCHES} at most",
        )
