"""Samplers that go along a grid of times."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from gud.diffusion.noising import NoisingState
from gud.diffusion.processes import Process, State
from gud.diffusion.samplers.sampler import (
    Denoiser,
    Noise,
    Options,
    Progress,
    ReverseProcess,
    Sampler,
)
from gud.diffusion.schedules import Schedule
from gud.randomness import ImageStreams

Memory = tuple[Float[Tensor, "batch kept channels components"], ...]
"""What a multistep method keeps of the steps before, the newest first."""


@dataclass(frozen=True)
class Stretch:
    """What one step crosses: the path from times[number] to times[number + 1].

    After the last of the times come data without any noise.
    """

    reverse: ReverseProcess
    times: Float[Tensor, " times"]
    number: int

    @property
    def clean(self) -> bool:
        """Whether it ends without any noise."""
        return self.number + 1 == len(self.times)

    @property
    def before(self) -> Stretch:
        """The one that ends where this begins."""
        return replace(self, number=self.number - 1)

    def now(self, z: State) -> NoisingState:
        """The noising states at its beginning, for a batch of states."""
        return self.reverse.schedule(self.times[self.number].expand(len(z)))

    def after(self, z: State) -> NoisingState:
        """The noising states at its end, for a batch of states."""
        return NoisingState.at_rest(self.path(1).gamma[-1].expand(len(z), -1))

    def middle(self, z: State) -> NoisingState:
        """The noising states in its middle, for a batch of states; it has no clean end."""
        return NoisingState.at_rest(self.path(2).gamma[1].expand(len(z), -1))

    def path(self, parts: int) -> NoisingState:
        """The noising states along it, at the ends of equal parts; of the clean end, only those."""
        if self.clean:
            gamma = self.reverse.schedule(self.times[-1:]).gamma
            return NoisingState.at_rest(torch.cat([gamma, torch.full_like(gamma, -torch.inf)]))
        first, last = self.times[self.number : self.number + 2]
        ends = torch.linspace(0, 1, parts + 1, dtype=first.dtype, device=first.device)
        return self.reverse.schedule(torch.lerp(first, last, ends))


class Stepwise(Sampler):
    """A method that is defined by its step.

    Attributes:
        draws: of fresh noise in a step.
        evaluations: of the network in a step; the step to clean data has one.
    """

    draws: int = 1

    @property
    def evaluations(self) -> int:
        return 1

    @abstractmethod
    def step(
        self, stretch: Stretch, z: State, noise: Noise | None, memory: Memory
    ) -> tuple[State, Memory]:
        """From z at the beginning of a stretch to z at its end.

        Args:
            noise: None where a step is to add none.
            memory: what the step before returned; () at first.
        """

    def draw(
        self, reverse: ReverseProcess, z: State, noise: Noise, options: Options, progress: Progress
    ) -> tuple[State, int]:
        memory: Memory = ()
        walk = list(stretches(reverse, options, self.evaluations))
        for number in progress(range(len(walk))):
            stretch, noisy = walk[number]
            z, memory = self.step(stretch, z, noise if noisy else None, memory)
        return z, sum(1 if stretch.clean else self.evaluations for stretch, _ in walk)


def stretches(
    reverse: ReverseProcess, options: Options, evaluations: int = 1
) -> Iterator[tuple[Stretch, bool]]:
    """What each step crosses, and whether it adds noise.

    Args:
        evaluations: of the network in a step, of which `options.steps` are to be had.
    """
    variance = reverse.variance
    on_grid = (options.steps - options.denoise) // evaluations
    on_grid = on_grid if options.denoise else max(1, on_grid)
    steps = on_grid + options.denoise
    times = options.grid(reverse.schedule, variance, on_grid, options.start, options.end)
    for number in range(steps):
        last = number + 1 == steps
        noisy = not (last and (options.noise_free_last_step or options.denoise))
        yield Stretch(reverse, times, number), noisy


def noise_of(streams: ImageStreams) -> Noise:
    """Fresh noise of a batch of images from a stream of each."""
    return lambda z: streams.normal(z.shape[1:]).to(z)


def sample_sde(
    denoiser: Denoiser,
    schedule: Schedule,
    process: Process,
    z: State,
    streams: ImageStreams,
    *,
    method: Stepwise,
    steps: int,
    noise_free_last_step: bool = True,
    start: float = 1.0,
    end: float = 0.0,
    progress: Progress = iter,
) -> State:
    """Draw z(end) given z(start) by steps of a method on a uniform grid of times.

    Args:
        denoiser: predicts eps.
        z: z(start); at 1 a draw from the prior.
        streams: noise of the steps, one stream an image.
        method: such as `EulerMaruyama()`; one that needs variances of the data takes those of the
            prior.
        steps: number of network evaluations.
        noise_free_last_step: leave the noise out of the last step.
        start, end: times of the schedule, 1 >= start > end >= 0.
    """
    variance = torch.ones(z.shape[-1], dtype=torch.float64, device=z.device)
    reverse = ReverseProcess(denoiser, schedule, process, variance)
    options = Options(steps=steps, noise_free_last_step=noise_free_last_step, start=start, end=end)
    return method(reverse, z, noise_of(streams), options, progress)[0]
