"""The probability-flow ODE (25) as a sampler."""

from __future__ import annotations

import torch

from gud.diffusion.noising import NoisingState
from gud.diffusion.processes import Process, State, per_component
from gud.diffusion.samplers.sampler import Denoiser, Noise, Options, Progress, Reverse, Sampler
from gud.diffusion.schedules import Schedule
from gud.diffusion.solvers import odeint_along
from gud.diffusion.solvers.runge_kutta import Parts, Rows


class FlowODE(Sampler):
    """The probability-flow ODE by an adaptive method; see `sample_ode`."""

    def draw(
        self, reverse: Reverse, z: State, noise: Noise, options: Options, progress: Progress
    ) -> tuple[State, int]:
        return sample_ode(
            reverse.denoiser,
            reverse.schedule,
            reverse.process,
            z,
            rtol=options.rtol,
            atol=options.atol,
            start=options.start,
            end=options.end,
        )


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

    Steps are chosen for each sample on its own. Only the schedule's path matters, not its speed.

    Args:
        start, end: times of `schedule.path` other than 1 and 0, start > end.

    Returns:
        z(end) and the number of network evaluations for the sample that needed most of them.
    """

    def velocity(state: NoisingState, y: Parts, rows: Rows) -> Parts:
        (z,) = y
        score = process.score(denoiser(z, state), state)
        return (per_component(process.rate(state), z) * process.flow(z, score),)

    (z,), counts = odeint_along(
        schedule.path, velocity, (z,), start, end, method=method, rtol=rtol, atol=atol
    )
    return z, int(counts.max())
