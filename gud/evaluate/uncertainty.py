"""Errors of means over test images, and of differences between points chosen on these images.

Images of one region are correlated: every error takes regions as independent, not images. It
covers the choice of images and, with it, the random probes; not another training of the network.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float, Int64

from gud.data.arrays import FINER, Arrays

LEVEL = 0.95
"""Probability with which the band of `band_factor` holds."""
DRAWS = 4000
SEED = 0

Values = Float[np.ndarray, "images points"]
Regions = Int64[np.ndarray, " images"]


def corrected(
    values: Float[np.ndarray, "images probes"], finer: Float[np.ndarray, "few probes"]
) -> Float[np.ndarray, "images probes"]:
    """Values whose mean is mean(values) + mean(finer - values of the first images).

    Of n images the first m have finer values too. Their shifts s_i and mean shift s give all images
    v_i + s, and the first m n / m (s_i - s) more, which adds to 0: for random images the standard
    error of the mean, and of paired differences between points, is then that of the two levels.
    """
    shift = finer - values[: len(finer)]
    of_all = values + shift.mean()
    of_all[: len(finer)] += len(values) / len(finer) * (shift - shift.mean())
    return of_all


def estimates(arrays: Arrays, name: str) -> Float[np.ndarray, "images estimates"]:
    """An estimate in a likelihood artefact, `corrected` where the first images have it finer."""
    finer = arrays.get(FINER + name)
    return arrays[name] if finer is None else corrected(arrays[name], finer)


def first_images(arrays: Arrays, images: int) -> Arrays:
    return {name: array[:images] for name, array in arrays.items()}


def over_further_images(
    arrays: Arrays, further: Arrays, name: str
) -> Float[np.ndarray, "images estimates"]:
    """An estimate over the images of another point, of which the first n are those of this one.

    Its mean is that of the other point over all images plus the mean difference over the first:
    points are paired with each other though their differences took unequal numbers of images.
    """
    known = len(arrays["index"])
    of_all = estimates(further, name)
    difference = estimates(arrays, name) - estimates(first_images(further, known), name)
    return corrected(of_all, of_all[:known] + difference)


def standard_error(values: Float[np.ndarray, " images"], region: Regions | None = None) -> float:
    """Standard error of the mean, robust to correlation within regions; NaN for fewer than two.

    With n_g of the n images in region g and e_g the sum of their deviations from the mean, it is
    sqrt(G / (G - 1) sum_g e_g^2) / n: the usual s / sqrt(n) if every image is a region of its own,
    as by default.
    """
    region = np.arange(len(values)) if region is None else region
    sums, counts = _by_region((values - values.mean())[:, None], region)
    return math.sqrt(_correction(len(counts)) * (sums**2).sum()) / len(values)


def band_factor(values: Values, region: Regions) -> float:
    """Factor by which standard errors give a band for all differences between points at once.

    With probability `LEVEL` the true difference of the means of every two points lies within this
    factor times `standard_error` of the measured one. That holds for whichever points are picked on
    the same images, e.g. the best, where factors for a single pair would claim too much.

    It is the quantile of the largest studentised difference under the wild bootstrap: the sums e_g
    of the regions change their signs at random (Cameron, Gelbach, Miller 2008, for one difference;
    Chernozhukov, Chetverikov, Kato 2013, for the maximum of many), and each difference is divided
    by the standard error found in the same draw.

    Args:
        values: of every image at every point.

    Returns:
        NaN for too few regions (five or less may tell nothing), or if no two points differ.
    """
    sums, counts = _by_region(values - values.mean(0), region)
    regions, points = sums.shape
    signs = np.random.default_rng(SEED).choice((-1.0, 1.0), (DRAWS, regions))
    mean, weighted = signs @ sums / len(values), signs @ (counts[:, None] * sums)
    largest = np.zeros(DRAWS)
    for i in range(points - 1):
        squares = ((sums[:, i + 1 :] - sums[:, [i]]) ** 2).sum(0)
        m = mean[:, i + 1 :] - mean[:, [i]]
        w = weighted[:, i + 1 :] - weighted[:, [i]]
        # sum_g (+-e_g - n_g m)^2, the regions' deviations from the mean of the draw
        spread = _correction(regions) * (squares - 2 * m * w + m**2 * (counts @ counts))
        differ = squares > 0
        with np.errstate(divide="ignore"):  # few regions: signs may leave no deviations
            ratio = abs(m[:, differ]) * len(values) / np.sqrt(spread[:, differ].clip(min=0))
        largest = np.maximum(largest, ratio.max(1, initial=0))
    factor = float(np.quantile(largest, LEVEL, method="higher"))
    return factor if 0 < factor < math.inf else math.nan


def probe_standard_error(bits_per_dim: Float[np.ndarray, "images probes"]) -> float:
    """Part of the standard error of the mean that more Hutchinson probes would remove.

    NaN for a single probe, which cannot tell.
    """
    images, probes = bits_per_dim.shape
    if probes < 2:
        return math.nan
    return math.sqrt(bits_per_dim.var(axis=1, ddof=1).sum() / probes) / images


def _by_region(
    deviations: Values, region: Regions
) -> tuple[Float[np.ndarray, "regions points"], Float[np.ndarray, " regions"]]:
    """Sums of deviations over the images of each region, and the numbers of its images."""
    _, number, counts = np.unique(region, return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), deviations.shape[1]))
    np.add.at(sums, number, deviations)
    return sums, counts.astype(float)


def _correction(regions: int) -> float:
    """G / (G - 1) for the variance estimated from G regions; NaN for one."""
    return regions / (regions - 1) if regions > 1 else math.nan
