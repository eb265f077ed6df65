"""How many images and probes a requested standard error takes, at the least cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

LARGEST_BIAS = 0.5
"""Part of a requested error that the integration may take."""


@dataclass(frozen=True)
class Contrast:
    """A mean over images whose error is requested: a level, or a paired difference.

    Args:
        stderr: requested.
        images: V_i, variance over images of what infinitely many probes would give.
        probes: V_p, variance over the probes of an image.
        integration: error of the mean by the steps of the ODE, which no image removes.
    """

    stderr: float
    images: float
    probes: float
    integration: float = 0.0

    @property
    def integrated(self) -> bool:
        """Whether the steps leave most of the requested error to images and probes."""
        return self.integration <= LARGEST_BIAS * self.stderr

    def images_corrected(self, shift: Float[np.ndarray, " images"], part: float) -> float:
        """Images for a part of stderr^2 - integration^2, of what finer steps change in each."""
        return float(shift.var(ddof=1)) / (part * (self.stderr**2 - self.integration**2))

    def images_needed(self, probes: int) -> float:
        """n of (V_i + V_p / p) / n + integration^2 = stderr^2."""
        left = self.stderr**2 - self.integration**2
        return (self.images + self.probes / probes) / left if left > 0 else math.inf


@dataclass(frozen=True)
class Errors:
    """Standard error of a mean in bits/dim, by its causes.

    Args:
        images: the choice of images; those of one region count as one.
        probes: Hutchinson's probes.
        start: dequantisation, and noise at t = 0, of an image; of a difference it is in `images`.
        integration: steps of the ODE, a bias.
    """

    images: float
    probes: float
    start: float
    integration: float

    @property
    def total(self) -> float:
        return math.hypot(self.images, self.probes, self.start, self.integration)

    def factor(self, stderr: float) -> float:
        """By which the images must grow for the total to be `stderr`."""
        return (self.total**2 - self.integration**2) / (stderr**2 - self.integration**2)


def variances(estimates: Float[np.ndarray, "images probes"]) -> tuple[float, float]:
    """V_i and V_p of two or more probes of each image, unbiased but for V_i >= 0."""
    within = float(estimates.var(1, ddof=1).mean())
    return max(float(estimates.mean(1).var(ddof=1)) - within / estimates.shape[1], 0.0), within


def allocate(
    contrasts: Sequence[Contrast], image_cost: float, probe_cost: float, most_probes: int
) -> tuple[float, int]:
    """The images and probes that meet all requests at the least cost.

    For one contrast the number of probes is sqrt(V_p c_i / (V_i c_p)) but for rounding; of several
    that share their images and probes, the cheapest that serves the most demanding.
    """

    def needed(probes: int) -> float:
        return max(contrast.images_needed(probes) for contrast in contrasts)

    probes = min(range(1, most_probes + 1), key=lambda p: needed(p) * (image_cost + p * probe_cost))
    return needed(probes), probes
