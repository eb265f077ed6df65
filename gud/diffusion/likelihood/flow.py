"""Log-density under the probability-flow ODE (App. B), with steps of its own for each state."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from gud.diffusion.likelihood.bits import prior_log_prob
from gud.diffusion.likelihood.coordinates import Components, Standardised
from gud.diffusion.likelihood.probes import Probes
from gud.diffusion.noising import NoisingState
from gud.diffusion.processes import Process, State, per_component
from gud.diffusion.samplers import Denoiser
from gud.diffusion.schedules import Schedule
from gud.diffusion.solvers import AngleClock, adams, odeint_along
from gud.diffusion.solvers.clocks import SOFTENING
from gud.diffusion.solvers.runge_kutta import Elements, Parts, Times
from gud.errors import InputError


@dataclass(frozen=True)
class LikelihoodEstimates:
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
    nodes: int = 2,
    renewals: int = 0,
    standardise: Float[Tensor, " components"] | None = None,
) -> LikelihoodEstimates:
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
        nodes, renewals: of "adams", see there; `Preconditioning.nodes` for a network.
        rtol, atol: of adaptive steps; "adams" has one tolerance, their sum.
        standardise: variances V_i of the components, shape (components,), to integrate
            the coordinates of `Standardised` in place of z, for k = 1 u_i = z_i / s_i(t), s_i^2 =
            alpha_i^2 V_i + sigma_i^2: only what the data add to the flow of independent Gaussian
            components costs steps.
    """
    if method == "adams":
        if standardise is None:
            raise InputError("the method adams needs standardised coordinates")
        clock = AngleClock(schedule, standardise.double())
        return angle_log_likelihood(
            denoiser,
            clock,
            process,
            z,
            probes,
            tolerance=rtol + atol,
            steps=steps,
            nodes=nodes,
            renewals=renewals,
        )
    if renewals:
        raise InputError(f"the method {method} keeps its probes: renewals = {renewals} must be 0")
    path, size = schedule.path, z[0].numel()
    coordinates = Components() if standardise is None else Standardised(process, standardise)

    def velocity(state: NoisingState, y: Parts, rows: Elements) -> Parts:
        rate = per_component(process.rate(state), y[0])
        with torch.enable_grad():
            u = y[0].detach().requires_grad_()
            z = coordinates.z(u, state)
            score = process.score(denoiser(z, state), state)
            du = coordinates.velocity(u, rate * process.flow(z, score), state)
            traces = [trace.flatten(1).sum(1) for trace in _diagonals(du, u, probes[:, rows])]
        return du.detach(), torch.stack(traces, 1) / size

    start, end = (path(z.new_full((len(z),), t)) for t in (0.0, 1.0))
    y = (coordinates.u(z, start), z.new_zeros(len(z), len(probes)))
    (u, divergence), counts = odeint_along(
        path, velocity, y, 0.0, 1.0, method=method, rtol=rtol, atol=atol, steps=steps
    )
    prior = prior_log_prob(process, coordinates.z(u, end))
    stretch = (coordinates.log_det(end) - coordinates.log_det(start)) * z.shape[2]
    return LikelihoodEstimates((prior + stretch)[:, None] + divergence.double() * size, counts)


def angle_log_likelihood(
    denoiser: Denoiser,
    clock: AngleClock,
    process: Process,
    z: State,
    probes: Probes,
    *,
    tolerance: float | None = None,
    steps: int | None = None,
    nodes: int = 2,
    renewals: int = 0,
) -> LikelihoodEstimates:
    """The same in the angles of `AngleClock`, by Adams' method: one evaluation a step (k = 1).

    What is integrated is the departure of eps from that of a Gaussian, over the clock of each
    component: the flow of independent Gaussian components is exact in a single step, their part of
    the divergence is known in closed form, and a kink of the schedule costs nothing. The diagonal
    of the Jacobian of y_i = eps_i - sin theta_i u_i is estimated by v_i (v^T dy / du)_i before it
    is weighted with the clocks. Where all components have the same d gamma / dt, the matrix whose
    trace is taken is then symmetric for the exact score, which is least variance for random signs.

    A probe that takes new signs at every step errs independently at each: over `steps` equal steps
    the variance of an estimate is nearly divided by their number, at the same cost.

    Args:
        probes: of all stretches of the path, those of one after those of another.
        tolerance: largest change by the correction in an adaptive step, in units of u and nats/dim.
        steps: number of equal steps on the clock's path, in place of adaptive ones.
        nodes: through which `adams` predicts.
        renewals: how often the probes change along the clock's path: the n-th at (n - 1/2) /
            renewals of it. So finer steps keep the probes of coarser ones, about each of these.
    """
    if process.k != 1:
        raise InputError(
            f"the method adams needs a process with k = 1, not {process.k}, whose Gaussian flow "
            "turns in the plane of its variables and stands still in no angle"
        )
    if not 0 <= renewals <= (steps or 0):
        raise InputError(
            f"renewals = {renewals} must be 0 to {steps or 0}, the number of equal steps"
        )
    if len(probes) % (renewals + 1):
        raise InputError(f"{len(probes)} probes cannot be those of {renewals + 1} stretches")
    size = z[0].numel()
    stretches = probes.unflatten(0, (renewals + 1, -1))

    def rate(place: Times, y: Parts, rows: Elements) -> Parts:
        u, state = y[0], clock.state(place)
        scale = state.variance(clock.variance).sqrt()
        s, sine = per_component(scale, u), per_component(state.sigma / scale, u)
        weight = 1 / per_component(state.cosine(clock.variance) + SOFTENING, u)
        stretch = (place * (renewals / clock.length) + 0.5).long()
        signs = stretches[stretch, :, rows].movedim(1, 0)
        with torch.enable_grad():
            u = u.detach().requires_grad_()
            departure = denoiser(s * u, state) - sine * u
            diagonals = [d.sum((1, 2)) for d in _diagonals(departure, u, signs)]
        return weight * departure.detach(), torch.stack(diagonals, 1) * weight[:, 0]

    def change(parts: Parts) -> Times:
        u, divergence = (part.double() for part in parts)
        per_dimension = divergence.sum(2).abs().amax(1) / size
        return torch.maximum(u.square().flatten(1).mean(1).sqrt(), per_dimension)

    ends = z.new_tensor([0.0, clock.length], dtype=torch.float64)
    s_start, s_end = clock.state(ends).variance(clock.variance).sqrt()
    y = ((z / s_start).to(z), z.new_zeros(len(z), stretches.shape[1], z.shape[-1]))
    (u, divergence), counts = adams(
        rate, clock, y, size=change, tolerance=tolerance, steps=steps, nodes=nodes
    )
    stretch = (s_end / s_start).log().sum() * (size / z.shape[-1])
    log_prob = prior_log_prob(process, s_end * u) + stretch
    return LikelihoodEstimates(log_prob[:, None] + divergence.double().sum(2), counts)


def _diagonals(values: State, u: State, probes: Probes) -> list[State]:
    """v * (v^T d values / du) for each probe v: unbiased estimates of the Jacobian's diagonal."""
    pull = torch.autograd.grad
    return [pull(values, u, v, retain_graph=True)[0].detach() * v for v in probes]
