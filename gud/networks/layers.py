"""Blocks of the NCSN++ U-Net (Song et al. 2021, sec. 4.1 and app. H).

Everything is initialised as in DDPM: weights uniform with variance `scale` / mean of fan-in and
fan-out, biases zero; `scale` 0 stands for 1e-10, so that such a layer starts as good as absent.
"""

from __future__ import annotations

import math
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

FIR_TAPS = (1.0, 3.0, 3.0, 1.0)


Layer = TypeVar("Layer", nn.Conv2d, nn.Linear)


def initialise(layer: Layer, scale: float = 1.0) -> Layer:
    fan_out, fan_in = layer.weight.shape[0], layer.weight[0].numel()
    area = layer.weight[0, 0].numel()
    bound = math.sqrt(6 * max(scale, 1e-10) / (fan_in + fan_out * area))
    nn.init.uniform_(layer.weight, -bound, bound)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def conv(inputs: int, outputs: int, size: int, *, scale: float = 1.0, **options: Any) -> nn.Conv2d:
    """A size x size convolution that keeps the image size unless `options` say otherwise."""
    options = {"padding": size // 2, **options}
    return initialise(nn.Conv2d(inputs, outputs, size, **options), scale)


def dense(inputs: int, outputs: int) -> nn.Linear:
    return initialise(nn.Linear(inputs, outputs))


def group_norm(channels: int) -> nn.GroupNorm:
    """GroupNorm with min(channels / 4, 32) groups, or the next lower divisor of `channels`."""
    groups = next(n for n in range(min(channels // 4, 32), 0, -1) if channels % n == 0)
    return nn.GroupNorm(groups, channels, eps=1e-6)


def widened(tensor: Tensor) -> Tensor:
    """The tensor in float32, or in float64 if it is."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def merge(skip: Tensor, branch: Tensor) -> Tensor:
    """Sum of a skip path and a branch that keeps their variance (skip rescaling)."""
    return (skip + branch) * math.sqrt(0.5)


def position_embedding(
    positions: Float[Tensor, " batch"], width: int
) -> Float[Tensor, "batch width"]:
    """Sines, then cosines, of the positions at width / 2 frequencies from 1 down to 1/10000."""
    exponents = torch.linspace(0, 1, width // 2, dtype=positions.dtype, device=positions.device)
    angles = positions[:, None] * 1e-4**exponents
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class Dropout(nn.Dropout):
    """Dropout that does not depend on how a batch is split, among processes or in micro-batches.

    The mask of the whole batch is drawn from the default generator, which must be in the same state
    for each share, and the part of the share is taken.

    Attributes:
        share: number of the share of the batch that `forward` gets.
        shares: into which the batch is split; by default it is whole, and this is `nn.Dropout`.
    """

    share, shares = 0, 1

    def forward(self, input: Tensor) -> Tensor:
        if self.shares == 1 or not self.training:
            return super().forward(input)
        ones = torch.cat([torch.ones_like(input)] * self.shares)
        return input * super().forward(ones).chunk(self.shares)[self.share]


class Resample(nn.Module):
    """Filter with the separable FIR kernel [1, 3, 3, 1] and change the image size by 2.

    `mode` is "down", "up", or "blur": filter alone, for a strided 3x3 convolution without padding
    to follow. Outside the image lie zeros. Filtering runs in float32 and with the channels
    innermost, under autocast too: on a CPU, depthwise convolutions are up to forty times slower
    otherwise.
    """

    kernel: Tensor

    def __init__(self, mode: str) -> None:
        super().__init__()
        taps = torch.tensor(FIR_TAPS) / sum(FIR_TAPS)
        gain = 4.0 if mode == "up" else 1.0
        self.mode = mode
        self.register_buffer("kernel", gain * taps.outer(taps)[None, None], persistent=False)

    def forward(self, images: Float[Tensor, "batch channels height width"]) -> Tensor:
        channels = images.shape[1]
        kernel = self.kernel.expand(channels, 1, -1, -1)
        with torch.autocast(images.device.type, enabled=False):
            wide = widened(images).contiguous(memory_format=torch.channels_last)
            if self.mode == "up":
                wide = F.conv_transpose2d(wide, kernel, stride=2, padding=1, groups=channels)
            elif self.mode == "down":
                wide = F.conv2d(wide, kernel, stride=2, padding=1, groups=channels)
            else:
                wide = F.conv2d(wide, kernel, padding=2, groups=channels)
        return wide.to(images.dtype, memory_format=torch.contiguous_format)


class AttentionBlock(nn.Module):
    """Single-head self-attention over the pixels.

    Written out: the fused kernel of a CPU is four times slower in bfloat16, and has neither
    forward-mode nor second derivatives.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = group_norm(channels)
        # Scale 0.1 for each of query, key and value, whose own fan average is half the joint one.
        self.project_in = conv(channels, 3 * channels, 1, scale=0.2)
        self.project_out = conv(channels, channels, 1, scale=0.0)

    def forward(
        self, features: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        query, key, value = self.project_in(self.norm(features)).flatten(2).chunk(3, dim=1)
        weights = (query.mT @ key * query.shape[1] ** -0.5).softmax(dim=-1)
        return merge(features, self.project_out((value @ weights.mT).reshape(features.shape)))


class ResidualBlock(nn.Module):
    """BigGAN residual block, if `attention` with self-attention after it.

    The condition enters as a bias per channel, after the first convolution. `mode` "up" or "down"
    resamples both paths.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        condition: int,
        dropout: float,
        mode: str | None = None,
        attention: bool = False,
    ) -> None:
        super().__init__()
        self.norm_in, self.norm_out = group_norm(inputs), group_norm(outputs)
        self.resample = Resample(mode) if mode else nn.Identity()
        self.conv_in = conv(inputs, outputs, 3)
        self.conv_out = conv(outputs, outputs, 3, scale=0.0)
        self.bias = dense(condition, outputs)
        self.dropout = Dropout(dropout)
        plain = inputs == outputs and mode is None
        self.skip = nn.Identity() if plain else conv(inputs, outputs, 1)
        self.attention = AttentionBlock(outputs) if attention else nn.Identity()

    def forward(
        self,
        features: Float[Tensor, "batch inputs height width"],
        condition: Float[Tensor, "batch condition"],
    ) -> Float[Tensor, "batch outputs new_height new_width"]:
        hidden = self.conv_in(self.resample(F.silu(self.norm_in(features))))
        hidden = hidden + self.bias(condition)[:, :, None, None]
        hidden = self.conv_out(self.dropout(F.silu(self.norm_out(hidden))))
        return self.attention(merge(self.skip(self.resample(features)), hidden))


class PyramidStep(nn.Module):
    """One step of the residual input pyramid: blur, strided convolution, join with features."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.blur = Resample("blur")
        self.conv = conv(inputs, outputs, 3, stride=2, padding=0)

    def forward(self, pyramid: Tensor, features: Tensor) -> Tensor:
        return merge(self.conv(self.blur(pyramid)), features)


class ResidualMLP(nn.Module):
    """Residual multilayer perceptron ("ResNet embedding", app. B) of a vector."""

    def __init__(self, inputs: int, width: int, blocks: int) -> None:
        super().__init__()
        self.stem = dense(inputs, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.SiLU(), dense(width, width), nn.SiLU(), dense(width, width))
            for _ in range(blocks)
        )

    def forward(self, vector: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch width"]:
        hidden = self.stem(vector)
        for block in self.blocks:
            hidden = merge(hidden, block(hidden))
        return hidden
