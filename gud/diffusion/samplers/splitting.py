"""Symmetric splitting of the reverse SDE (SSCS, Dockhorn et al. 2022), for every linear process."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from gud.diffusion.noising import NoisingState
from gud.diffusion.processes import Process, State, apply, moments, per_component
from gud.diffusion.processes.matrices import cholesky
from gud.diffusion.samplers.euler_maruyama import EulerMaruyama
from gud.diffusion.samplers.sampler import Noise, ReverseProcess
from gud.diffusion.samplers.stepwise import Memory, Stepwise, Stretch


@dataclass(frozen=True)
class SymmetricSplitting(Stepwise):
    """Half of what the prior does backwards, the score's departure from its own, the other half.

    Backwards the process is dz = -(A z - B B^T s) dtau + B dw. With the score of the prior,
    -prior^-1 z, it is the stationary process with Q for -Q, which is solved exactly for half a
    step; then dz = B B^T (s + prior^-1 z) dtau is followed for all of it; then the other half. The
    step to clean data is one of Euler.

    Args:
        order: 1, as the papers have it, follows it by one step of Euler with the score s at the
            noising state of the step's beginning. 2 takes the state in the middle of the step and
            the explicit midpoint rule, two evaluations: on Gaussian data with the exact score the
            error of the covariance is of second order (`docs/interpretations.md`).
    """

    order: int = 1

    draws = 2

    @property
    def evaluations(self) -> int:
        return self.order

    def step(
        self, stretch: Stretch, z: State, noise: Noise | None, memory: Memory
    ) -> tuple[State, Memory]:
        if stretch.clean:
            return EulerMaruyama().step(stretch, z, noise, memory)
        reverse, now = stretch.reverse, stretch.now(z)
        process = reverse.process
        elapsed = process.clock(now) - process.clock(stretch.after(z))
        state = now if self.order == 1 else stretch.middle(z)
        z = _relax(process, z, elapsed / 2, noise)
        halfway = z
        if self.order == 2:
            halfway = z + per_component(elapsed / 2, z) * _beyond_prior(reverse, z, state)
        z = z + per_component(elapsed, z) * _beyond_prior(reverse, halfway, state)
        return _relax(process, z, elapsed / 2, noise), ()


def _beyond_prior(reverse: ReverseProcess, z: State, state: NoisingState) -> State:
    """The velocity that the score adds to the stationary process."""
    score = reverse.process.score(reverse.denoiser(z, state), state)
    return reverse.process.beyond_prior(z, score)


def _relax(
    process: Process, z: State, elapsed: Float[Tensor, "batch components"], noise: Noise | None
) -> State:
    """The stationary process backwards for a time of the clock."""
    transition, covariance = moments(process.backward, process.power, elapsed)
    z = apply(transition, z)
    return z if noise is None else z + apply(cholesky(covariance), noise(z))
