"""Samplers of the reverse process (section 4.1): what is asked of them, and the abstract class."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gud.diffusion.noising import NoisingState
from gud.diffusion.processes import Process, State
from gud.diffusion.samplers.grids import Grid, uniform
from gud.diffusion.schedules import Schedule
from gud.errors import InputError

Denoiser = Callable[[State, NoisingState], State]
"""Predicts the standard noise eps of a noised state, in components."""
Noise = Callable[[State], State]
"""Fresh standard noise, in the shape of a state."""
Progress = Callable[[Iterable[int]], Iterable[int]]


@dataclass(frozen=True)
class ReverseProcess:
    """The reverse process of a model along one schedule.

    Args:
        denoiser: predicts eps.
        schedule: the path of noising states, and its speed.
        process: what happens to a component as its clock runs.
        variance: V_i of the data as they are diffused, shape (components,).
    """

    denoiser: Denoiser
    schedule: Schedule
    process: Process
    variance: Float[Tensor, " components"]


@dataclass(frozen=True)
class Options:
    """How a sampler goes from z(start) to z(end); each method takes what concerns it.

    Args:
        steps: network evaluations of a method that steps along a grid.
        grid: where its steps lie.
        noise_free_last_step: leave the noise out of its last step.
        denoise: evaluate last at `end`, and step from there to data without any noise; otherwise
            the noise of `end` stays.
        rtol, atol: tolerances of a method that chooses its steps.
        start, end: times of the schedule, 1 >= start > end >= 0.
    """

    steps: int = 1000
    grid: Grid = uniform
    noise_free_last_step: bool = True
    denoise: bool = False
    rtol: float = 1e-4
    atol: float = 1e-4
    start: float = 1.0
    end: float = 0.0


class Sampler(ABC):
    """A method that draws data from noise."""

    @torch.no_grad()
    def __call__(
        self,
        reverse: ReverseProcess,
        z: State,
        noise: Noise,
        options: Options,
        progress: Progress = iter,
    ) -> tuple[State, int]:
        """Draw z(end) given z(start), at time 1 a draw from the prior.

        Args:
            noise: of the steps, for methods that need some.

        Returns:
            z(end) and the number of network evaluations.

        Raises:
            InputError: z(end) is not finite.
        """
        z, evaluations = self.draw(reverse, z, noise, options, progress)
        if not z.isfinite().all():
            raise InputError(
                "the sampler gave values that are not finite; more steps may be needed"
            )
        return z, evaluations

    @abstractmethod
    def draw(
        self, reverse: ReverseProcess, z: State, noise: Noise, options: Options, progress: Progress
    ) -> tuple[State, int]:
        """What a call returns, finite or not."""
