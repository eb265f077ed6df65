"""What an experiment costs before it has data: its network, its schedule, an image's operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

from gud.config.preset import Preset
from gud.config.sections.bases import CHANNELS, BasisSettings, PrincipalBasis
from gud.config.sections.experiments import Experiment
from gud.config.sections.section import Parameters
from gud.diffusion.bases.wavelets import HAAR
from gud.diffusion.representation import Representation, Statistics
from gud.diffusion.schedules import Schedule
from gud.model import Model
from gud.networks.cost import Cost, count
from gud.planning.memory import together

T = TypeVar("T")


def stand_in_statistics(basis: BasisSettings, size: int) -> Statistics:
    """Statistics of no data: enough to build a model and its schedules for images of a size."""
    components = basis.components(size)
    variance = 1 / torch.arange(1, components + 1, dtype=torch.float64)
    fitted = isinstance(basis, PrincipalBasis)
    rotation = torch.eye(components, dtype=torch.float64) if fitted else None
    low_pass = torch.tensor(HAAR, dtype=torch.float64) if basis.name == "wavelet" else None
    mean = torch.zeros(CHANNELS, size, size, dtype=torch.float64)
    return Statistics(mean, variance, rotation, low_pass)


def schedule_at(preset: Preset, experiment: Experiment, parameters: Parameters) -> Schedule:
    """The schedule of an experiment for data whose statistics are not known yet."""
    basis, size = experiment.basis, preset.data[experiment.data].image_size
    statistics = stand_in_statistics(basis, size)
    whitened = experiment.prior == "variance_matching"
    representation = Representation(basis.of(statistics), statistics, whitened)
    return experiment.schedule.build(representation, parameters)


def network_cost(experiment: Experiment, size: int) -> Cost:
    """The cost of the network of an experiment for one image of a size."""
    model = Model(experiment.model(), stand_in_statistics(experiment.basis, size))
    return count(model.network, model.channels, size, model.state_shape[-1])


def by_network(preset: Preset, told: Callable[[Experiment, int], T]) -> dict[str, T]:
    """What is told of a network and the size of its images, once for each, by experiment."""
    known: dict[str, T] = {}
    found = {}
    for name, experiment in preset.experiments.items():
        size = preset.data[experiment.data].image_size
        network = experiment.network, experiment.process, experiment.preconditioning
        images = size, experiment.basis.components(size), together(preset, experiment)
        key = repr((network, images, experiment.training.precision, bool(experiment.nll.grids)))
        if key not in known:
            known[key] = told(experiment, size)
        found[name] = known[key]
    return found
