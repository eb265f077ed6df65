"""What one image costs a network, counted and not measured: operations and memory."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks
from torch.func import functional_call
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
    fake = FakeTensorMode()
    held: dict[str, Tensor] = {
        name: fake.from_tensor(tensor)
        for name, tensor in (*network.named_parameters(), *network.named_buffers())
    }
    weights = [held[name] for name, _ in network.named_parameters()]
    known = {tensor.untyped_storage()._cdata for tensor in held.values()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage.nbytes()
        return tensor

    with fake, FlopCounterMode(display=False) as counter:
        images = torch.zeros(1, channels, size, size, requires_grad=True)
        with saved_tensors_hooks(keep, lambda tensor: tensor):
            out = functional_call(network, held, (images, torch.zeros(1, components)))
        forward = counter.get_total_flops()
        out.backward(torch.ones_like(out), retain_graph=True, inputs=[images])
        to_image = counter.get_total_flops()
        out.backward(torch.ones_like(out), inputs=weights)
        total = counter.get_total_flops()
    return Cost(
        weights=sum(weight.numel() for weight in weights),
        forward=forward,
        train=forward + total - to_image,
        backward=to_image - forward,
        activations=sum(size for storage, size in kept.items() if storage not in known),
    )
