"""How a network is told the noising state: by one steering vector per image (app. B)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gud.config.sections.networks import NCSNppSettings
from gud.errors import InputError
from gud.networks.layers import ResidualMLP, dense, position_embedding, widened

GAMMA_UNIT = 10.0  # gamma spans about [-10, 15]; a dense layer wants inputs of order one


class Steered(nn.Module):
    """A network that is steered by the noising state.

    The mean of gamma stands in for time in the positional embedding; a residual-MLP embedding of
    the whole of gamma is concatenated to it before the two dense layers of the steering vector.
    """

    def steer(self, settings: NCSNppSettings, components: int) -> None:
        """Build what `embed` takes; the steering vector is four times as long as the width."""
        width, gamma_width = settings.width, settings.gamma_width
        self.components, self.width, self.time_scale = components, width, settings.time_scale
        self.gamma = (
            ResidualMLP(components, gamma_width, settings.gamma_blocks) if gamma_width else None
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
