"""The probability-flow ODE (25) as a sampler."""

from __future__ import annotations

import torch

from gud.diffusion.noising import NoisingState
from gud.diffusion.processes import Process, State, per_component
from gud.diffusion.samplers.sampler import (
    Denoiser,
    Noise,
    Options,
    Progress,
    ReverseProcess,
    Sampler,
)
from gud.diffusion.samplers.stepwise import Stretch
from gud.diffusion.schedules import Schedule
from gud.diffusion.solvers import odeint_along
from gud.diffusion.solvers.runge_kutta import Elements, Parts


class FlowODE(Sampler):
    """The probability-flow ODE by an adaptive method; see `sample_ode`.

    To data without any noise it takes one step of Euler's method.
    """

    def draw(
        self, reverse: ReverseProcess, z: State, noise: Noise, options: Options, progress: Progress
    ) -> tuple[State, int]:
        schedule, process = reverse.schedule, reverse.process
        z, evaluations = sample_ode(
            reverse.denoiser,
            schedule,
            process,
            z,
            rtol=options.rtol,
            atol=options.atol,
            start=schedule.time_of_path(options.start),
            end=schedule.time_of_path(options.end),
        )
        if not options.denoise:
            return z, evaluations
        stretch = Stretch(reverse, z.new_tensor([options.end], dtype=torch.float64), 0)
        now = stretch.now(z)
        increment = per_component(process.clock(now) - process.clock(stretch.after(z)), z)
        flow = process.flow(z, process.score(reverse.denoiser(z, now), now))
        return z - increment * flow, evaluations + 1


@torch.no_grad()
def sample_ode(
    denoiser: Denoiser,
    schedule: Schedule,
    process: Process,
    z: State,
    *,
    rtol: float,
    atol: float,
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

    def velocity(state: NoisingState, y: Parts, rows: Elements) -> Parts:
        (z,) = y
        score = process.score(denoiser(z, state), state)
        return (per_component(process.rate(state), z) * process.flow(z, score),)

    (z,), counts = odeint_along(
        schedule.path, velocity, (z,), start, end, method="tsit5", rtol=rtol, atol=atol
    )
    return z, int(counts.max())
