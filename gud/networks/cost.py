"""What one image costs a network, counted and not measured: operations and memory."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode


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
