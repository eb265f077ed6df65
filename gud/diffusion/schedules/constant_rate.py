"""One clock of constant rate for all components, as phase-space models are published with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from gud.diffusion.representation import Representation
from gud.diffusion.schedules.schedule import Schedule


@dataclass(frozen=True)
class ConstantRate(Schedule):
    """softplus(gamma(t)) = tau(0) + beta t: the clock of Ornstein-Uhlenbeck runs at the rate beta.

    Args:
        components: how many.
        start: tau(0) > 0.
        beta: the rate.
    """

    components: int
    start: float
    beta: float

    def gamma(self, t: Float[Tensor, " batch"]) -> Float[Tensor, "batch components"]:
        tau = self.start + self.beta * t
        return tau.expm1().log()[:, None].expand(-1, self.components)

    def d_gamma_dt(self, t: Float[Tensor, " batch"]) -> Float[Tensor, "batch components"]:
        tau = self.start + self.beta * t
        return (self.beta / -torch.expm1(-tau))[:, None].expand(-1, self.components)


def constant_rate(
    representation: Representation,
    beta: float,
    *,
    gamma_denoise: float = math.log(math.expm1(8e-3)),
    gamma_noise: Literal["auto"] = "auto",
) -> ConstantRate:
    """The same path for all components, from gamma_denoise to where the rate beta leads."""
    start = math.log1p(math.exp(gamma_denoise))
    return ConstantRate(len(representation.log_variance), start, beta)
