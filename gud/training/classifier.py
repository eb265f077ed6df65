"""A classifier of noised states in training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from gud.classifier import StateClassifier
from gud.devices import send
from gud.diffusion.representation import Statistics
from gud.diffusion.schedules import Schedule
from gud.training.step import Batch, NetworkTraining


class ClassifierTraining(NetworkTraining[StateClassifier]):
    """p(class | z(t)) in training, by the cross-entropy of images noised to uniform times.

    Args:
        labels: the number of the class of each image of the training set.
        classes: what the classes are called.
        arguments: as of `NetworkTraining`.
    """

    def __init__(
        self, *arguments: Any, labels: Int64[Tensor, " count"], classes: Sequence[str]
    ) -> None:
        self.labels, self.classes = labels, tuple(classes)
        super().__init__(*arguments)

    def build(self, statistics: Statistics) -> StateClassifier:
        return StateClassifier(self.run.model, statistics, self.classes)

    def objective(self, batch: Batch, schedule: Schedule) -> Float[Tensor, ""]:
        model, state = self.model, schedule(batch.t)
        z0 = model.initial(batch.images)
        z, _ = model.process.example(z0, state, batch.noise)
        found = model.log_probabilities(z, state)
        labels = send(self.labels[batch.index], self.device)
        return torch.nn.functional.nll_loss(found, labels)
