"""Steps of states of several variables by those of the one number that tells of the data."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gud.diffusion.processes import PROJECTED, Process, Reduced, State
from gud.diffusion.samplers.sampler import Noise, ReverseProcess
from gud.diffusion.samplers.stepwise import Memory, Stepwise, Stretch
from gud.diffusion.schedules import Schedule


class Projected(Stepwise):
    """A method for Ornstein-Uhlenbeck, of one network evaluation a step, that serves every process.

    Of z = m chi + L eps the combination that `Process.project` takes is a state of
    Ornstein-Uhlenbeck at the same signal-to-noise ratio, and what is orthogonal to it is noise that
    says nothing of the data. Whatever takes the first from its law at one time to that at another,
    and leaves the second as standard noise, takes z from law to law: the method moves the first,
    and the noise is carried along. With the exact score the samples are those of
    Ornstein-Uhlenbeck along the projected path, whatever the process: nothing of it is left but
    its clock and the k variables that the network sees.
    """

    def step(
        self, stretch: Stretch, z: State, noise: Noise | None, memory: Memory
    ) -> tuple[State, Memory]:
        outer, now = stretch.reverse, stretch.now(z)
        process = outer.process
        reverse = ReverseProcess(
            lambda _, __: process.drop(outer.denoiser(z, now), z, now),
            ProjectedPath(outer.schedule, process),
            PROJECTED,
            outer.variance,
        )
        inner = Stretch(reverse, stretch.times, stretch.number)
        reduced, memory = self.move(inner, process.project(z, now)[0], noise, memory)
        if stretch.clean:
            return torch.cat([reduced, torch.zeros_like(z[:, 1:])], 1), memory
        return process.carry(z, now, reduced, stretch.after(z)), memory

    @abstractmethod
    def move(
        self, stretch: Stretch, z: Reduced, noise: Noise | None, memory: Memory
    ) -> tuple[Reduced, Memory]:
        """As `step`, for Ornstein-Uhlenbeck; the noise is to be predicted of z alone."""


@dataclass(frozen=True)
class ProjectedPath(Schedule):
    """The noise levels of the states of a process along a schedule."""

    schedule: Schedule
    process: Process

    def gamma(self, t: Float[Tensor, " batch"]) -> Float[Tensor, "batch components"]:
        return self.process.noise_level(self.schedule(t))

    def d_gamma_dt(self, t: Float[Tensor, " batch"]) -> Float[Tensor, "batch components"]:
        """That of the schedule, as `Process.project` leaves it: no step takes it."""
        return self.schedule.d_gamma_dt(t)
