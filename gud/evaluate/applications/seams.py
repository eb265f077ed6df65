"""Whether strips betray how they were made.

Gradients across seams, drift along the strip, and columns unlike those of real images.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer, Shaped

from gud.errors import InputError
from gud.evaluate.uncertainty import standard_error

Images = Shaped[np.ndarray, "strips channels height width"]
RealImages = Shaped[np.ndarray, "images channels rows columns"]


@dataclass(frozen=True)
class Estimate:
    value: float
    stderr: float


def seam_statistic(strips: Images, seams: Integer[np.ndarray, " seams"]) -> Estimate:
    """Mean absolute horizontal gradient across seams over that elsewhere in the strip.

    1 if the seams do not show. The gradients from one seam to the next count as one observation of
    both numbers, of which the standard error of the ratio takes the correlation into account.

    Args:
        strips: in any unit.
        seams: first column after each seam, evenly spaced by 2 columns or more.
    """
    if len(seams) < 2 or np.diff(seams).min() < 2:
        raise InputError(
            f"gradients across seams need at least two seams with 2 columns or more between them, "
            f"not seams = {seams.tolist()}"
        )
    gradients = np.abs(np.diff(strips.astype(np.float64), axis=-1)).mean((1, 2))
    period = int(seams[1] - seams[0])
    inside = [np.arange(seam - 1, seam - 1 + period) for seam in seams]
    blocks = gradients[:, [block for block in inside if block[-1] < gradients.shape[1]]]
    across, elsewhere = blocks[..., 0].ravel(), blocks[..., 1:].mean(-1).ravel()
    if not elsewhere.any():
        raise InputError("strips are constant between their seams")
    ratio = across.mean() / elsewhere.mean()
    return Estimate(ratio, standard_error(across - ratio * elsewhere) / elsewhere.mean())


@dataclass(frozen=True)
class Likeness:
    """A moment of the columns of strips beside that of the columns of real images.

    Args:
        strips: mean over columns; its error is that over independent strips.
        real, spread: mean and standard deviation over the columns of real images.
        within: fraction of the strips' columns within two spreads of `real`.
        real_within: the same of the columns of real images.
    """

    strips: Estimate
    real: float
    spread: float
    within: float
    real_within: float


def column_moments(
    images: Images,
) -> tuple[Float[np.ndarray, "strips width"], Float[np.ndarray, "strips width"]]:
    """Mean and variance, over channels and rows, of each column of each image."""
    values = images.astype(np.float64)
    return values.mean((1, 2)), values.var((1, 2))


def likeness(strips: Images, real: RealImages) -> tuple[Likeness, Likeness]:
    """How the mean and the variance of single columns of strips compare with those of real images.

    Args:
        strips: independent of each other.
        real: in the same unit, with as many channels and rows.
    """
    if strips.shape[1:3] != real.shape[1:3]:
        raise InputError(
            f"strips of {strips.shape[1:3]} channels and rows cannot be compared with images of "
            f"{real.shape[1:3]}, expected as many"
        )
    ours, theirs = column_moments(strips), column_moments(real)
    mean, variance = (_likeness(a, b) for a, b in zip(ours, theirs, strict=True))
    return mean, variance


def _likeness(
    ours: Float[np.ndarray, "strips width"], real: Float[np.ndarray, "images columns"]
) -> Likeness:
    centre, spread = float(real.mean()), float(real.std())
    within, real_within = (float((abs(x - centre) <= 2 * spread).mean()) for x in (ours, real))
    estimate = Estimate(float(ours.mean()), standard_error(ours.mean(1)))
    return Likeness(estimate, centre, spread, within, real_within)


def drift(strips: Images) -> tuple[Estimate, Estimate]:
    """Slope along the strip, per column, of the columns' mean and of their squared deviation.

    Deviations are from the mean of all strips. Strips are independent of each other, which is where
    the standard errors come from; they are NaN for a single strip.
    """
    values = strips.astype(np.float64)
    column = np.arange(values.shape[-1]) - (values.shape[-1] - 1) / 2
    if not len(column) > 1:
        raise InputError("a drift needs strips of several columns")
    moments = (values.mean((1, 2)), ((values - values.mean()) ** 2).mean((1, 2)))
    slopes = (moment @ column / (column @ column) for moment in moments)
    first, second = (Estimate(float(slope.mean()), standard_error(slope)) for slope in slopes)
    return first, second


def summary(
    strips: Images, seams: Integer[np.ndarray, " seams"], real: RealImages | None = None
) -> dict[str, float | None]:
    """All of the above as JSON values, without `real` no likeness; None for what is not known."""
    mean, variance = drift(strips)
    estimates = {"mean_per_column": mean, "variance_per_column": variance}
    if len(seams) >= 2 and np.diff(seams).min() >= 2:
        estimates["seam_gradient"] = seam_statistic(strips, seams)
    numbers: dict[str, float] = {}
    if real is not None:
        for name, found in zip(("mean", "variance"), likeness(strips, real), strict=True):
            estimates[f"column_{name}"] = found.strips
            numbers |= {
                f"column_{name}_real": found.real,
                f"column_{name}_real_spread": found.spread,
                f"column_{name}_within": found.within,
                f"column_{name}_real_within": found.real_within,
            }
    for name, estimate in estimates.items():
        numbers |= {name: estimate.value, f"{name}_stderr": estimate.stderr}
    return {key: number if math.isfinite(number) else None for key, number in numbers.items()}
