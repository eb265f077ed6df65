"""NCSN++ (Song et al. 2021), conditioned on the noising state (app. B)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gud.config.sections.networks import NCSNppSettings, UNetSettings
from gud.errors import InputError
from gud.networks.layers import (
    PyramidStep,
    ResidualBlock,
    conv,
    group_norm,
    widened,
)
from gud.networks.steering import Steered

Hook = Callable[[int, Tensor], Tensor]


class UNet(nn.Module):
    """The image part of NCSN++ (Song et al. 2021): a U-Net steered by one vector per image.

    `places` lists (channels, size) of the features at the end of each level: down the U-Net, at
    its bottom, and up again. `forward` hands these features to a hook that may replace them.

    Args:
        settings: width, levels and blocks.
        image_size: height and width, divisible by 2 for each level after the first.
        condition: length of the steering vector.
    """

    def __init__(
        self,
        settings: UNetSettings,
        *,
        image_size: int,
        in_channels: int,
        out_channels: int,
        condition: int,
    ) -> None:
        super().__init__()
        width, blocks, attention = settings.width, settings.blocks, settings.attention
        sizes = settings.sizes(image_size)
        levels = [(width * m, size) for m, size in zip(settings.multipliers, sizes, strict=True)]
        bottom, _ = levels[-1]
        self.image_shape = (in_channels, image_size, image_size)
        self.places = [*levels, levels[-1], *reversed(levels)]
        block = partial(ResidualBlock, condition=condition, dropout=settings.dropout)

        self.stem = conv(in_channels, width, 3)
        self.down, self.shrink, self.pyramid = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        skips, pyramid = [width], in_channels
        for channels, size in levels:
            if size < image_size:
                self.shrink.append(block(skips[-1], skips[-1], mode="down"))
                self.pyramid.append(PyramidStep(pyramid, skips[-1]))
                pyramid = skips[-1]
                skips.append(pyramid)
            level = nn.ModuleList()
            for _ in range(blocks):
                level.append(block(skips[-1], channels, attention=size in attention))
                skips.append(channels)
            self.down.append(level)

        self.bottom = nn.ModuleList(block(bottom, bottom, attention=a) for a in (True, False))

        self.up, self.grow = nn.ModuleList(), nn.ModuleList()
        features = bottom
        for channels, size in reversed(levels):
            level = nn.ModuleList()
            for remaining in reversed(range(blocks + 1)):
                attend = size in attention and remaining == 0
                level.append(block(features + skips.pop(), channels, attention=attend))
                features = channels
            self.up.append(level)
            if size < image_size:
                self.grow.append(block(features, features, mode="up"))

        self.norm = group_norm(features)
        self.head = conv(features, out_channels, 3, scale=0.0)

    def forward(
        self,
        images: Float[Tensor, "batch in_channels height width"],
        condition: Float[Tensor, "batch condition"],
        hook: Hook = lambda place, features: features,
    ) -> Float[Tensor, "batch out_channels height width"]:
        """Map images to images; `hook(i, features)` replaces the features at `places[i]`."""
        if images.shape[1:] != self.image_shape:
            raise InputError(
                f"The images given to the network have shape {tuple(images.shape)}; "
                f"expected (batch, {', '.join(map(str, self.image_shape))})."
            )
        condition = F.silu(condition)
        depth = len(self.down)

        pyramid, features = images, self.stem(images)
        skips = [features]
        for number, level in enumerate(self.down):
            if number:
                features = self.shrink[number - 1](features, condition)
                features = pyramid = self.pyramid[number - 1](pyramid, features)
                skips.append(features)
            for block in level.children():
                features = block(features, condition)
                skips.append(features)
            features = skips[-1] = hook(number, features)

        for block in self.bottom:
            features = block(features, condition)
        features = hook(depth, features)

        for number, level in enumerate(self.up):
            for block in level.children():
                features = block(torch.cat([features, skips.pop()], dim=1), condition)
            features = hook(depth + 1 + number, features)
            if number < len(self.grow):
                features = self.grow[number](features, condition)
        return widened(self.head(F.silu(self.norm(features))))


class NCSNpp(Steered):
    """NCSN++ conditioned on the noising state (app. B).

    Args:
        labels: position label of each component; their number alone matters here.

    Raises:
        InputError: if the settings do not fit the size of the images.
    """

    def __init__(
        self,
        settings: NCSNppSettings,
        *,
        image_size: int,
        in_channels: int,
        out_channels: int,
        labels: Float[Tensor, " components"],
    ) -> None:
        super().__init__()
        settings.check(image_size, len(labels))
        self.body = UNet(
            settings,
            image_size=image_size,
            in_channels=in_channels,
            out_channels=out_channels,
            condition=4 * settings.width,
        )
        self.steer(settings, len(labels))

    def forward(
        self,
        images: Float[Tensor, "batch in_channels height width"],
        gamma: Float[Tensor, "batch components"],
    ) -> Float[Tensor, "batch out_channels height width"]:
        return self.body(images, self.embed(gamma))
