"""What an experiment costs before it has data: its network, its schedule, an image's operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

from gud.config.preset import Preset
from gud.config.sections.bases import CHANNELS, BasisSettings, PrincipalBasis
from gud.config.sections.experiments import Experiment
from gud.diffusion.bases.wavelets import HAAR
from gud.diffusion.representation import Representation, Statistics
from gud.model import Model
from gud.networks.cost import Cost, count
from gud.planning.memory import together

T = TypeVar("T")

_counted: dict[str, Cost] = {}
"""What has been counted, by `_network`: counting takes seconds."""


def stand_in_statistics(basis: BasisSettings, size: int) -> Statistics:
    """Statistics of no data: enough to build a model and its schedules for images of a size."""
    components = basis.components(size)
    variance = 1 / torch.arange(1, components + 1, dtype=torch.float64)
    fitted = isinstance(basis, PrincipalBasis)
    rotation = torch.eye(components, dtype=torch.float64) if fitted else None
    low_pass = torch.tensor(HAAR, dtype=torch.float64) if basis.name == "wavelet" else None
    mean = torch.zeros(CHANNELS, size, size, dtype=torch.float64)
    return Statistics(mean, variance, rotation, low_pass)


def stand_in_representation(experiment: Experiment, size: int) -> Representation:
    statistics = stand_in_statistics(experiment.basis, size)
    whitened = experiment.prior == "variance_matching"
    return Representation(experiment.basis.of(statistics), statistics, whitened)


def network_cost(experiment: Experiment, size: int) -> Cost:
    """The cost of the network of an experiment for one image of a size."""
    alike = _network(experiment, size)
    if alike not in _counted:
        model = Model(experiment.model(), stand_in_statistics(experiment.basis, size))
        _counted[alike] = count(model.network, model.channels, size, model.state_shape[-1])
    return _counted[alike]


def _network(experiment: Experiment, size: int) -> str:
    """What tells a network from those that cost the same."""
    seen = experiment.process, experiment.preconditioning, experiment.basis.components(size)
    return repr((experiment.network, size, *seen))


def by_network(preset: Preset, told: Callable[[Experiment, int], T]) -> dict[str, T]:
    """What is told of a network and the size of its images, once for each, by experiment."""
    known: dict[str, T] = {}
    found = {}
    for name, experiment in preset.experiments.items():
        size = preset.data[experiment.data].image_size
        batches = together(preset, experiment), bool(experiment.nll.grids)
        key = repr((_network(experiment, size), *batches, experiment.training.precision))
        if key not in known:
            known[key] = told(experiment, size)
        found[name] = known[key]
    return found
