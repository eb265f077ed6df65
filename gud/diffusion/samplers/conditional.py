"""Conditional samples from an unconditional model, as PSLD's section on conditional synthesis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gud.diffusion.noising import NoisingState
from gud.diffusion.processes import Process, State, apply
from gud.diffusion.samplers.sampler import Denoiser, Noise
from gud.diffusion.samplers.stepwise import Memory, Stepwise, Stretch

LogLikelihood = Callable[[State, NoisingState], Float[Tensor, " batch"]]
"""log p(y | z(t)) of what is asked for, given noised states: that of a class by a classifier."""


def guided(
    denoiser: Denoiser, process: Process, log_likelihood: LogLikelihood, scale: float = 1.0
) -> Denoiser:
    """The noise whose score is s + scale grad log p(y | z): eps - scale L^T grad log p(y | z).

    By Bayes' rule it is the noise of the states given y, if s and p are exact and the scale is 1.
    Every sampler takes it in place of the unconditional one.

    Args:
        log_likelihood: differentiable in the states.
    """

    def eps(z: State, state: NoisingState) -> State:
        with torch.enable_grad():
            seen = z.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(log_likelihood(seen, state).sum(), seen)
        return denoiser(z, state) - scale * apply(process.factor(state).transpose(1, 2), gradient)

    return eps


@dataclass(frozen=True)
class Inpainting(Stepwise):
    """Steps of a method, each of which leaves the known part of the data as the process noises it.

    The unknown part sees the known one with fresh noise at each step, and not the future of that
    noise. So it is exact if the parts are independent, and else biased with any number of steps: of
    Gaussian data that are 0.8 correlated, a part next to a known 1 has the mean 0.55, not 0.8.
    `guided` by the exact p(known | z) has no such bias.

    Args:
        method: that draws the whole.
        known: data z(0), of which what is not known is ignored, shape as that of the states.
        part: the linear projection of states onto what is known.
    """

    method: Stepwise
    known: State
    part: Callable[[State], State]

    @property
    def evaluations(self) -> int:
        return self.method.evaluations

    def step(
        self, stretch: Stretch, z: State, noise: Noise | None, memory: Memory
    ) -> tuple[State, Memory]:
        z, memory = self.method.step(stretch, z, noise, memory)
        known = self.known
        if not stretch.clean:
            fresh = torch.zeros_like(z) if noise is None else noise(z)
            known = stretch.reverse.process.perturb(known, stretch.after(z), fresh)
        return z + self.part(known - z), memory
