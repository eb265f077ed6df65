"""Score networks eps_theta(image, gamma): noise estimates in image space, given the noising state.

Every network in `NETWORKS` is built with the position label of each spatial component. It takes
images of shape (batch, in_channels, height, width) and gamma of shape (batch, components), one
log(sigma_i^2 / alpha_i^2) per component, and returns float32 of shape (batch, out_channels, height,
width), under autocast too.
"""

from __future__ import annotations

from torch import nn

from gud.cross_attention import CrossAttention
from gud.ncsnpp import NCSNpp

NETWORKS: dict[str, type[nn.Module]] = {"ncsnpp": NCSNpp, "cross_attention": CrossAttention}
