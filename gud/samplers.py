"""Samplers of the reverse process (section 4.1): Euler-Maruyama on equation 9, and the ODE (25)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor
from torchdiffeq import odeint

from gud.noising import NoisingState
from gud.processes import Process, State, per_component
from gud.randomness import ImageStreams
from gud.schedules import Schedule

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
    progress: Progress = iter,
) -> State:
    """Draw z(0) by Euler-Maruyama steps of the reverse SDE, equation 9.

    The step of component i is the exact increment of its clock tau_i between two times of a uniform
    grid, so that it depends on gamma alone and never on a (possibly infinite) rate.

    Args:
        denoiser: predicts eps.
        z: z(1), a draw from the prior.
        streams: noise of the steps, one stream an image.
        steps: number of steps, equal to the number of network evaluations.
        noise_free_last_step: leave the noise out of the last step.
    """
    times = torch.linspace(1, 0, steps + 1, dtype=torch.float64, device=z.device)
    for i in progress(range(steps)):
        now, after = (schedule(t.expand(len(z))) for t in times[i : i + 2])
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
) -> tuple[State, int]:
    """Integrate the probability-flow ODE, equation 25, from t = 1 to 0 with adaptive steps.

    Returns:
        z(0) and the number of network evaluations.
    """
    path, evaluations = schedule.path, 0

    def velocity(t: Tensor, z: State) -> State:
        nonlocal evaluations
        evaluations += 1
        state = path(t.expand(len(z)))
        score = process.score(denoiser(z, state), state)
        return per_component(state.beta, z) * process.flow(z, score)

    for start, end in _segments(path):
        z = odeint(velocity, z, z.new_tensor([start, end]).double(), rtol=rtol, atol=atol)[-1]
    return z, evaluations


def _segments(path: Schedule) -> Iterator[tuple[float, float]]:
    """Intervals from t = 1 down to 0 on which the schedule is smooth."""
    times = [1.0, *reversed(path.kinks), 0.0]
    yield from zip(times, times[1:], strict=False)
