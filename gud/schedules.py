"""Component-wise noising schedules gamma_i(t), t in [0, 1] (sections 4.2, 5 and App. B).

A `Schedule` is one path of noising states; t = 0 is data, t = 1 the prior. A family of paths (one
for each value of a and r) is a schedule class together with a range of its parameters.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gud.errors import InputError
from gud.noising import NoisingState

SIGMA_MIN = 0.99


class Schedule(ABC):
    """A path gamma(t); subclasses are frozen dataclasses that hold the labels of the components."""

    kinks: tuple[float, ...] = ()
    """Times inside (0, 1) at which d gamma / dt jumps, in increasing order."""

    @abstractmethod
    def gamma(self, t: Float[Tensor, " batch"]) -> Float[Tensor, "batch components"]:
        """gamma_i(t), nondecreasing in t."""

    @abstractmethod
    def d_gamma_dt(self, t: Float[Tensor, " batch"]) -> Float[Tensor, "batch components"]:
        """The time derivative of gamma_i(t)."""

    @property
    def path(self) -> Schedule:
        """The same path in its own parameter, without any reparametrisation of time."""
        return self

    def __call__(self, t: Float[Tensor, " batch"]) -> NoisingState:
        """The noising states at times t (batch,), computed in double precision."""
        t = t.double()
        return NoisingState(self.gamma(t), self.d_gamma_dt(t))


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


@dataclass(frozen=True)
class Reparametrised(Schedule):
    """The path of another schedule at the speed s(t) = t^p / (t^p + (1-t)^p) (App. B).

    For p < 1 the speed is infinite at both ends. Whatever depends on the path alone therefore uses
    `path` (the probability-flow ODE) or gamma (the exact clock increments of the samplers).
    """

    base: Schedule
    power: float

    @property
    def kinks(self) -> tuple[float, ...]:  # type: ignore[override]
        return tuple(1 / (1 + (1 / s - 1) ** (1 / self.power)) for s in self.base.kinks)

    @property
    def path(self) -> Schedule:
        return self.base.path

    def s(self, t: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        return t**self.power / (t**self.power + (1 - t) ** self.power)

    def gamma(self, t: Float[Tensor, " batch"]) -> Float[Tensor, "batch components"]:
        return self.base.gamma(self.s(t))

    def d_gamma_dt(self, t: Float[Tensor, " batch"]) -> Float[Tensor, "batch components"]:
        p = self.power
        ds_dt = p * (t * (1 - t)) ** (p - 1) / (t**p + (1 - t) ** p) ** 2
        return ds_dt[:, None] * self.base.d_gamma_dt(self.s(t))


def gamma_noise_default(log_variance: Float[Tensor, " components"]) -> float:
    """max(3, logit(sigma_min^2) - min_i log V_i): then sigma_i(1) >= sigma_min = 0.99 for every i.

    App. B prints log(sigma_min^2) where section 5.1 has the logit; the logit is right.
    """
    logit = torch.logit(torch.tensor(SIGMA_MIN**2, dtype=torch.float64))
    return max(3.0, float(logit - log_variance.min()))


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
