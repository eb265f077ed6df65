"""What a network sees of a noised state, and the noise that its output stands for (App. B).

The network F sees an image and gives one: locality and shifts are those of images. Where the data
have the standard deviations sqrt(V_i) as they are diffused, and w_i where the network sees (of the
original image or of a whitened one, whatever the prior), its image x and its output stand for the
noise eps as a `Preconditioning` says. Of a state of k variables `Plain` shows k images, `Gaussian`
one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gud.diffusion.noising import NoisingState
from gud.diffusion.processes import Draws, Process, State, per_component

Deviations = Float[Tensor, " components"]


@dataclass(frozen=True)
class Seen:
    """What a network sees of a state.

    Args:
        components: of its images, shape (batch, images, channels, components).
        state: the noising state that it is told.
        eps: the noise of the state, given the components of the network's output.
    """

    components: State
    state: NoisingState
    eps: Callable[[Draws], State]


class Preconditioning(ABC):
    """How a network is surrounded.

    Args:
        process: that noises the data.

    Attributes:
        images_in: how many images the network sees, each of all channels.
        images_out: how many it gives.
        nodes: through which Adams' method predicts the flow of a likelihood. What a network adds to
            the Gaussian prediction bears four; two where it predicts all of eps, whose errors
            `AngleClock` divides by a small cosine at high noise.
    """

    images_in: int = 1
    images_out: int = 1
    nodes: int = 2

    def __init__(self, process: Process):
        self.process = process

    @abstractmethod
    def see(self, z: State, state: NoisingState, diffused: Deviations, seen: Deviations) -> Seen:
        """What the network sees of a noised state.

        Args:
            diffused: sqrt(V_i), standard deviations of the data as they are diffused.
            seen: w_i, those where the network sees.
        """

    @abstractmethod
    def predicted(self, noise: State, state: NoisingState) -> Draws:
        """The part of a state's noise that the network predicts, in components."""


class Plain(Preconditioning):
    """The noised image itself, and its noise:

        x = U^T w z / sqrt(V),    eps_i = sqrt(V_i) / w_i (U F(x))_i,

    that is x = U^T S z where the network sees original images, and x = U^T Sigma^-1/2 S z where it
    sees whitened ones; one of the two is U^T z. Of a state of k variables F sees k images, all
    scaled alike, and gives the noise of those variables that have some of their own; that of the
    others is left at 0.
    """

    def __init__(self, process: Process):
        super().__init__(process)
        self.images_in, self.images_out = process.k, process.k - process.silent

    def see(self, z: State, state: NoisingState, diffused: Deviations, seen: Deviations) -> Seen:
        scale = (seen / diffused).to(z)
        silent = torch.zeros_like(z[:, : self.process.silent])
        return Seen(scale * z, state, lambda output: torch.cat([silent, output / scale], 1))

    def predicted(self, noise: State, state: NoisingState) -> Draws:
        return noise[:, self.process.silent :]


class Gaussian(Preconditioning):
    """The preconditioning of Karras et al. 2022, component by component.

    The network adds to the prediction of independent Gaussian components of the variances V_i.
    Below, z and its noise are for k > 1 those of `Process.project`, the one combination of the k
    variables that says something of the data: F solves the problem of Ornstein-Uhlenbeck for every
    process. With s_i^2 = alpha_i^2 V_i + sigma_i^2, cos theta_i = alpha_i sqrt(V_i) / s_i and
    sin theta_i = sigma_i / s_i,

        x = U^T w cos theta z / (s c),
        eps_i = sin theta_i z_i / s_i + cos theta_i (U F(x))_i,

    where c^2 is the mean of w_i^2 cos^2 theta_i: the network sees the data that a Gaussian expects,
    at unit variance, and predicts cos theta_i eps_i - sin theta_i chi_i / sqrt(V_i), of unit
    variance in every component (the v of Salimans and Ho 2022 if V_i = 1). The prior enters through
    theta_i alone, that is through the signal-to-noise ratio tan^-2 theta_i, and through gamma,
    which F is told.
    """

    nodes = 4

    def see(self, z: State, state: NoisingState, diffused: Deviations, seen: Deviations) -> Seen:
        reduced, told = self.process.project(z, state)
        s = told.variance(diffused.square()).sqrt()
        cosine, sine = told.alpha * diffused / s, told.sigma / s
        expected = seen * cosine
        scale = expected.square().mean(1, keepdim=True).sqrt() * s

        def eps(output: Draws) -> State:
            of_gaussian = per_component(sine / s, reduced) * reduced
            noise = of_gaussian + per_component(cosine, reduced) * output
            return self.process.lift(noise, z, state)

        return Seen(per_component(expected / scale, reduced) * reduced, told, eps)

    def predicted(self, noise: State, state: NoisingState) -> Draws:
        return self.process.project_noise(noise, state)


PRECONDITIONINGS: dict[str, type[Preconditioning]] = {"none": Plain, "gaussian": Gaussian}
"""By the name that presets give."""
