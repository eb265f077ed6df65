"""Bits/dim of images from log-densities of components, and the density of the prior."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float
from torch import Tensor

from gud.diffusion.processes import Process, State
from gud.diffusion.representation import Representation


def prior_log_prob(process: Process, z: State) -> Float[Tensor, " batch"]:
    """Log-density of the prior, in nats and double precision."""
    white = process.whiten_prior(z.double())
    log_det = float(np.linalg.slogdet(np.array(process.prior))[1]) * z[0, 0].numel() / 2
    return -0.5 * (white**2 + math.log(2 * math.pi)).flatten(1).sum(1) - log_det


def bits_per_dim(
    log_prob: Float[Tensor, "*batch"], representation: Representation
) -> Float[Tensor, "*batch"]:
    """Bits/dim of 8-bit images from log p(chi) in nats of their dequantised components.

    Adds log|det S^-1| for the scale (colour channels counted) and 7 bits for the map of 256 grey
    levels to [-1, 1], whose length is 2: independent uniform grey levels have 8 bits/dim.
    """
    dimensions = representation.statistics.mean.numel()
    return -(log_prob + representation.log_det) / (dimensions * math.log(2)) + 7
