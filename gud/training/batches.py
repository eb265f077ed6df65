"""Which images a training step takes: a pure function of the seed and the step."""

from __future__ import annotations

import functools

import torch
from jaxtyping import Int64
from torch import Tensor

from gud.errors import InputError
from gud.randomness import Stream


def batch_indices(n: int, batch_size: int, step: int, seed: int) -> Int64[Tensor, " batch_size"]:
    """Indices, in [0, n), of the batch of a training step.

    Batches are cut from an endless stream of permutations, one an epoch, so that a batch may span
    epochs. A pure function of (seed, step): a resumed run needs no state.
    """
    if min(n, batch_size) < 1 or step < 0:
        raise InputError(
            f"n = {n}, batch_size = {batch_size}, step = {step}: expected at least 1, 1 and 0"
        )
    first, end = step * batch_size, (step + 1) * batch_size
    epochs = range(first // n, (end - 1) // n + 1)
    return torch.cat(
        [
            _permutation(n, epoch, seed)[max(0, first - epoch * n) : end - epoch * n]
            for epoch in epochs
        ]
    )


@functools.lru_cache(maxsize=2)
def _permutation(n: int, epoch: int, seed: int) -> Int64[Tensor, " n"]:
    return Stream("cpu", seed, "epoch", epoch).permutation(n)
