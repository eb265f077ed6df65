"""What one image costs a network, counted and not measured: operations and memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from gud.config.sections.bases import BasisSettings, PrincipalBasis
from gud.config.sections.experiments import Experiment
from gud.config.sections.section import Section
from gud.diffusion.bases.wavelets import HAAR
from gud.diffusion.representation import Representation, Statistics
from gud.networks import build_network

NonNegativeFloat = Annotated[float, Field(ge=0)]
BYTES = torch.float32.itemsize


class Rates(Section):
    """Seconds: of one image in each pass through the network, and of one step of training.

    Args:
        train: forward and backward to the weights, an image.
        step: Adam and the moving average, a step.
        forward: an image.
        backward: to the image, an image and probe.
    """

    train: NonNegativeFloat
    step: NonNegativeFloat
    forward: NonNegativeFloat
    backward: NonNegativeFloat


@dataclass(frozen=True)
class Cost:
    """Of one image, as counted and not measured.

    Args:
        weights: number of them.
        forward: floating-point operations of convolutions and matrix products.
        train: those of forward and backward to the weights.
        backward: those of backward to the image.
        activations: bytes kept for a backward pass, in float32.
    """

    weights: int
    forward: int
    train: int
    backward: int
    activations: int

    def at(self, teraflops: float) -> Rates:
        """The rates of a device that sustains so many 10^12 operations a second."""
        second = teraflops * 1e12
        return Rates(
            train=self.train / second,
            step=0.0,
            forward=self.forward / second,
            backward=self.backward / second,
        )


def count(network: torch.nn.Module, channels: int, size: int, components: int) -> Cost:
    """The cost of a network on one image, without computing anything.

    Args:
        network: takes images (batch, channels, size, size) and gamma (batch, components).
    """
    weights = sum(parameter.numel() for parameter in network.parameters())
    forward, to_weights, activations = _passes(network, channels, size, components)
    network.requires_grad_(False)
    _, to_image, _ = _passes(network, channels, size, components, wanted=True)
    network.requires_grad_(True)
    return Cost(weights, forward, forward + to_weights, to_image, activations)


def _passes(
    network: torch.nn.Module, channels: int, size: int, components: int, wanted: bool = False
) -> tuple[int, int, int]:
    """Operations of the forward and the backward pass, and bytes kept in between."""
    weights = {t.untyped_storage()._cdata for t in (*network.parameters(), *network.buffers())}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage.nbytes()
        return tensor

    with FakeTensorMode(allow_non_fake_inputs=True):
        images = torch.zeros(1, channels, size, size).requires_grad_(wanted)
        with FlopCounterMode(display=False) as counter:
            with saved_tensors_hooks(keep, lambda tensor: tensor):
                out = network(images, torch.zeros(1, components))
            forward = counter.get_total_flops()
            out.backward(torch.ones_like(out))
            total = counter.get_total_flops()
    activations = sum(size for storage, size in kept.items() if storage not in weights)
    return forward, total - forward, activations


def stand_in_statistics(basis: BasisSettings, size: int) -> Statistics:
    """Statistics of no data: enough to build a model and its schedules for images of a size."""
    components = basis.components(size)
    variance = 1 / torch.arange(1, components + 1, dtype=torch.float64)
    fitted = isinstance(basis, PrincipalBasis)
    rotation = torch.eye(components, dtype=torch.float64) if fitted else None
    low_pass = torch.tensor(HAAR, dtype=torch.float64) if basis.name == "wavelet" else None
    mean = torch.zeros(3, size, size, dtype=torch.float64)
    return Statistics(mean, variance, rotation, low_pass)


def stand_in_representation(experiment: Experiment, size: int) -> Representation:
    statistics = stand_in_statistics(experiment.basis, size)
    whitened = experiment.prior == "variance_matching"
    return Representation(experiment.basis.of(statistics), statistics, whitened)


def untrained_network(experiment: Experiment, size: int) -> torch.nn.Module:
    """The network of an experiment, for images of no data."""
    labels = stand_in_representation(experiment, size).labels
    return build_network(
        experiment.network, image_size=size, in_channels=3, out_channels=3, labels=labels
    )
