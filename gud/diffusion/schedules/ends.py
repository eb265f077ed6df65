"""Where the schedules of a representation begin and end (equation 19)."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from gud.diffusion.representation import Representation

SIGMA_MIN = 0.99
Noise = float | Literal["auto", "common"]
"""gamma_noise, or the prior that it is the smallest allowed for: its own, or either."""


def gamma_noise_default(log_variance: Float[Tensor, " components"]) -> float:
    """max(3, logit(sigma_min^2) - min_i log V_i): then sigma_i(1) >= sigma_min = 0.99 for every i.

    App. B prints log(sigma_min^2) where section 5.1 has the logit; the logit is right.
    """
    logit = torch.logit(torch.tensor(SIGMA_MIN**2, dtype=torch.float64))
    return max(3.0, float(logit - log_variance.min()))


def gamma_noise_of(representation: Representation, gamma_noise: Noise) -> float:
    """gamma_noise as a number; `common` is the larger of what the two priors need."""
    match gamma_noise:
        case "auto":
            lowest = representation.lowest
        case "common":
            lowest = min(representation.lowest_sigma, 0.0)
        case given:
            return given
    return gamma_noise_default(torch.tensor([lowest], dtype=torch.float64))


def common_ends(
    representation: Representation, gamma_denoise: float, gamma_noise: Noise
) -> tuple[float, float]:
    """gamma_min and gamma_max shared by all components: the weakest that satisfy equation 19."""
    return (
        gamma_denoise + representation.lowest,
        gamma_noise_of(representation, gamma_noise) + representation.highest,
    )
