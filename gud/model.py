"""A diffusion model: representation, schedule family, process and network, in one file on disk."""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gud.config.sections.model import ModelSettings
from gud.diffusion.dequantisation import dequantise, quantise
from gud.diffusion.noising import NoisingState
from gud.diffusion.processes import Draws, State
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
        self.network = build_network(
            settings.network,
            image_size=image_size,
            in_channels=self.channels,
            out_channels=channels * self.preconditioning.images_out,
            labels=self.representation.labels,
        )

    def eps(self, z: State, state: NoisingState) -> State:
        """Predicted noise of a noised state, shape (batch, k, channels, components).

        See `gud.diffusion.preconditioning` for what the network is asked.
        """
        seen = self.see(z, state)
        output = self.output(seen).unflatten(1, (-1, self.image_shape[0]))
        return seen.eps(self.representation.basis.forward(output))

    def predicted(self, noise: State, state: NoisingState) -> Draws:
        """The part of a state's noise that the network predicts, in components."""
        return self.preconditioning.predicted(noise, state)

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
