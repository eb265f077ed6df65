"""Score networks eps_theta(image, gamma): noise estimates in image space, given the noising state.

Every network in `NETWORKS` is built from its settings, the shapes of its images and the position
label of each spatial component. It takes images of shape (batch, in_channels, height, width) and
gamma of shape (batch, components), one log(sigma_i^2 / alpha_i^2) per component, and returns
float32 of shape (batch, out_channels, height, width), under autocast too.
"""

from __future__ import annotations

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, nn

from gud.config.sections.networks import UNetSettings
from gud.networks.cross_attention import CrossAttention
from gud.networks.ncsnpp import NCSNpp

NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "ncsnpp": NCSNpp,
    "cross_attention": CrossAttention,
}


def build_network(
    settings: UNetSettings,
    *,
    image_size: int,
    in_channels: int,
    out_channels: int,
    labels: Float[Tensor, " components"],
) -> nn.Module:
    """The network of some settings, untrained.

    Args:
        image_size: height and width, in pixels.
        labels: position of each component in its basis, see `gud.diffusion.bases.Basis.labels`.

    Raises:
        InputError: if the settings do not fit the sizes.
    """
    return NETWORKS[settings.name](
        settings,
        image_size=image_size,
        in_channels=in_channels,
        out_channels=out_channels,
        labels=labels,
    )
