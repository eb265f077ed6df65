"""Ancestral steps: the posterior given the predicted data."""

from __future__ import annotations

import torch

from gud.diffusion.processes import Reduced, per_component
from gud.diffusion.samplers.projected import Projected
from gud.diffusion.samplers.sampler import Noise
from gud.diffusion.samplers.stepwise import Memory, Stretch


class Ancestral(Projected):
    """Draws from the posterior of z after given z now and the predicted data, for each component.

    Exact for steps of any size if the data were known; on standard diffusion it is the ancestral
    sampler of Ho et al. 2020.
    """

    def move(
        self, stretch: Stretch, z: Reduced, noise: Noise | None, memory: Memory
    ) -> tuple[Reduced, Memory]:
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
