"""The variational lower bound on the density of the data."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from gud.diffusion.noising import NoisingState
from gud.diffusion.processes import Process, State
from gud.diffusion.samplers import Denoiser
from gud.diffusion.samplers.gaussian import gaussian_denoiser
from gud.diffusion.schedules import Schedule
from gud.diffusion.schedules.places import even_times

CELLS = 1024
"""Of the table from which times are drawn."""


def variational_bound(
    denoiser: Denoiser,
    schedule: Schedule,
    process: Process,
    z: State,
    variance: Float[Tensor, " components"],
    shifts: Float64[Tensor, "replicates batch"],
    noise: Callable[[], State],
    *,
    times: int,
) -> Float64[Tensor, "batch replicates"]:
    """The variational lower bound on log p(z), without an ODE and without derivatives.

    The sum, with the signs of -log p, of what the prior and the reconstruction of z at t = 0 cost
    and of the diffusion (Kingma et al. 2021, each component with its own gamma):

        KL(z(1) given z || prior)
        + 1/2 sum_i (1 + log 2 pi + gamma_i(0))
        + 1/2 int dt sum_i beta_i E |B^T L_i^-T (eps_i - eps_hat_i)|^2

    with L_i the Cholesky factor of the covariance of z_i(t) given the data, in which auxiliary
    variables are marginalised from the start, and gamma_i(0) the noise level of all of z_i(0)
    (`Process.project`): it is `noise_data` with the density of the reverse SDE in place of the
    flow's. For Ornstein-Uhlenbeck beta |B^T L^-T eps|^2 = d gamma / dt eps^2. (The floor that a
    `Recipe` adds to its variances is taken as part of the process.)

    The flow needs no such average and no reconstruction, but is the density of p_0 itself. The
    bound is on the density of the model's reverse SDE, which is another one unless the network is
    exact. It depends on the whole path.

    Times have the density of the integral if z were Gaussian. It is then, for every process, what
    is lost of the information on the data, so that the integral is sum_i log sin theta_i at the
    noise level of the state (see `AngleClock`): only what the data add to it varies. They lie at
    equal quantiles, shifted at random. What a Gaussian prediction loses to the same noise is taken
    as a control variate.

    Derivatives with respect to a schedule are estimates of those of the bound: the density of the
    times counts as given.

    Args:
        denoiser: predicts eps.
        z: the data, and auxiliary variables of 0, shape (batch, k, channels, components).
        variance: V_i of the components as they are diffused; only the variance of the estimate
            depends on them.
        shifts: uniform in [0, 1), of the times of each replicate and state.
        noise: the next standard noise for the batch.
        times: evaluations of the denoiser for each replicate.

    Returns:
        Independent and unbiased estimates of the bound in nats.
    """
    path, channels = schedule.path, z.shape[2]
    first, last = path(z.new_zeros(1)), path(z.new_ones(len(z)))
    start = (1 + math.log(2 * math.pi) + process.noise_level(first)).sum() * channels / 2
    known = process.prior_divergence(z.double(), last) + start
    draw_times = _quantiles(path, process, variance.double())
    gaussian = gaussian_denoiser(process, variance.double())
    estimates = []
    for shift in shifts:
        total = torch.zeros_like(known)
        for number in range(times):
            t, density = draw_times((number + shift) / times)
            state, eps = path(t), noise()
            error = eps - denoiser(process.perturb(z, state, eps), state)
            lost = process.divergence_rate(error.double(), state).sum(1)
            lost -= _gaussian_surplus(gaussian, process, z.double(), eps.double(), state)
            total += lost / (density * times)
        estimates.append(-known - total)
    return torch.stack(estimates, 1)


def _gaussian_surplus(
    gaussian: Denoiser, process: Process, z: State, eps: State, state: NoisingState
) -> Float64[Tensor, " batch"]:
    """What a linear prediction of eps loses, less its mean over eps.

    Its error is M eps - c(z), of which the mean loss is the sum of those of c and of the columns of
    M, which are the errors for z = 0 and a single unit of noise.
    """
    channels, k = z.shape[2], process.k
    unit = torch.eye(k, dtype=eps.dtype, device=eps.device)[None, :, :, None]
    unit = unit.expand(len(eps), -1, -1, eps.shape[3])
    noise = torch.cat([eps, torch.zeros_like(eps), unit], 2)
    data = torch.cat([z, z, torch.zeros_like(unit)], 2)
    error = noise - gaussian(process.perturb(data, state, noise), state)
    parts = error.split([channels, channels, k], 2)
    lost, of_data, of_unit = (process.divergence_rate(part, state).sum(1) for part in parts)
    return lost - of_data - channels * of_unit


@torch.no_grad()
def _quantiles(
    path: Schedule, process: Process, variance: Float64[Tensor, " components"]
) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """Maps uniform numbers to times, and their density, constant on each cell of a table."""
    edges = even_times(path, CELLS, variance.device)
    state = NoisingState.at_rest(process.noise_level(path(edges)))
    weight = (state.sigma**2 / state.variance(variance)).log().mean(1).diff()
    # A cell in which a Gaussian has nothing to lose is visited all the same.
    weight = weight / weight.sum() + edges.diff() * 1e-3
    weight = weight / weight.sum()
    cumulated = torch.cat([weight.new_zeros(1), weight.cumsum(0)])

    def draw(uniform: Tensor) -> tuple[Tensor, Tensor]:
        uniform = uniform.clamp(max=1 - 1e-12)
        cell = torch.searchsorted(cumulated, uniform.contiguous(), right=True) - 1
        cell = cell.clamp(0, len(weight) - 1)
        fraction = ((uniform - cumulated[cell]) / weight[cell]).clamp(0, 1)
        width = edges.diff()[cell]
        return edges[cell] + fraction * width, weight[cell] / width

    return draw
