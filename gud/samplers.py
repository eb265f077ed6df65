"""Samplers of the reverse process (section 4.1): steps of the SDE (9), and the ODE (25)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from gud.noising import NoisingState
from gud.processes import Process, State, per_component
from gud.randomness import ImageStreams
from gud.schedules import Schedule
from gud.solvers import odeint

Denoiser = Callable[[State, NoisingState], State]
"""Predicts the standard noise eps of a noised state, in components."""
Progress = Callable[[Iterable[int]], Iterable[int]]


def prior_sample(process: Process, noise: State) -> State:
    """Turn standard noise into a draw from the prior."""
    return noise * noise.new_tensor(process.prior_variance()).sqrt()[:, None, None]


Step = Callable[[Process, State, State, NoisingState, NoisingState], tuple[State, Tensor]]
"""Maps z, eps and the noising states now and after to the mean and the spread of z after."""


def euler_maruyama_step(
    process: Process, z: State, eps: State, now: NoisingState, after: NoisingState
) -> tuple[State, Tensor]:
    """A step of the reverse SDE, equation 9, in the clock of each component.

    The step of component i is the exact increment of its clock tau_i, so that it depends on gamma
    alone and never on a (possibly infinite) rate.
    """
    increment = per_component(now.tau - after.tau, z)
    mean = z - increment * process.reverse_drift(z, process.score(eps, now))
    return mean, increment.sqrt() * process.noise_scale(z)


def ancestral_step(
    process: Process, z: State, eps: State, now: NoisingState, after: NoisingState
) -> tuple[State, Tensor]:
    """The posterior of z after given z now and the predicted data, component by component (k = 1).

    Exact for steps of any size if the data were known; on standard diffusion it is the ancestral
    sampler of Ho et al. 2020.
    """
    elapsed = now.tau - after.tau
    fresh = -torch.expm1(-elapsed)
    mean = z - per_component(fresh / now.sigma, z) * eps
    spread = fresh.sqrt() * after.sigma / now.sigma
    return per_component((elapsed / 2).exp(), z) * mean, per_component(spread, z)


@torch.no_grad()
def sample_sde(
    denoiser: Denoiser,
    schedule: Schedule,
    process: Process,
    z: State,
    streams: ImageStreams,
    *,
    step: Step,
    steps: int,
    noise_free_last_step: bool = True,
    start: float = 1.0,
    end: float = 0.0,
    progress: Progress = iter,
) -> State:
    """Draw z(end) given z(start) by steps of the reverse process on a uniform grid of times.

    Args:
        denoiser: predicts eps.
        z: z(start); at 1 a draw from the prior.
        streams: noise of the steps, one stream an image.
        step: `euler_maruyama_step` or `ancestral_step`.
        steps: number of steps, equal to the number of network evaluations.
        noise_free_last_step: leave the noise out of the last step.
        start, end: times of the schedule, 1 >= start > end >= 0.
    """
    times = torch.linspace(start, end, steps + 1, dtype=torch.float64, device=z.device)
    after = schedule(times[0].expand(len(z)))
    for i in progress(range(steps)):
        now, after = after, schedule(times[i + 1].expand(len(z)))
        z, spread = step(process, z, denoiser(z, now), now, after)
        if i + 1 < steps or not noise_free_last_step:
            z = z + spread * streams.normal(z.shape[1:]).to(z)
    return z


sample_euler_maruyama = functools.partial(sample_sde, step=euler_maruyama_step)
sample_ancestral = functools.partial(sample_sde, step=ancestral_step)


@torch.no_grad()
def sample_ode(
    denoiser: Denoiser,
    schedule: Schedule,
    process: Process,
    z: State,
    *,
    rtol: float,
    atol: float,
    method: str = "tsit5",
    start: float = 1.0,
    end: float = 0.0,
) -> tuple[State, int]:
    """Integrate the probability-flow ODE, equation 25, from t = 1 to 0 with adaptive steps.

    Steps are chosen for the batch as a whole, so that a sample depends on its batch as far as the
    tolerances allow. Only the schedule's path matters, not its speed.

    Args:
        start, end: times of `schedule.path` other than 1 and 0, start > end.

    Returns:
        z(end) and the number of network evaluations.
    """
    path, evaluations = schedule.path, 0

    def velocity(t: Tensor, z: State) -> State:
        nonlocal evaluations
        evaluations += 1
        state = path(t.expand(len(z)))
        score = process.score(denoiser(z, state), state)
        return per_component(state.beta, z) * process.flow(z, score)

    times = [start, *(t for t in reversed(path.kinks) if end < t < start), end]
    z = odeint(velocity, z, times, method=method, rtol=rtol, atol=atol)
    return z, evaluations
