"""Euler-Maruyama steps of the reverse SDE (9), the paper's sampler."""

from __future__ import annotations

from gud.diffusion.processes import State, per_component
from gud.diffusion.samplers.sampler import Noise
from gud.diffusion.samplers.stepwise import Memory, Stepwise, Stretch


class EulerMaruyama(Stepwise):
    """Steps of the reverse SDE, equation 9, in the clock of each component.

    The step of component i is the exact increment of its clock tau_i, so that it depends on gamma
    alone and never on a (possibly infinite) rate.
    """

    def step(
        self, stretch: Stretch, z: State, noise: Noise | None, memory: Memory
    ) -> tuple[State, Memory]:
        process, now = stretch.reverse.process, stretch.now(z)
        increment = per_component(process.clock(now) - process.clock(stretch.after(z)), z)
        score = process.score(stretch.reverse.denoiser(z, now), now)
        mean = z - increment * process.reverse_drift(z, score)
        if noise is None:
            return mean, ()
        return mean + increment.sqrt() * process.diffuse(noise(z)), ()
