"""Log-density under the probability-flow ODE (App. B), with steps of its own for each state."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from gud.diffusion.likelihood.bits import prior_log_prob
from gud.diffusion.likelihood.probes import Probes
from gud.diffusion.noising import NoisingState
from gud.diffusion.processes import Process, State, per_component
from gud.diffusion.samplers import Denoiser
from gud.diffusion.schedules import Schedule
from gud.diffusion.solvers import AngleClock, adams, odeint_along
from gud.diffusion.solvers.runge_kutta import Parts, Rows, Times
from gud.errors import InputError


@dataclass(frozen=True)
class LogLikelihood:
    """log p of states in nats, one estimate for each probe, and what it cost.

    Args:
        log_prob: shape (batch, probes); their mean over probes is the estimate.
        counts: evaluations of the denoiser for each state, shape (batch,), shared by all probes.
    """

    log_prob: Float[Tensor, "batch probes"]
    counts: Int64[Tensor, " batch"]

    @property
    def evaluations(self) -> int:
        """Evaluations for a state, rounded mean."""
        return round(float(self.counts.double().mean()))


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
        method: "tsit5" or "dopri5" with adaptive steps, "rk4" with `steps` equal ones; or "adams",
            see `angle_log_likelihood`, which needs `standardise`.
        standardise: variances V_i of the components, shape (components,), to integrate
            u_i = z_i / s_i(t), s_i^2 = alpha_i^2 V_i + sigma_i^2, in place of z; the flow of
            independent Gaussian components is then constant, and only what the data add to it
            costs steps (k = 1).
    """
    if standardise is not None and process.k != 1:
        raise InputError(f"standardised coordinates need a process with k = 1, not {process.k}")
    if method == "adams":
        if standardise is None:
            raise InputError("the method adams needs standardised coordinates")
        clock = AngleClock(schedule, standardise.double())
        return angle_log_likelihood(
            denoiser, clock, process, z, probes, tolerance=rtol + atol, steps=steps
        )
    path, size = schedule.path, z[0].numel()

    def squared_scale(state: NoisingState) -> Tensor:
        if standardise is None:
            return torch.ones_like(state.gamma)
        return state.variance(standardise.to(state.gamma))

    def velocity(state: NoisingState, y: Parts, rows: Rows) -> Parts:
        u, s2 = y[0], squared_scale(state)
        s, beta = per_component(s2.sqrt(), u), per_component(process.rate(state), u)
        rate = per_component(state.beta * (1 - s2) / (2 * s2), u)
        with torch.enable_grad():
            u = u.detach().requires_grad_()
            score = process.score(denoiser(s * u, state), state)
            du = beta * process.flow(s * u, score) / s - rate * u
            traces = [trace.flatten(1).sum(1) for trace in _diagonals(du, u, probes[:, rows])]
        return du.detach(), torch.stack(traces, 1) / size

    s_start, s_end = (squared_scale(path(z.new_full((len(z),), t))).sqrt() for t in (0.0, 1.0))
    y = (z / per_component(s_start, z), z.new_zeros(len(z), len(probes)))
    (u, divergence), counts = odeint_along(
        path, velocity, y, 0.0, 1.0, method=method, rtol=rtol, atol=atol, steps=steps
    )
    prior = prior_log_prob(process, per_component(s_end, z) * u)
    stretch = (s_end / s_start).log().sum(1) * (size / s_end.shape[1])
    return LogLikelihood((prior + stretch)[:, None] + divergence.double() * size, counts)


def angle_log_likelihood(
    denoiser: Denoiser,
    clock: AngleClock,
    process: Process,
    z: State,
    probes: Probes,
    *,
    tolerance: float | None = None,
    steps: int | None = None,
) -> LogLikelihood:
    """The same in the angles of `AngleClock`, by Adams' method: one evaluation a step (k = 1).

    What is integrated is the departure of eps from that of a Gaussian, over the clock of each
    component: the flow of independent Gaussian components is exact in a single step, their part of
    the divergence is known in closed form, and a kink of the schedule costs nothing. The diagonal
    of the Jacobian of y_i = eps_i - sin theta_i u_i is estimated by v_i (v^T dy / du)_i before it
    is weighted with the clocks. Where all components have the same d gamma / dt, the matrix whose
    trace is taken is then symmetric for the exact score, which is least variance for random signs.

    Args:
        tolerance: largest change by the correction in an adaptive step, in units of u and nats/dim.
        steps: number of equal steps on the clock's path, in place of adaptive ones.
    """
    size = z[0].numel()

    def rate(place: Times, y: Parts, rows: Rows) -> Parts:
        u, state = y[0], clock.state(place)
        scale = state.variance(clock.variance).sqrt()
        s, sine = per_component(scale, u), per_component(state.sigma / scale, u)
        weight = 1 / per_component(clock.cosine(state.gamma) + clock.softening, u)
        with torch.enable_grad():
            u = u.detach().requires_grad_()
            departure = denoiser(s * u, state) - sine * u
            diagonals = [d.sum((1, 2)) for d in _diagonals(departure, u, probes[:, rows])]
        return weight * departure.detach(), torch.stack(diagonals, 1) * weight[:, 0]

    def change(parts: Parts) -> Times:
        u, divergence = (part.double() for part in parts)
        per_dimension = divergence.sum(2).abs().amax(1) / size
        return torch.maximum(u.square().flatten(1).mean(1).sqrt(), per_dimension)

    ends = z.new_tensor([0.0, clock.length], dtype=torch.float64)
    s_start, s_end = clock.state(ends).variance(clock.variance).sqrt()
    y = ((z / s_start).to(z), z.new_zeros(len(z), len(probes), z.shape[-1]))
    (u, divergence), counts = adams(rate, clock, y, size=change, tolerance=tolerance, steps=steps)
    stretch = (s_end / s_start).log().sum() * (size / z.shape[-1])
    log_prob = prior_log_prob(process, s_end * u) + stretch
    return LogLikelihood(log_prob[:, None] + divergence.double().sum(2), counts)


def _diagonals(values: State, u: State, probes: Probes) -> list[State]:
    """v * (v^T d values / du) for each probe v: unbiased estimates of the Jacobian's diagonal."""
    pull = torch.autograd.grad
    return [pull(values, u, v, retain_graph=True)[0].detach() * v for v in probes]
