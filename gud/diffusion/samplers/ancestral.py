"""Ancestral steps: the posterior given the predicted data."""

from __future__ import annotations

import torch

from gud.diffusion.processes import State, per_component
from gud.diffusion.samplers.sampler import Noise
from gud.diffusion.samplers.stepwise import Memory, Stepwise, Stretch


class Ancestral(Stepwise):
    """Draws from the posterior of z after given z now and the predicted data, for each component.

    Exact for steps of any size if the data were known; on standard diffusion it is the ancestral
    sampler of Ho et al. 2020.
    """

    sizes = (1,)

    def step(
        self, stretch: Stretch, z: State, noise: Noise | None, memory: Memory
    ) -> tuple[State, Memory]:
        now, after = stretch.now(z), stretch.after(z)
        elapsed = now.tau - after.tau
        fresh = -torch.expm1(-elapsed)
        eps = stretch.reverse.denoiser(z, now)
        mean = z - per_component(fresh / now.sigma, z) * eps
        mean = per_component((elapsed / 2).exp(), z) * mean
        if noise is None:
            return mean, ()
        spread = fresh.sqrt() * after.sigma / now.sigma
        return mean + per_component(spread, z) * noise(z), ()
