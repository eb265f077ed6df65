"""Where the schedules of a representation begin and end (equation 19)."""

from __future__ import annotations

import math
from typing import Literal

from gud.diffusion.representation import Representation

SIGMA_MIN = 0.99
GammaNoise = float | Literal["auto", "common"]
"""gamma_noise, or the prior that it is the smallest allowed for: its own, or either."""


def gamma_noise_default(least_log_variance: float) -> float:
    """max(3, logit(sigma_min^2) - min_i log V_i): then sigma_i(1) >= sigma_min = 0.99 for every i.

    App. B prints log(sigma_min^2) where section 5.1 has the logit; the logit is right.

    Args:
        least_log_variance: min_i log V_i.
    """
    return max(3.0, math.log(SIGMA_MIN**2 / (1 - SIGMA_MIN**2)) - least_log_variance)


def gamma_noise_of(representation: Representation, gamma_noise: GammaNoise) -> float:
    """gamma_noise as a number; `common` is the larger of what the two priors need."""
    match gamma_noise:
        case "auto":
            return gamma_noise_default(representation.least_log_variance)
        case "common":
            return gamma_noise_default(min(representation.least_log_data_variance, 0.0))
        case given:
            return given


def common_ends(
    representation: Representation, gamma_denoise: float, gamma_noise: GammaNoise
) -> tuple[float, float]:
    """gamma_min and gamma_max shared by all components: the weakest that satisfy equation 19."""
    return (
        gamma_denoise + representation.least_log_variance,
        gamma_noise_of(representation, gamma_noise) + representation.largest_log_variance,
    )
