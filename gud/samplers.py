"""Samplers of the reverse process (section 4.1): Euler-Maruyama on equation 9, and the ODE (25)."""

from __future__ import annotations

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


@torch.no_grad()
def sample_euler_maruyama(
    denoiser: Denoiser,
    schedule: Schedule,
    process: Process,
    z: State,
    streams: ImageStreams,
    *,
    steps: int,
    noise_free_last_step: bool = True,
    start: float = 1.0,
    end: float = 0.0,
    progress: Progress = iter,
) -> State:
    """Draw z(end) given z(start) by Euler-Maruyama steps of the reverse SDE, equation 9.

    The step of component i is the exact increment of its clock tau_i between two times of a uniform
    grid, so that it depends on gamma alone and never on a (possibly infinite) rate.

    Args:
        denoiser: predicts eps.
        z: z(start); at 1 a draw from the prior.
        streams: noise of the steps, one stream an image.
        steps: number of steps, equal to the number of network evaluations.
        noise_free_last_step: leave the noise out of the last step.
        start, end: times of the schedule, 1 >= start > end >= 0.
    """
    times = torch.linspace(start, end, steps + 1, dtype=torch.float64, device=z.device)
    after = schedule(times[0].expand(len(z)))
    for i in progress(range(steps)):
        now, after = after, schedule(times[i + 1].expand(len(z)))
        increment = per_component(now.tau - after.tau, z)
        score = process.score(denoiser(z, now), now)
        z = z - increment * process.reverse_drift(z, score)
        if i + 1 < steps or not noise_free_last_step:
            noise = streams.normal(z.shape[1:]).to(z)
            z = z + increment.sqrt() * process.noise_scale(z) * noise
    return z


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
