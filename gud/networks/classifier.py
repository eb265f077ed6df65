"""A classifier of noised images: the downward half of NCSN++, steered by the noising state."""

from __future__ import annotations

from functools import partial

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gud.config.sections.networks import NCSNppSettings
from gud.errors import InputError
from gud.networks.layers import ResidualBlock, conv, dense, group_norm, widened
from gud.networks.steering import Steered


class Classifier(Steered):
    """Logits of classes, from the mean over the pixels of the last features.

    Args:
        settings: width, levels and blocks.
        image_size: height and width, divisible by 2 for each level after the first.
        components: of gamma.
        classes: two or more.

    Raises:
        InputError: the settings do not fit the size of the images, or there are fewer classes.
    """

    def __init__(
        self,
        settings: NCSNppSettings,
        *,
        image_size: int,
        in_channels: int,
        components: int,
        classes: int,
    ) -> None:
        super().__init__()
        settings.check(image_size, components)
        if classes < 2:
            raise InputError(f"a classifier of {classes} classes was asked for; expected 2 or more")
        block = partial(ResidualBlock, condition=4 * settings.width, dropout=settings.dropout)
        self.stem = conv(in_channels, settings.width, 3)
        self.blocks = nn.ModuleList()
        features = settings.width
        for multiplier, size in zip(settings.multipliers, settings.sizes(image_size), strict=True):
            if size < image_size:
                self.blocks.append(block(features, features, mode="down"))
            for _ in range(settings.blocks):
                channels = settings.width * multiplier
                attends = size in settings.attention
                self.blocks.append(block(features, channels, attention=attends))
                features = channels
        self.norm = group_norm(features)
        self.head = dense(features, classes)
        self.steer(settings, components)

    def forward(
        self,
        images: Float[Tensor, "batch in_channels height width"],
        gamma: Float[Tensor, "batch components"],
    ) -> Float[Tensor, "batch classes"]:
        condition = F.silu(self.embed(gamma))
        features = self.stem(images)
        for block in self.blocks:
            features = block(features, condition)
        return widened(self.head(F.silu(self.norm(features)).mean((2, 3))))
