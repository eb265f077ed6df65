"""What a sampler itself does to the variances, with no network: its exact result on Gaussian data.

If the components are independent Gaussians of variances V_i, the exact prediction of the noise is
linear, and so is every step of a sampler: it multiplies a root of the covariance of the state, and
adds the columns of its noise. The variances of the samples then follow in closed form from the
sampler's own steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import count

import torch
from jaxtyping import Float
from torch import Tensor

from gud.diffusion.processes import Process, State
from gud.diffusion.samplers.gaussian import Variance, gaussian_denoiser, start_of
from gud.diffusion.samplers.sampler import Options, ReverseProcess, Sampler
from gud.diffusion.samplers.stepwise import Memory, Stepwise, stretches
from gud.diffusion.schedules import Schedule


def sampled_variance(
    sampler: Sampler,
    schedule: Schedule,
    process: Process,
    variance: Variance,
    options: Options,
    start: str = "prior",
) -> Variance:
    """Variances of the samples (the first of the k variables of their state).

    A sampler that chooses its steps takes those for the root of the covariance that it starts from.

    Args:
        variance: V_i of the data as they are diffused.
        start: what is sampled from; see `start_of`.
    """
    reverse = ReverseProcess(gaussian_denoiser(process, variance), schedule, process, variance)
    unit = torch.eye(process.k, dtype=torch.float64, device=variance.device)
    noise = unit[:, :, None, None].expand(-1, -1, 1, len(variance))
    root = start_of(start, schedule, process, variance, noise)
    if not isinstance(sampler, Stepwise):
        return sampler(reverse, root, torch.zeros_like, options)[0][:, 0, 0].square().sum(0)
    return _variance_after_steps(sampler, reverse, root, options)


@torch.no_grad()
def _variance_after_steps(
    sampler: Stepwise, reverse: ReverseProcess, root: State, options: Options
) -> Variance:
    """As `sampled_variance`, from a root of the covariance, whose columns are one of a batch."""
    k = reverse.process.k
    memory: Memory = ()
    for stretch, noisy in stretches(reverse, options, sampler.evaluations):
        noise = partial(_unit_noise, count(len(root)))
        held = [
            torch.cat([part, part.new_zeros(k * sampler.draws, *part.shape[1:])])
            for part in (root, *memory)
        ]
        root, memory = sampler.step(stretch, held[0], noise if noisy else None, tuple(held[1:]))
        sizes = [part.shape[1] for part in (root, *memory)]
        root, *kept = _fewer_columns(torch.cat([root, *memory], 1)).split(sizes, 1)
        memory = tuple(kept)
    return root[:, 0, 0].square().sum(0)


def _unit_noise(column: Iterator[int], z: State) -> State:
    """Each unit of noise in the next column, its own."""
    drawn = torch.zeros_like(z)
    for part in range(z.shape[1]):
        drawn[next(column), part] = 1
    return drawn


def _fewer_columns(
    root: Float[Tensor, "columns rows 1 components"],
) -> Float[Tensor, "fewer rows 1 components"]:
    """A root of the same covariance with no more columns than rows."""
    triangle = torch.linalg.qr(root[:, :, 0].movedim(-1, 0), mode="r").R
    return triangle.movedim(0, -1)[:, :, None]
