"""A classifier of noised states, which guides samples of a diffusion model to a class."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from gud.config.sections.model import ModelSettings
from gud.config.sections.networks import NCSNppSettings
from gud.diffusion.noising import NoisingState
from gud.diffusion.processes import State
from gud.diffusion.representation import Statistics
from gud.diffusion.samplers import LogLikelihood
from gud.errors import InputError
from gud.networks.classifier import Classifier
from gud.state_network import StateNetwork, load_network


class StateClassifier(StateNetwork):
    """p(class | z(t)) for the states of a model, which it sees as the network of that model does.

    Args:
        settings: those of the model, but for the network, whose downward half is taken.
        statistics: of the training set, as of the model.
        classes: what the classes are called.

    Raises:
        InputError: the network has no steering vector, or there are fewer than two classes.
    """

    def __init__(self, settings: ModelSettings, statistics: Statistics, classes: Sequence[str]):
        super().__init__(settings, statistics)
        if not isinstance(settings.network, NCSNppSettings):
            raise InputError(
                f"the network of a classifier is {settings.network.name}; expected ncsnpp"
            )
        self.classes = tuple(classes)
        self.metadata = {"classes": json.dumps(self.classes)}
        self.network = Classifier(
            settings.network,
            image_size=self.image_shape[1],
            in_channels=self.channels,
            components=self.state_shape[2],
            classes=len(self.classes),
        )

    def log_probabilities(self, z: State, state: NoisingState) -> Float[Tensor, "batch classes"]:
        """log p(class | z(t)), differentiable in the states."""
        return torch.log_softmax(self.output(self.see(z, state)), 1)

    def of_classes(self, wanted: Int64[Tensor, " batch"]) -> LogLikelihood:
        """log p(y | z(t)) of a class for each state, to be taken by `guided`."""

        def log_likelihood(z: State, state: NoisingState) -> Float[Tensor, " batch"]:
            return self.log_probabilities(z, state).gather(1, wanted[:, None])[:, 0]

        return log_likelihood


def load_classifier(path: str | Path, device: torch.device | str = "cpu") -> StateClassifier:
    """A trained classifier; raises `InputError` if the file is missing or holds none."""

    def build(
        settings: ModelSettings, statistics: Statistics, metadata: Mapping[str, str]
    ) -> StateClassifier:
        classes = json.loads(metadata.get("classes", "null"))
        if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
            raise InputError("it names no classes, as a classifier does")
        return StateClassifier(settings, statistics, classes)

    return load_network(build, path, device)
