"""Component-wise noising schedules gamma_i(t), t in [0, 1] (sections 4.2, 5 and App. B).

A `Schedule` is one path of noising states; t = 0 is data, t = 1 the prior. A family of paths (one
for each value of a and r) is a schedule class together with a range of its parameters.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from gud.diffusion.noising import NoisingState


class Schedule(ABC):
    """A path gamma(t); subclasses are frozen dataclasses."""

    @property
    def kinks(self) -> tuple[float, ...]:
        """Times inside (0, 1) at which d gamma / dt jumps, in increasing order."""
        return ()

    @abstractmethod
    def gamma(self, t: Float[Tensor, " batch"]) -> Float[Tensor, "batch components"]:
        """gamma_i(t), nondecreasing in t."""

    @abstractmethod
    def d_gamma_dt(self, t: Float[Tensor, " batch"]) -> Float[Tensor, "batch components"]:
        """The time derivative of gamma_i(t); at a kink its limit from later times."""

    @property
    def path(self) -> Schedule:
        """The same path in its own parameter, without any reparametrisation of time."""
        return self

    def time_of_path(self, t: float) -> float:
        """The time at which `path` has the noising states of time t."""
        return t

    def between(self, start: float, end: float) -> Schedule:
        """The schedule between two neighbouring kinks, continued smoothly past both."""
        assert not self.kinks, f"{type(self).__name__} has kinks, but no pieces"
        return self

    def pieces(self, start: float, end: float) -> Iterator[tuple[float, float, Schedule]]:
        """What a path from start to end (of either order) is made of, without kinks.

        Returns:
            For each piece the times at which it begins and ends, and its schedule: at both ends
            its derivative is the one-sided limit, however these times are rounded.
        """
        low, high = sorted((start, end))
        inside = sorted((t for t in self.kinks if low < t < high), reverse=start > end)
        for first, last in pairwise([start, *inside, end]):
            yield first, last, self.between(*sorted((first, last)))

    def __call__(self, t: Float[Tensor, " batch"]) -> NoisingState:
        """The noising states at times t (batch,), computed in double precision."""
        t = t.double()
        return NoisingState(self.gamma(t), self.d_gamma_dt(t))


@dataclass(frozen=True)
class Line(Schedule):
    """The path through one noising state with constant velocity; where that is 0, at rest.

    gamma_i(t) = gamma_i + (t - time) slope_i

    Args:
        time: when the path is at `at`.
        at: gamma_i there, shape (components,).
        slope: d gamma_i / dt, shape (components,).
    """

    time: float
    at: Float[Tensor, " components"]
    slope: Float[Tensor, " components"]

    def gamma(self, t: Float[Tensor, " batch"]) -> Float[Tensor, "batch components"]:
        return self.at.to(t) + (t[:, None] - self.time) * self.slope.to(t)

    def d_gamma_dt(self, t: Float[Tensor, " batch"]) -> Float[Tensor, "batch components"]:
        return self.slope.to(t).expand(len(t), -1)


class PiecewiseLinear(Schedule):
    """A path that is linear in time between its kinks.

    Attributes:
        device: of the tensors that make it.
    """

    @property
    @abstractmethod
    def device(self) -> torch.device: ...

    def between(self, start: float, end: float) -> Line:
        # The middle tells the components that move from those at rest; the ends, rounded, need not.
        middle = (start + end) / 2
        t = torch.full((1,), middle, dtype=torch.float64, device=self.device)
        return Line(middle, self.gamma(t)[0], self.d_gamma_dt(t)[0])


@dataclass(frozen=True)
class Reparametrised(Schedule):
    """The path of another schedule at the speed s(t) = t^p / (t^p + (1-t)^p) (App. B).

    For p < 1 the speed is infinite at both ends. Whatever depends on the path alone therefore uses
    `path` (the probability-flow ODE) or gamma (the exact clock increments of the samplers).
    """

    base: Schedule
    power: float

    @property
    def kinks(self) -> tuple[float, ...]:
        return tuple(1 / (1 + (1 / s - 1) ** (1 / self.power)) for s in self.base.kinks)

    def between(self, start: float, end: float) -> Schedule:
        start, end = self.s(torch.tensor([start, end], dtype=torch.float64)).tolist()
        return Reparametrised(self.base.between(start, end), self.power)

    @property
    def path(self) -> Schedule:
        return self.base.path

    def time_of_path(self, t: float) -> float:
        return self.base.time_of_path(float(self.s(torch.tensor([t], dtype=torch.float64))))

    def s(self, t: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        return t**self.power / (t**self.power + (1 - t) ** self.power)

    def gamma(self, t: Float[Tensor, " batch"]) -> Float[Tensor, "batch components"]:
        return self.base.gamma(self.s(t))

    def d_gamma_dt(self, t: Float[Tensor, " batch"]) -> Float[Tensor, "batch components"]:
        p = self.power
        ds_dt = p * (t * (1 - t)) ** (p - 1) / (t**p + (1 - t) ** p) ** 2
        slope = self.base.d_gamma_dt(self.s(t))
        # A frozen component stands still even where the speed is infinite.
        return torch.where(slope == 0, 0.0, ds_dt[:, None] * slope)
