"""NCSN++ whose features attend to the noising state (app. A)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gud.config.sections.networks import CrossAttentionSettings
from gud.errors import InputError
from gud.networks.layers import conv, dense, group_norm, merge, widened
from gud.networks.ncsnpp import NCSNpp
from gud.networks.steering import GAMMA_UNIT


class CrossAttention(nn.Module):
    """Score network that attends to embeddings of all of gamma (app. A).

    Gamma, beside the position labels of its components, becomes one token per component; MLP-Mixer
    layers process the tokens, and for each level one dense layer reduces their number to that of
    the pixels of its features, which then attend to them. "Otherwise we follow a U-Net similar to
    Song et al." is read as NCSN++ steered by the positional embedding of the mean of gamma. Each
    pixel adds a learned position to its query, which the paper leaves open: without it, features
    far from the edges find the tokens of their own column late in training.

    Args:
        labels: position label of each component, in any unit: its frequency, column, group ...

    Raises:
        InputError: if the settings do not fit the size of the images.
    """

    def __init__(
        self,
        settings: CrossAttentionSettings,
        *,
        image_size: int,
        in_channels: int,
        out_channels: int,
        labels: Float[Tensor, " components"],
    ) -> None:
        super().__init__()
        settings.check(image_size, len(labels))
        _check_finite(labels)
        self.ncsnpp = NCSNpp(
            settings.ncsnpp,
            image_size=image_size,
            in_channels=in_channels,
            out_channels=out_channels,
            labels=labels,
        )
        width, sizes = settings.tokens_width, settings.gamma_attention
        self.tokens = GammaTokens(labels, width, settings.mixer_layers, sizes)
        self.attend = nn.ModuleDict(
            {
                str(place): GammaAttention(channels, size, width, settings.heads)
                for place, (channels, size) in enumerate(self.ncsnpp.body.places)
                if size in sizes
            }
        )

    def forward(
        self,
        images: Float[Tensor, "batch in_channels height width"],
        gamma: Float[Tensor, "batch components"],
    ) -> Float[Tensor, "batch out_channels height width"]:
        condition = self.ncsnpp.embed(gamma)
        tokens = self.tokens(gamma)

        def attend(place: int, features: Tensor) -> Tensor:
            size = features.shape[-1]
            if size not in tokens:
                return features
            return self.attend[str(place)](features, tokens[size])

        return self.ncsnpp.body(images, condition, attend)


class GammaTokens(nn.Module):
    """Embeddings of the noising state, as many for each image size as it has pixels.

    They are computed in float32, under autocast too, for the reason `NCSNpp.embed` gives.
    """

    labels: Tensor

    def __init__(
        self,
        labels: Float[Tensor, " components"],
        width: int,
        layers: int,
        sizes: Sequence[int],
    ) -> None:
        super().__init__()
        components = len(labels)
        self.register_buffer("labels", standardised(labels), persistent=False)
        self.lift = nn.Sequential(dense(2, width), nn.SiLU(), dense(width, width))
        self.mixer = nn.Sequential(*(MixerLayer(components, width) for _ in range(layers)))
        self.reduce = nn.ModuleDict(
            {
                str(size): dense(components, size**2) if size**2 != components else nn.Identity()
                for size in sorted(set(sizes))
            }
        )

    def forward(
        self, gamma: Float[Tensor, "batch components"]
    ) -> dict[int, Float[Tensor, "batch _ width"]]:
        """The tokens for each image size."""
        with torch.autocast(gamma.device.type, enabled=False):
            gamma = widened(gamma)
            labels = self.labels.to(gamma).expand_as(gamma)
            tokens = self.mixer(self.lift(torch.stack([gamma / GAMMA_UNIT, labels], dim=-1)))
            return {int(size): layer(tokens.mT).mT for size, layer in self.reduce.items()}


class MixerLayer(nn.Module):
    """MLP-Mixer layer (Tolstikhin et al. 2021): mixes the tokens, then the entries of each."""

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.norm_across, self.norm_within = nn.LayerNorm(width), nn.LayerNorm(width)
        self.across, self.within = (
            nn.Sequential(dense(length, 4 * width), nn.GELU(), dense(4 * width, length))
            for length in (tokens, width)
        )

    def forward(
        self, tokens: Float[Tensor, "batch tokens width"]
    ) -> Float[Tensor, "batch tokens width"]:
        tokens = merge(tokens, self.across(self.norm_across(tokens).mT).mT)
        return merge(tokens, self.within(self.norm_within(tokens)))


class GammaAttention(nn.Module):
    """Multi-head attention from pixels (queries) to tokens (keys and values)."""

    def __init__(self, channels: int, size: int, tokens_width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_pixels, self.norm_tokens = group_norm(channels), nn.LayerNorm(tokens_width)
        self.position = nn.Parameter(0.5 * torch.randn(channels, size, size))
        self.query = conv(channels, channels, 1)
        self.key_value = dense(tokens_width, 2 * channels)
        self.project_out = conv(channels, channels, 1, scale=0.0)

    def forward(
        self,
        features: Float[Tensor, "batch channels height width"],
        tokens: Float[Tensor, "batch tokens tokens_width"],
    ) -> Float[Tensor, "batch channels height width"]:
        pixels = self.norm_pixels(features) + self.position
        query = self.query(pixels).flatten(2).unflatten(1, (self.heads, -1))
        pairs = self.key_value(self.norm_tokens(tokens)).mT.unflatten(1, (2 * self.heads, -1))
        key, value = pairs.chunk(2, dim=1)
        weights = (query.mT @ key * query.shape[2] ** -0.5).softmax(dim=-1)
        return merge(features, self.project_out((value @ weights.mT).reshape(features.shape)))


def standardised(labels: Float[Tensor, " components"]) -> Float[Tensor, " components"]:
    """The labels shifted to mean zero and scaled to range one, in float32; zeros if all equal."""
    centred = labels - labels.mean()
    span = labels.max() - labels.min()
    return (centred / torch.where(span > 0, span, 1)).float()


def _check_finite(labels: Tensor) -> None:
    if len(unusable := (~labels.isfinite()).nonzero()):
        first = int(unusable[0])
        raise InputError(
            f"The labels given to the cross_attention network are not all finite: that of "
            f"component {first} is {float(labels[first])}."
        )
