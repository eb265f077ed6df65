"""Whether strips betray how they were made: gradients across seams, and drift along the strip."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer, Shaped

from gud.errors import InputError
from gud.points import standard_error

Images = Shaped[np.ndarray, "strips channels height width"]


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


def column_moments(
    strips: Images,
) -> tuple[Float[np.ndarray, " width"], Float[np.ndarray, " width"]]:
    """Mean and variance of each column over strips, channels and rows."""
    values = strips.astype(np.float64)
    return values.mean((0, 1, 2)), values.var((0, 1, 2))


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


def summary(strips: Images, seams: Integer[np.ndarray, " seams"]) -> dict[str, float | None]:
    """All of the above as JSON values; None for what these strips cannot tell."""
    mean, variance = drift(strips)
    estimates = {"mean_per_column": mean, "variance_per_column": variance}
    if len(seams) >= 2 and np.diff(seams).min() >= 2:
        estimates["seam_gradient"] = seam_statistic(strips, seams)
    return {
        key: number if math.isfinite(number) else None
        for name, estimate in estimates.items()
        for key, number in ((name, estimate.value), (f"{name}_stderr", estimate.stderr))
    }
