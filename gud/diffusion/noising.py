"""The noising state: every coefficient of the diffusion from gamma and its time derivative.

gamma_i = log(sigma_i^2 / alpha_i^2) (equation 17) labels how much of component i is noise. With the
variance-preserving normalisation alpha^2 + sigma^2 = 1 (equation 14) it fixes all the rest:

    alpha_i^2 = sigmoid(-gamma_i)        sigma_i^2 = sigmoid(gamma_i)
    tau_i     = int beta_i = softplus(gamma_i)          (so alpha_i = exp(-tau_i / 2))
    beta_i    = d tau_i / dt = sigma_i^2 d gamma_i / dt
    SNR_i     = V_i exp(-gamma_i)                       (equation 16, V_i the variance of the data)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class NoisingState:
    """The noising state of a batch at one time each.

    Args:
        gamma: shape (batch, components), float64.
        d_gamma_dt: its time derivative along the schedule, same shape.
    """

    gamma: Float[Tensor, "batch components"]
    d_gamma_dt: Float[Tensor, "batch components"]

    @classmethod
    def at_rest(cls, gamma: Float[Tensor, "batch components"]) -> NoisingState:
        """The noising state of a gamma that does not move."""
        return cls(gamma, torch.zeros_like(gamma))

    @property
    def alpha(self) -> Float[Tensor, "batch components"]:
        """Factor of the signal, equation 14."""
        return torch.sigmoid(-self.gamma).sqrt()

    @property
    def sigma(self) -> Float[Tensor, "batch components"]:
        """Standard deviation of the noise, equation 14."""
        return torch.sigmoid(self.gamma).sqrt()

    @property
    def tau(self) -> Float[Tensor, "batch components"]:
        """The clock of each component: the integral of beta."""
        return -F.logsigmoid(-self.gamma)

    @property
    def beta(self) -> Float[Tensor, "batch components"]:
        """The rate of the clock in equation 13; exactly 0 where the schedule is frozen."""
        return torch.sigmoid(self.gamma) * self.d_gamma_dt

    def log_snr(
        self, log_variance: Float[Tensor, " components"]
    ) -> Float[Tensor, "batch components"]:
        """Logarithm of the magnitude-sensitive signal-to-noise ratio, equation 16."""
        return log_variance - self.gamma

    def variance(self, variance: Float[Tensor, " components"]) -> Float[Tensor, "batch components"]:
        """Variance of the noised components of data with the given variances.

        Equation 15, whose printed form misplaces a bracket: it is alpha^2 Sigma + sigma^2.
        """
        return torch.sigmoid(-self.gamma) * variance + torch.sigmoid(self.gamma)

    def tangent(self, variance: Float[Tensor, " components"]) -> Float[Tensor, "batch components"]:
        """tan theta_i = sigma_i / (alpha_i sqrt(V_i)) for data with the given variances.

        tan^-2 theta_i is the signal-to-noise ratio of equation 16.
        """
        return (self.gamma / 2).exp() / variance.to(self.gamma).sqrt()

    def angle(self, variance: Float[Tensor, " components"]) -> Float[Tensor, "batch components"]:
        """theta_i, from 0 (data) to pi/2 (noise)."""
        return self.tangent(variance).atan()

    def cosine(self, variance: Float[Tensor, " components"]) -> Float[Tensor, "batch components"]:
        """cos theta_i = alpha_i sqrt(V_i) / sqrt(alpha_i^2 V_i + sigma_i^2)."""
        return self.tangent(variance).square().add(1).rsqrt()
