"""Probes of Hutchinson's estimate of a divergence: E[v^T J v] = tr J."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from gud.diffusion.processes import State

Probes = Float[Tensor, "probes batch k channels components"]


def orthogonal_probes(
    signs: Float[Tensor, "sets batch k channels components"],
) -> Float[Tensor, "4*sets batch k channels components"]:
    """Four probes of the same signs, which differ by the rows of a Hadamard matrix.

    The rows' entries at component i of channel c are those of column i + c modulo 4, so that the
    mean of the four has none of the error by pairs of unlike columns, such as one component of two
    colours, or neighbouring components of one.

    Args:
        signs: random.

    Returns:
        Four for each of the signs, one after the other.
    """
    pair = signs.new_tensor([[1, 1], [1, -1]])
    channel, component = (torch.arange(n, device=signs.device) for n in signs.shape[-2:])
    rows = torch.kron(pair, pair)[:, (channel[:, None] + component) % 4]
    return (signs[:, None] * rows[:, None, None]).flatten(0, 1)


def basis_probes(z: State) -> Probes:
    """Scaled unit vectors: with them the mean over probes is the exact divergence."""
    size = z[0].numel()
    vectors = torch.eye(size, dtype=z.dtype, device=z.device) * size**0.5
    return vectors.view(size, 1, *z.shape[1:]).expand(-1, *z.shape)
