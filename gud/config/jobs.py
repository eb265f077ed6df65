"""What a preset computes: the settings of each job, and how evaluations are cut into jobs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict, TypeVar

from gud.config.figures import Labels
from gud.config.paths import model_file, path_file
from gud.config.preset import Preset
from gud.config.sections.data import Data
from gud.config.sections.evaluation import Likelihood, Ranges, Sampling
from gud.config.sections.experiments import MOST_BATCHES, Experiment, MadeBy
from gud.config.sections.model import ModelSettings, TrainingSettings
from gud.config.sections.points import Grid, parameters_of_point, points
from gud.config.sections.schedules import FreePath, PathSearch
from gud.config.sections.section import Name, Parameters, Section
from gud.errors import InputError

T = TypeVar("T")


class TrainingJob(Section):
    """All that determines a trained model but its data."""

    experiment: Name
    model: ModelSettings
    training: TrainingSettings
    seed: int


class SearchJob(Section):
    """The search for the path of an experiment."""

    experiment: Name
    schedule: FreePath
    search: PathSearch
    seed: int


class Trained(MadeBy, TypedDict):
    """What made a model, for whose group: tables tell of it, and tell by it what compares."""

    group: str


@dataclass(frozen=True)
class Evaluation:
    """One quantity at all points of one experiment.

    Args:
        experiment: its name.
        model: the file of what is evaluated, see `model_of`.
        trained: what made its model, see `trained`.
        seed: of all random draws.
        name: of the quantity and its folder: `nll`, `samples`, `samples-SAMPLER` or
            `gallery-METHOD`.
        points: by identifier, such as `a=0.4_r=0`.
        settings: how it is computed; `batch_size` images are computed together.
        batches: of images that one job computes.
    """

    experiment: str
    model: str
    trained: Trained
    seed: int
    name: str
    points: dict[str, Parameters]
    settings: Likelihood | Sampling
    batches: int

    @property
    def requested(self) -> bool:
        """Whether its errors are requested, so that its images are the most that may be taken."""
        return isinstance(self.settings, Likelihood) and self.settings.requested

    def record(self, point: str) -> dict[str, Any]:
        """The settings of a point as its record states them, and as its shards are keyed by."""
        section = "likelihood" if isinstance(self.settings, Likelihood) else "sampling"
        return {
            "experiment": self.experiment,
            "trained": self.trained,
            "seed": self.seed,
            "parameters": parameters_of_point(point),
            section: self.settings.model_dump(),
        }

    def jobs(self) -> dict[str, Ranges]:
        """The work in jobs: the range of images of each point in a job.

        A job's name is a hash of all that it computes. An evaluation with a requested error is one
        job, which computes as much of it as it takes.
        """
        batches = MOST_BATCHES if self.requested else self.batches
        images, size = self.settings.images, self.settings.batch_size
        work = [(point, start) for point in self.points for start in range(0, images, size)]
        jobs = {}
        for first in range(0, len(work), batches):
            job: Ranges = {}
            for point, start in work[first : first + batches]:
                begin, _ = job.get(point, (start, start))
                job[point] = (begin, min(start + size, images))
            content = [[self.record(point), *images] for point, images in job.items()]
            text = json.dumps(content, sort_keys=True)
            jobs[hashlib.sha256(text.encode()).hexdigest()[:12]] = job
        return jobs

    def point(self, name: str) -> Parameters:
        """The parameters of a point that the preset asks for."""
        if name not in self.points:
            raise InputError(
                f"point {name} is not in the grids of {self.name} of {self.experiment}, which hold "
                f"{', '.join(self.points) or 'none'}"
            )
        return self.points[name]


def get_experiment(preset: Preset, name: str) -> Experiment:
    """The experiment of that name; `InputError` if there is none."""
    return _named("experiment", preset.experiments, name)


def experiment_labels(preset: Preset, name: str) -> Labels:
    """What the pictures of an experiment need to know of its preset."""
    experiment = get_experiment(preset, name)
    return Labels(
        dataset=preset.titles[experiment.data], stand_in=preset.stand_in, basis=experiment.basis
    )


def network_of(preset: Preset, experiment: str) -> str:
    """The experiment whose network is evaluated for an experiment: itself, or its `weights_of`."""
    return get_experiment(preset, experiment).weights_of or experiment


def model_of(preset: Preset, experiment: str) -> str:
    """The file of what is evaluated for an experiment: a network, with a path that was found."""
    if isinstance(get_experiment(preset, experiment).schedule, FreePath):
        return path_file(experiment)
    return model_file(network_of(preset, experiment))


def get_data(preset: Preset, name: str) -> Data:
    """The data set of that name; `InputError` if there is none."""
    return _named("data set", preset.data, name)


def _named(what: str, known: Mapping[str, T], name: str) -> T:
    if name not in known:
        raise InputError(f"there is no {what} {name} in the preset, which has {', '.join(known)}")
    return known[name]


def trained(preset: Preset, name: str) -> Trained:
    """What will have made the model that is evaluated for an experiment, and whose group it is."""
    network = preset.experiments[network_of(preset, name)]
    return {"group": preset.experiments[name].group, **network.made_by()}


def training_job(preset: Preset, name: str) -> TrainingJob:
    """The training of an experiment; `InputError` if it takes the network of another."""
    experiment = get_experiment(preset, name)
    if experiment.weights_of is not None:
        raise InputError(
            f"experiment {name} trains no network: it takes that of {experiment.weights_of}"
        )
    return TrainingJob(
        experiment=name,
        model=experiment.model(),
        training=experiment.training,
        seed=experiment.seed,
    )


def search_job(preset: Preset, name: str) -> SearchJob:
    """The search for a path; `InputError` if the experiment's schedule is of another family."""
    experiment = get_experiment(preset, name)
    if not isinstance(experiment.schedule, FreePath) or experiment.search is None:
        raise InputError(
            f"experiment {name} has schedule {experiment.schedule.name}, whose paths are not "
            "searched: only those of schedule free are"
        )
    schedule, search = experiment.schedule, experiment.search
    return SearchJob(experiment=name, schedule=schedule, search=search, seed=preset.seed)


def evaluations_of(preset: Preset, name: str) -> Iterator[Evaluation]:
    """All that is computed at points of its schedule, but for what single figures ask for."""
    experiment = get_experiment(preset, name)
    asked: list[tuple[str, list[Grid], Likelihood | Sampling]] = [
        ("nll", experiment.nll.grids, experiment.nll.settings),
        ("samples", experiment.quality.grids, experiment.quality.sampling),
    ]
    for figure in preset.figures.named().values():
        if name in figure.sampled(preset.experiments):
            asked += [(key, *samples) for key, samples in figure.samples(experiment).items()]
    made, model, batches = trained(preset, name), model_of(preset, name), preset.compute.job_batches
    for quantity, grids, settings in asked:
        most = batches.nll if quantity == "nll" else batches.samples
        yield Evaluation(name, model, made, preset.seed, quantity, points(grids), settings, most)


def get_evaluation(preset: Preset, experiment: str, quantity: str) -> Evaluation:
    """One quantity of one experiment; `InputError` if the preset does not ask for it."""
    for evaluation in evaluations_of(preset, experiment):
        if evaluation.name == quantity:
            return evaluation
    raise InputError(f"the preset does not ask for {quantity} of experiment {experiment}")
