"""Places on a path: how far a schedule has gone, as one number for all components."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor

from gud.diffusion.schedules.schedule import Schedule


@dataclass(frozen=True)
class Places:
    """A table of how far a path has gone, and its inverse, linear between the entries.

    Args:
        times: in the order of the path, shape (times,).
        reached: the place at each of them, from 0 on, nondecreasing, shape (times,).
    """

    times: Float64[Tensor, " times"]
    reached: Float64[Tensor, " times"]

    @classmethod
    def after(cls, times: Float64[Tensor, " times"], steps: Float64[Tensor, " steps"]) -> Places:
        """What steps of these lengths lead to, each from one of the times to the next."""
        return cls(times, torch.cat([steps.new_zeros(1), steps.cumsum(0)]))

    def time(self, place: Float64[Tensor, "*places"]) -> Float64[Tensor, "*places"]:
        """When a place is reached."""
        cell = torch.searchsorted(self.reached, place.contiguous()).clamp(1, len(self.times) - 1)
        low, high = self.reached[cell - 1], self.reached[cell]
        fraction = ((place - low) / (high - low).clamp(min=1e-300)).clamp(0, 1)
        return torch.lerp(self.times[cell - 1], self.times[cell], fraction)


def even_times(path: Schedule, cells: int, device: torch.device) -> Float64[Tensor, " times"]:
    """The ends of equal cells of time from 0 to 1, and the kinks of a path among them."""
    kinks = torch.tensor(path.kinks, dtype=torch.float64, device=device)
    even = torch.linspace(0, 1, cells + 1, dtype=torch.float64, device=device)
    return torch.cat([even, kinks]).unique()
