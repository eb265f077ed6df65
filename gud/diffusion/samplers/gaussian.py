"""What is known of independent Gaussian components: their denoiser, and their state at t = 1."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from gud.diffusion.noising import NoisingState
from gud.diffusion.processes import Process, State, apply
from gud.diffusion.processes.matrices import Matrix, cholesky, inverse_lower, product
from gud.diffusion.samplers.sampler import Denoiser
from gud.diffusion.schedules import Schedule
from gud.errors import InputError

Variance = Float[Tensor, " components"]


def gaussian_covariance(process: Process, variance: Variance, state: NoisingState) -> Matrix:
    """C = V m m^T + L L^T, the covariance of a state, m the first column of its transition.

    Args:
        variance: V_i of the data as they are diffused.
    """
    signal, factor = process.transition(state)[:, :, :1], process.factor(state)
    spread = variance.to(signal) * signal
    return spread * signal.transpose(1, 2) + product(factor, factor.transpose(1, 2))


def gaussian_denoiser(process: Process, variance: Variance) -> Denoiser:
    """E[eps | z] = L^T C^-1 z for independent Gaussian components of these variances."""

    def eps(z: State, state: NoisingState) -> State:
        dual = process.factor(state).transpose(1, 2)
        inverse = inverse_lower(cholesky(gaussian_covariance(process, variance, state)))
        return apply(product(product(dual, inverse.transpose(1, 2)), inverse), z)

    return eps


def start_of(
    start: str, schedule: Schedule, process: Process, variance: Variance, noise: State
) -> State:
    """z at t = 1 of standard noise, from which samplers start.

    Args:
        start: the `prior`, as in both papers; or `gaussian`, the state at t = 1 of Gaussian data,
            which differs by what of the data is left there. From it the flow of independent
            Gaussian components ends in exactly their variances.
        variance: V_i of the data as they are diffused.

    Raises:
        InputError: if `start` is neither.
    """
    if start == "prior":
        return process.prior_sample(noise)
    if start != "gaussian":
        raise InputError(f"start = {start!r} must be prior or gaussian")
    state = schedule(torch.ones(len(noise), dtype=torch.float64, device=noise.device))
    return apply(cholesky(gaussian_covariance(process, variance, state)), noise)
