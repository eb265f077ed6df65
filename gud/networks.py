"""Score networks eps_theta(image, gamma): noise estimates in image space, given the noising state.

Every network in `NETWORKS` takes images of shape (batch, in_channels, height, width) and gamma of
shape (batch, components), one log(sigma_i^2 / alpha_i^2) per spatial component, and returns float32
of shape (batch, out_channels, height, width).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gud.errors import InputError
from gud.layers import (
    AttentionBlock,
    PyramidStep,
    ResidualBlock,
    ResidualMLP,
    conv,
    dense,
    group_norm,
    position_embedding,
)

GAMMA_UNIT = 10.0  # gamma spans about [-10, 15]; a dense layer wants inputs of order one

Hook = Callable[[int, Tensor], Tensor]


class UNet(nn.Module):
    """The image part of NCSN++ (Song et al. 2021): a U-Net steered by one vector per image.

    `places` lists (channels, size) of the features at the end of every level: down the U-Net,
    at its bottom, up again. `forward` hands these features to a hook that may replace them.

    Args:
        image_size: height and width, divisible by 2 per level after the first.
        width: channels of the first level; `multipliers` scale it, one per level.
        blocks: residual blocks per level (one more on the way up).
        attention: image sizes at which self-attention follows the residual blocks.
        dropout: probability, inside each residual block.
        condition: length of the steering vector.

    Raises:
        InputError: if the sizes do not fit together.
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
        sizes = level_sizes(image_size, len(multipliers))
        check_body(width, multipliers, blocks, attention, dropout, sizes)
        channels = [width * multiplier for multiplier in multipliers]
        levels = list(zip(sizes, channels, strict=True))
        self.image_shape = (in_channels, image_size, image_size)
        self.places = [(c, s) for s, c in [*levels, levels[-1], *reversed(levels)]]

        block = partial(ResidualBlock, condition=condition, dropout=dropout)

        def attend(size: int, channels: int) -> nn.Module:
            return AttentionBlock(channels) if size in attention else nn.Identity()

        self.stem = conv(in_channels, width, 3)
        self.down, self.down_attention = nn.ModuleList(), nn.ModuleList()
        self.shrink, self.pyramid = nn.ModuleList(), nn.ModuleList()
        skips, pyramid = [width], in_channels
        for level, (size, outputs) in enumerate(levels):
            if level:
                inputs = skips[-1]
                self.shrink.append(block(inputs, inputs, mode="down"))
                self.pyramid.append(PyramidStep(pyramid, inputs))
                pyramid = inputs
                skips.append(inputs)
            inputs = [skips[-1], *[outputs] * (blocks - 1)]
            self.down.append(nn.ModuleList(block(count, outputs) for count in inputs))
            self.down_attention.append(nn.ModuleList(attend(size, outputs) for _ in inputs))
            skips += [outputs] * blocks

        bottom = channels[-1]
        self.bottom_in, self.bottom_out = block(bottom, bottom), block(bottom, bottom)
        self.bottom_attention = AttentionBlock(bottom)

        self.up, self.up_attention, self.grow = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        features = bottom
        for level, (size, outputs) in reversed(list(enumerate(levels))):
            inputs = [features, *[outputs] * blocks]
            self.up.append(nn.ModuleList(block(n + skips.pop(), outputs) for n in inputs))
            self.up_attention.append(attend(size, outputs))
            if level:
                self.grow.append(block(outputs, outputs, mode="up"))
            features = outputs

        self.norm = group_norm(width * multipliers[0])
        self.head = conv(width * multipliers[0], out_channels, 3, scale=0.0)

    def forward(
        self,
        images: Float[Tensor, "batch in_channels height width"],
        condition: Float[Tensor, "batch condition"],
        hook: Hook = lambda place, features: features,
    ) -> Float[Tensor, "batch out_channels height width"]:
        """Map images to float32 images; `hook(i, features)` acts on the features at `places[i]`."""
        if images.shape[1:] != self.image_shape:
            raise InputError(
                f"The images given to the network have shape {tuple(images.shape)}; "
                f"expected (batch, {', '.join(map(str, self.image_shape))})."
            )
        # The convolutions of CPUs and tensor cores are faster with the channels innermost.
        images = images.contiguous(memory_format=torch.channels_last)
        condition = F.silu(condition)
        place = iter(range(len(self.places)))
        features, skips = self.descend(images, condition, partial(_next, hook, place))
        features = self.bottom_attention(self.bottom_in(features, condition))
        features = hook(next(place), self.bottom_out(features, condition))
        return features
