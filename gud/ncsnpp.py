"""NCSN++ (Song et al. 2021), conditioned on the noising state (app. B)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gud.errors import InputError
from gud.layers import (
    PyramidStep,
    ResidualBlock,
    ResidualMLP,
    conv,
    dense,
    group_norm,
    position_embedding,
    widened,
)

GAMMA_UNIT = 10.0  # gamma spans about [-10, 15]; a dense layer wants inputs of order one

Hook = Callable[[int, Tensor], Tensor]


class UNet(nn.Module):
    """The image part of NCSN++ (Song et al. 2021): a U-Net steered by one vector per image.

    `places` lists (channels, size) of the features at the end of each level: down the U-Net, at
    its bottom, and up again. `forward` hands these features to a hook that may replace them.

    Args:
        image_size: height and width, divisible by 2 for each level after the first.
        width: channels of the first level; `multipliers` scale it, one per level.
        blocks: residual blocks per level (one more on the way up).
        attention: image sizes at which self-attention follows the residual blocks.
        dropout: probability, inside each residual block.
        condition: length of the steering vector.

    Raises:
        InputError: if an argument is out of range or the sizes do not fit together.
    """

    def __init__(
        self,
        *,
        image_size: int,
        in_channels: int,
        out_channels: int,
        width: int,
        multipliers: Sequence[int],
        blocks: int,
        attention: Sequence[int],
        dropout: float,
        condition: int,
    ) -> None:
        super().__init__()
        _check(image_size, width, multipliers, blocks, attention, dropout)
        levels = [(width * m, image_size >> level) for level, m in enumerate(multipliers)]
        bottom, _ = levels[-1]
        self.image_shape = (in_channels, image_size, image_size)
        self.places = [*levels, levels[-1], *reversed(levels)]
        block = partial(ResidualBlock, condition=condition, dropout=dropout)

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


class NCSNpp(nn.Module):
    """NCSN++ conditioned on the noising state (app. B).

    The mean of gamma stands in for time in the positional embedding; a residual-MLP embedding of
    the whole of gamma is concatenated to it before the two dense layers of the steering vector.

    Args:
        image_size, in_channels, out_channels, width, multipliers, blocks, attention, dropout: as
            for `UNet`.
        labels: position label of each component; their number alone matters here.
        gamma_width: length of the embedding of gamma; 0 leaves its mean as the only condition.
        gamma_blocks: residual blocks of that embedding.
        time_scale: positions per unit of mean gamma (Song et al. have 999 per unit of time).

    Raises:
        InputError: if an argument is out of range or the sizes do not fit together.
    """

    def __init__(
        self,
        *,
        image_size: int,
        in_channels: int,
        out_channels: int,
        labels: Float[Tensor, " components"],
        width: int,
        multipliers: Sequence[int],
        blocks: int,
        attention: Sequence[int],
        dropout: float,
        gamma_width: int,
        gamma_blocks: int,
        time_scale: float,
    ) -> None:
        super().__init__()
        at_least("number of components", len(labels), 1)
        at_least("gamma_width", gamma_width, 0)
        at_least("gamma_blocks", gamma_blocks, 0)
        self.components, self.width, self.time_scale = len(labels), width, time_scale
        self.body = UNet(
            image_size=image_size,
            in_channels=in_channels,
            out_channels=out_channels,
            width=width,
            multipliers=multipliers,
            blocks=blocks,
            attention=attention,
            dropout=dropout,
            condition=4 * width,
        )
        self.gamma = (
            ResidualMLP(self.components, gamma_width, gamma_blocks) if gamma_width else None
        )
        self.condition = nn.Sequential(
            dense(width + gamma_width, 4 * width), nn.SiLU(), dense(4 * width, 4 * width)
        )

    def embed(self, gamma: Float[Tensor, "batch components"]) -> Float[Tensor, "batch condition"]:
        """The steering vector, in float32: it tells apart states that bfloat16 would merge."""
        if gamma.shape[1:] != (self.components,):
            raise InputError(
                f"The noising state gamma given to the network has shape {tuple(gamma.shape)}; "
                f"expected (batch, {self.components})."
            )
        with torch.autocast(gamma.device.type, enabled=False):
            gamma = widened(gamma)
            embedding = position_embedding(self.time_scale * gamma.mean(dim=1), self.width)
            if self.gamma is not None:
                embedding = torch.cat([embedding, self.gamma(gamma / GAMMA_UNIT)], dim=1)
            return self.condition(embedding)

    def forward(
        self,
        images: Float[Tensor, "batch in_channels height width"],
        gamma: Float[Tensor, "batch components"],
    ) -> Float[Tensor, "batch out_channels height width"]:
        return self.body(images, self.embed(gamma))


def at_least(name: str, value: int, least: int) -> None:
    """Raise an `InputError` if the setting `name` of a network is below `least`."""
    if value < least:
        raise InputError(f"The network's {name} is {value}; expected at least {least}.")


def _check(
    image_size: int,
    width: int,
    multipliers: Sequence[int],
    blocks: int,
    attention: Sequence[int],
    dropout: float,
) -> None:
    at_least("image_size", image_size, 1)
    at_least("blocks", blocks, 1)
    at_least("number of multipliers", len(multipliers), 1)
    at_least("smallest multiplier", min(multipliers), 1)
    at_least("width", width, 4)
    if width % 4:
        raise InputError(f"The network's width is {width}; expected a multiple of 4.")
    if not 0 <= dropout < 1:
        raise InputError(f"The network's dropout is {dropout}; expected a value in [0, 1).")
    halvings = len(multipliers) - 1
    if image_size % 2**halvings:
        raise InputError(
            f"The network's image_size is {image_size}; expected a multiple of {2**halvings}, "
            f"for its {len(multipliers)} multipliers halve the image {halvings} times."
        )
    sizes = [image_size >> level for level in range(len(multipliers))]
    if not set(attention) <= set(sizes):
        raise InputError(
            f"The network's attention sizes are {list(attention)}; expected only sizes of its "
            f"levels, {sizes}."
        )
