"""Likelihood by the probability-flow ODE (App. B): nats of components, bits/dim of images."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gud.errors import InputError
from gud.noising import NoisingState
from gud.processes import Process, State, per_component
from gud.representation import Representation
from gud.samplers import Denoiser
from gud.schedules import Schedule
from gud.solvers import odeint

Probes = Float[Tensor, "probes batch k channels components"]


@dataclass(frozen=True)
class LogLikelihood:
    """log p of states in nats, one estimate for each probe, and what it cost.

    Args:
        log_prob: shape (batch, probes); their mean over probes is the estimate.
        evaluations: number of evaluations of the denoiser (each shared by all probes).
    """

    log_prob: Float[Tensor, "batch probes"]
    evaluations: int


def basis_probes(z: State) -> Probes:
    """Scaled unit vectors: with them the mean over probes is the exact divergence."""
    size = z[0].numel()
    vectors = torch.eye(size, dtype=z.dtype, device=z.device) * size**0.5
    return vectors.view(size, 1, *z.shape[1:]).expand(-1, *z.shape)


def log_likelihood(
    denoiser: Denoiser,
    schedule: Schedule,
    process: Process,
    z: State,
    probes: Probes,
    *,
    method: str,
    rtol: float,
    atol: float,
    steps: int | None = None,
    standardise: Float[Tensor, " components"] | None = None,
) -> LogLikelihood:
    """Log-density of z at t = 0 under the flow of equation 25 that ends in the prior at t = 1.

    d log p / dt = -div of the velocity, estimated by Hutchinson's v^T J v for every probe v. All
    probes share one forward pass. The divergence is integrated per dimension, so that `atol` is an
    error in nats/dim as well as in z. Only the schedule's path matters, not its speed.

    Args:
        denoiser: predicts eps; differentiable in z.
        z: states at t = 0, shape (batch, k, channels, components).
        probes: random signs (Hutchinson), or `basis_probes` for the exact divergence.
        method: adaptive "tsit5" or "dopri5", or "rk4" with `steps` equal steps.
        standardise: variances V_i of the components, shape (components,), to integrate
            u_i = z_i / s_i(t), s_i^2 = alpha_i^2 V_i + sigma_i^2, in place of z; the flow of
            independent Gaussian components is then constant, and only what the data add to it
            costs steps (k = 1).
    """
    if standardise is not None and process.k != 1:
        raise InputError(f"standardised coordinates need a process with k = 1, not {process.k}")
    path = schedule.path
    size, evaluations = z[0].numel(), 0

    def squared_scale(state: NoisingState) -> Tensor:
        if standardise is None:
            return torch.ones_like(state.gamma)
        return state.variance(standardise.to(state.gamma))

    def velocity(t: Tensor, y: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        nonlocal evaluations
        evaluations += 1
        state = path(t.expand(len(z)))
        s2 = squared_scale(state)
        s, beta = per_component(s2.sqrt(), z), per_component(state.beta, z)
        rate = per_component(state.beta * (1 - s2) / (2 * s2), z)
        with torch.enable_grad():
            u = y[0].detach().requires_grad_()
            score = process.score(denoiser(s * u, state), state)
            du = beta * process.flow(s * u, score) / s - rate * u
            traces = [
                (torch.autograd.grad(du, u, v, retain_graph=True)[0] * v).flatten(1).sum(1)
                for v in probes
            ]
        return du.detach(), torch.stack(traces, 1) / size

    s_start, s_end = (squared_scale(path(z.new_full((len(z),), t))).sqrt() for t in (0.0, 1.0))
    y = (z / per_component(s_start, z), z.new_zeros(len(z), len(probes)))
    u, divergence = odeint(
        velocity, y, [0.0, *path.kinks, 1.0], method=method, rtol=rtol, atol=atol, steps=steps
    )
    prior = prior_log_prob(process, per_component(s_end, z) * u)
    stretch = (s_end / s_start).log().sum(1) * (size / s_end.shape[1])
    return LogLikelihood((prior + stretch)[:, None] + divergence.double() * size, evaluations)


def prior_log_prob(process: Process, z: State) -> Float[Tensor, " batch"]:
    """Log-density of the prior, in nats and double precision."""
    variance = z.new_tensor(process.prior_variance()).double()[:, None, None]
    return -0.5 * (z.double() ** 2 / variance + (2 * math.pi * variance).log()).flatten(1).sum(1)


def noise_data(
    schedule: Schedule, process: Process, z: State, noise: State
) -> tuple[State, Float[Tensor, " batch"]]:
    """States at t = 0 with the noise that the schedule prescribes there, and a bound's correction.

    The model draws z_0 from p_0 and then z from N(z_0 / alpha(0), sigma(0)^2 / alpha(0)^2). Its
    density obeys log p(z) >= E_noise[log p_0(z_0) + correction], z_0 = alpha(0) z + sigma(0) noise,
    since the densities of z given z_0 and of z_0 given z differ by the factor prod_i alpha_i alone
    (k = 1).
    """
    state = schedule(z.new_zeros(len(z)))
    correction = state.alpha.log().sum(1) * (z[0].numel() / state.alpha.shape[1])
    return process.perturb(z, state, noise), correction


def bits_per_dim(
    log_prob: Float[Tensor, "*batch"], representation: Representation
) -> Float[Tensor, "*batch"]:
    """Bits/dim of 8-bit images from log p(chi) in nats of their dequantised components.

    Adds log|det S^-1| for the scale (colour channels counted) and 7 bits for the map of 256 grey
    levels to [-1, 1], whose length is 2: independent uniform grey levels have 8 bits/dim.
    """
    dimensions = representation.statistics.mean.numel()
    return -(log_prob + representation.log_det) / (dimensions * math.log(2)) + 7
