"""Where the steps of a sampler lie: one function a choice."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from gud.diffusion.schedules import Schedule
from gud.diffusion.schedules.places import Places

Times = Float[Tensor, " times"]
Variance = Float[Tensor, " components"]
Grid = Callable[[Schedule, Variance, int, float, float], Times]
"""Maps schedule, V_i of the data, number of steps, start and end to the times between them."""
POINTS = 512
"""At which the grid `active` looks at a schedule."""


def uniform(schedule: Schedule, variance: Variance, steps: int, start: float, end: float) -> Times:
    """Equal steps of time."""
    return torch.linspace(start, end, steps + 1, dtype=torch.float64, device=variance.device)


def quadratic(
    schedule: Schedule, variance: Variance, steps: int, start: float, end: float
) -> Times:
    """Steps that shrink towards the data: t_j = end + (start - end) (1 - j / steps)^2."""
    return end + (start - end) * uniform(schedule, variance, steps, 1.0, 0.0).square()


def active(schedule: Schedule, variance: Variance, steps: int, start: float, end: float) -> Times:
    """Equal steps of the largest change of a `NoisingState.angle`, summed along the path.

    So no component changes by more in a step than another in the next, however fast the schedule
    goes, and times at which all are at rest are passed over.
    """
    times = uniform(schedule, variance, POINTS, start, end)
    places = Places.after(times, schedule(times).angle(variance).diff(dim=0).abs().amax(1))
    wanted = places.reached[-1] * uniform(schedule, variance, steps, 0.0, 1.0)
    between = places.time(wanted[1:-1])
    return torch.cat([times[:1], between, times[-1:]]) if steps else times[:1]


GRIDS: dict[str, Grid] = {"uniform": uniform, "quadratic": quadratic, "active": active}
