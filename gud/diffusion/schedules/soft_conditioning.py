"""Linear schedules with an offset for each component (section 5.1, equations 18-20)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gud.diffusion.representation import Representation
from gud.diffusion.schedules.ends import GammaNoise, gamma_noise_of
from gud.diffusion.schedules.schedule import Schedule
from gud.errors import InputError


@dataclass(frozen=True)
class SoftConditioning(Schedule):
    """Linear schedules with one slope and an offset for each component, equations 18-20.

    gamma_i(t) = gamma_min,i + t Delta_gamma,
    gamma_min,i = gamma_denoise + log V_i + a (l_i - l_max),
    Delta_gamma = gamma_noise - gamma_denoise + a (l_max - l_min).

    V_i is the variance of component i as it is diffused (1 after whitening), the ordering l_i
    always comes from the data's own variances. With l_i = -log Sigma_i, a = 1 is standard
    diffusion, a = 0 gives every component the same signal-to-noise ratio.

    Args:
        log_variance: log V_i, shape (components,).
        ordering: l_i, shape (components,); larger is noised earlier and generated later.
        a: inverse softness, a >= 0.
        gamma_denoise: -min_i log SNR_i at t = 0 (equation 19).
        gamma_noise: -max_i log SNR_i at t = 1 (equation 19); see `gamma_noise_default`.
    """

    log_variance: Float[Tensor, " components"]
    ordering: Float[Tensor, " components"]
    a: float
    gamma_denoise: float
    gamma_noise: float

    @property
    def gamma_min(self) -> Float[Tensor, " components"]:
        l_max = self.ordering.max()
        return self.gamma_denoise + self.log_variance + self.a * (self.ordering - l_max)

    @property
    def delta_gamma(self) -> Float[Tensor, ""]:
        spread = self.ordering.max() - self.ordering.min()
        return self.gamma_noise - self.gamma_denoise + self.a * spread

    def gamma(self, t: Float[Tensor, " batch"]) -> Float[Tensor, "batch components"]:
        return self.gamma_min.to(t) + t[:, None] * self.delta_gamma.to(t)

    def d_gamma_dt(self, t: Float[Tensor, " batch"]) -> Float[Tensor, "batch components"]:
        return self.delta_gamma.to(t).expand(len(t), len(self.ordering))


def soft_conditioning(
    representation: Representation,
    a: float,
    r: float,
    *,
    gamma_denoise: float = -7.0,
    gamma_noise: GammaNoise = "auto",
) -> SoftConditioning:
    """The soft-conditioning schedule of a representation, equations 18-20.

    Args:
        a: inverse softness; 1 is standard diffusion.
        r: 0 orders by variance, 1 by frequency.
    """
    return SoftConditioning(
        log_variance=representation.log_variance,
        ordering=ordering_by_frequency(
            representation.log_data_variance, representation.frequency, r
        ),
        a=a,
        gamma_denoise=gamma_denoise,
        gamma_noise=gamma_noise_of(representation, gamma_noise),
    )


def ordering_by_frequency(
    log_variance: Float[Tensor, " components"],
    frequency: Float[Tensor, " components"] | None,
    r: float,
) -> Float[Tensor, " components"]:
    """Ordering variables l_i = (1-r) (-log Sigma_i) + r (|k_i| + delta) / kappa (section 5.1).

    kappa and delta give l the same range at r = 1 as at r = 0; kappa, infinite for white data, is
    never formed.

    Args:
        log_variance: log Sigma_i of the data, before any whitening, shape (components,).
        frequency: |k_i|, shape (components,), or None for a basis without frequencies.
        r: 0 orders by variance, 1 by frequency.
    """
    by_variance = -log_variance
    if r == 0:
        return by_variance
    if frequency is None:
        raise InputError(
            f"r = {r} needs a basis with frequencies (fourier); other bases take r = 0"
        )
    position = (frequency - frequency.min()) / (frequency.max() - frequency.min())
    by_frequency = torch.lerp(by_variance.min(), by_variance.max(), position)
    return (1 - r) * by_variance + r * by_frequency
