"""Networks: their settings, and which sizes of images each can be built for.

These are the rules of the constructors, which need no torch and so refuse a preset before anything
is built.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gud.config.sections.section import NonNegative, Positive, PositiveFloat, Section
from gud.errors import InputError

MOST_COMPONENTS = 64 * 64
"""Of a cross_attention network: dense layers over the components grow with their number squared."""


class UNetSettings(Section):
    """The U-Net that all networks share.

    Args:
        width: channels of the first level.
        multipliers: of the width, one per level; each level after the first halves the image.
        blocks: residual blocks per level (one more on the way up).
        attention: image sizes at which self-attention follows the residual blocks.
        dropout: probability, inside each residual block.
    """

    name: str
    width: Positive
    multipliers: list[Positive]
    blocks: Positive
    attention: list[Positive]
    dropout: Annotated[float, Field(ge=0, lt=1)]

    def sizes(self, image_size: int) -> list[int]:
        """Image sizes of the levels, from the first."""
        return [image_size >> level for level in range(len(self.multipliers))]

    def check(self, image_size: int, components: int) -> None:
        """`InputError` unless the network can be built for images of a size and that many gamma."""
        at_least("image_size", image_size, 1)
        at_least("number of components", components, 1)
        at_least("number of multipliers", len(self.multipliers), 1)
        if self.width % 4:
            raise InputError(f"The network's width is {self.width}; expected a multiple of 4.")
        halvings = len(self.multipliers) - 1
        if image_size % 2**halvings:
            raise InputError(
                f"The network's image_size is {image_size}; expected a multiple of {2**halvings}, "
                f"for its {len(self.multipliers)} multipliers halve the image {halvings} times."
            )
        sizes = self.sizes(image_size)
        if not set(self.attention) <= set(sizes):
            raise InputError(
                f"The network's attention sizes are {self.attention}; expected only sizes of its "
                f"levels, {sizes}."
            )


class NCSNppSettings(UNetSettings):
    """NCSN++ (App. B).

    Args:
        gamma_width: length of the embedding of gamma; 0 leaves its mean as the only condition.
        gamma_blocks: residual blocks of that embedding.
        time_scale: positions per unit of mean gamma (Song et al. have 999 per unit of time).
    """

    name: Literal["ncsnpp"]
    gamma_width: NonNegative
    gamma_blocks: Positive
    time_scale: PositiveFloat


class CrossAttentionSettings(UNetSettings):
    """NCSN++ whose features attend to the noising state (App. A).

    Args:
        gamma_attention: image sizes at which features attend to gamma, after the residual blocks:
            on the way down, at the bottom and on the way up.
        tokens_width: length of a token; the hidden layers of the mixer are four times as wide.
        mixer_layers: MLP-Mixer layers.
        heads: of the attention to gamma.
        time_scale: as of `NCSNppSettings`.
    """

    name: Literal["cross_attention"]
    gamma_attention: list[Positive]
    tokens_width: Positive
    mixer_layers: NonNegative
    heads: Positive
    time_scale: PositiveFloat

    @property
    def ncsnpp(self) -> NCSNppSettings:
        """The network that attends, which by itself knows the mean of gamma alone."""
        shared = {key: getattr(self, key) for key in (*UNetSettings.model_fields, "time_scale")}
        return NCSNppSettings(**shared | {"name": "ncsnpp", "gamma_width": 0, "gamma_blocks": 1})

    def check(self, image_size: int, components: int) -> None:
        super().check(image_size, components)
        if components > MOST_COMPONENTS:
            raise InputError(
                f"The cross_attention network was given {components} components; expected at most "
                f"{MOST_COMPONENTS}, for it mixes them densely: take ncsnpp for larger images."
            )
        sizes = self.sizes(image_size)
        if not self.gamma_attention or not set(self.gamma_attention) <= set(sizes):
            raise InputError(
                f"The network's gamma_attention sizes are {self.gamma_attention}; expected one or "
                f"more sizes of its levels, {sizes}."
            )
        for multiplier, size in zip(self.multipliers, sizes, strict=True):
            if size in self.gamma_attention and self.width * multiplier % self.heads:
                raise InputError(
                    f"The network's heads are {self.heads}; expected a divisor of the "
                    f"{self.width * multiplier} channels of every level with attention to gamma."
                )


NetworkSettings = Annotated[NCSNppSettings | CrossAttentionSettings, Field(discriminator="name")]


def at_least(name: str, value: int, least: int) -> None:
    """Raise an `InputError` if the setting `name` of a network is below `least`."""
    if value < least:
        raise InputError(f"The network's {name} is {value}; expected at least {least}.")
