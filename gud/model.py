"""A diffusion model: representation, schedule family, process and network, in one file on disk."""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gud.config.sections.model import ModelSettings
from gud.diffusion.dequantisation import dequantise, quantise
from gud.diffusion.noising import NoisingState
from gud.diffusion.processes import Draws, State, per_component
from gud.diffusion.representation import Statistics
from gud.networks import build_network
from gud.randomness import Stream
from gud.state_network import StateNetwork, load_network


class Model(StateNetwork):
    """Four independent choices and a trained network.

    Args:
        settings: of the choices and the network.
        statistics: of the training set, from `gud.data.statistics.fit`.

    Attributes:
        representation: images <-> components.
        process: what happens to a component as its clock runs.
        network: predicts the noise in image space (App. B).
    """

    def __init__(self, settings: ModelSettings, statistics: Statistics):
        super().__init__(settings, statistics)
        channels, image_size, _ = self.image_shape
        projected = settings.preconditioning == "gaussian"
        self.network = build_network(
            settings.network,
            image_size=image_size,
            in_channels=self.channels,
            out_channels=channels * (1 if projected else self.process.k - self.process.silent),
            labels=self.representation.labels,
        )

    def eps(self, z: State, state: NoisingState) -> State:
        """Predicted noise of a noised state, shape (batch, k, channels, components).

        The network F sees an image and gives one: locality and shifts are those of images (App. B).
        `network_space` says where, whatever the prior: there the data have the standard deviations
        w_i, sqrt(Sigma_i) for `image` and 1 for `whitened`, which are sqrt(V_i) as they are
        diffused. With `preconditioning: none`

            x = U^T w z / sqrt(V),    eps_i = sqrt(V_i) / w_i (U F(x))_i,

        that is x = U^T S z for `image`, the noised original image, and x = U^T Sigma^-1/2 S z for
        `whitened`; one of the two is U^T z. F gives the noise of the image that it sees. Of a state
        of k numbers F sees k images, all scaled alike, and gives the noise of those numbers that
        have some of their own; that of the others is left at 0.

        With `gaussian`, the preconditioning of Karras et al. 2022 component by component, the
        network adds to the prediction of independent Gaussian components of the variances V_i.
        Below, z and its noise are for k > 1 those of `Process.project`, the one combination of the
        k numbers that says something of the data: F solves the problem of Ornstein-Uhlenbeck for
        every process. With s_i^2 = alpha_i^2 V_i + sigma_i^2, cos theta_i = alpha_i sqrt(V_i) / s_i
        and sin theta_i = sigma_i / s_i,

            x = U^T w cos theta z / (s c),
            eps_i = sin theta_i z_i / s_i + cos theta_i (U F(x))_i,

        where c^2 is the mean of w_i^2 cos^2 theta_i: the network sees the data that a Gaussian
        expects, at unit variance, and predicts cos theta_i eps_i - sin theta_i chi_i / sqrt(V_i),
        of unit variance in every component (the v of Salimans and Ho 2022 if V_i = 1). The prior
        enters through theta_i alone, that is through the signal-to-noise ratio tan^-2 theta_i, and
        through gamma, which F is told.
        """
        if self.settings.preconditioning == "none":
            scale = self.scale(state).to(z)
            driven = self._output(scale * z, state) / scale
            return torch.cat([torch.zeros_like(z[:, : self.process.silent]), driven], 1)
        reduced, told = self.process.project(z, state)
        gain, kept, cosine = self.gaussian(told)
        output = self._output(per_component(gain, reduced) * reduced, told)
        eps = per_component(kept, reduced) * reduced + per_component(cosine, reduced) * output
        return self.process.lift(eps, z, state)

    def predicted(self, noise: State, state: NoisingState) -> Draws:
        """What of the noise of a state the network predicts, in components."""
        if self.settings.preconditioning == "none":
            return noise[:, self.process.silent :]
        return self.process.project_noise(noise, state)

    def _output(self, components: State, state: NoisingState) -> Draws:
        """The components U F(U^T components) of the network's output."""
        images = self.images(components)
        output = self.network(images, state.gamma.to(images))
        basis = self.representation.basis
        return basis.forward(output.unflatten(1, (-1, self.image_shape[0])))

    def encode(
        self, images: UInt8[Tensor, "batch channels height width"], seed: int = 0
    ) -> Float[Tensor, "batch state_channels components"]:
        """Components of 8-bit images, dequantised with noise from `seed` (App. B)."""
        draws = Stream(images.device, seed, "encode")
        return self.representation.encode(dequantise(images, draws))

    def decode(
        self, components: Float[Tensor, "batch state_channels components"]
    ) -> UInt8[Tensor, "batch channels height width"]:
        """8-bit images of components.

        `encode` leaves a value anywhere in the interval of its grey level: rounding in single
        precision takes about one in 50,000 across its edge, to the neighbouring level.
        """
        return quantise(self.representation.decode(components))


def load(path: str | Path, device: torch.device | str = "cpu") -> Model:
    """Load a trained model; raises `InputError` if the file is missing or not a sound model."""
    return load_network(lambda settings, statistics, _: Model(settings, statistics), path, device)
