"""A model, put together of its choices, and its training."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gud.config.sections.bases import BasisSettings
from gud.config.sections.networks import NetworkSettings
from gud.config.sections.processes import ProcessSettings
from gud.config.sections.schedules import ScheduleSettings
from gud.config.sections.section import NonNegative, Positive, PositiveFloat, Section


class ModelSettings(Section):
    """Everything that determines a trained model but its data.

    `network_space`: where the network sees and predicts: original images or whitened ones,
    whichever the prior. `preconditioning`: what surrounds it. See `gud.diffusion.preconditioning`.
    """

    basis: BasisSettings
    prior: Literal["isotropic", "variance_matching"]
    process: ProcessSettings
    schedule: ScheduleSettings
    network_space: Literal["image", "whitened"]
    preconditioning: Literal["none", "gaussian"]
    network: NetworkSettings


class TrainingSettings(Section):
    """`micro_batch`: images of a batch that a device holds at once; null for all of its share."""

    steps: Positive
    batch_size: Positive
    micro_batch: Positive | None
    learning_rate: PositiveFloat
    warmup_steps: NonNegative
    gradient_clip: PositiveFloat | None
    ema: Annotated[float, Field(ge=0, lt=1)]
    flip: bool
    precision: Literal["auto", "bfloat16", "tf32", "float32"]
    checkpoint_every: Positive
    log_every: Positive

    def together(self, processes: int) -> int:
        """Images of a batch that each of several processes, which share it, holds at once."""
        share = self.batch_size // processes
        return min(self.micro_batch or share, share)
