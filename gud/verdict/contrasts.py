"""Contrasts of numbers that share their images, samples and seeds: errors by source, and bands.

Networks of several training seeds are evaluated on the same images: two crossed factors, whose
parts of the variance are added without what they have in common (Cameron, Gelbach, Miller 2011).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64
from scipy import special

LEVEL, POWER = 0.95, 0.8
DRAWS, STRATA, SEED = 4000, 200, 0
MANY = 1e6
"""Degrees of freedom of a variance that is known to be 0."""

Contrasts = Float[np.ndarray, "contrasts points"]
"""Coefficients of linear combinations of the points' numbers."""


@dataclass(frozen=True)
class Source:
    """What numbers were averaged over, by its independent units.

    The covariance of two numbers over the choice of units is the sum, over the units, of the
    products of their deviations.

    Args:
        name: such as images or samples; sources of one name are reported together.
        deviations: of each unit.
        freedom: degrees of freedom of a variance so estimated.
    """

    name: str
    deviations: Float[np.ndarray, "seeds points units"]
    freedom: float


@dataclass(frozen=True)
class Numbers:
    """The numbers of the networks of several training seeds at several points."""

    values: Float[np.ndarray, "seeds points"]
    sources: tuple[Source, ...]


@dataclass(frozen=True)
class Estimates:
    """Estimates of contrasts, averaged over the seeds.

    Args:
        parts: standard error by source, and of the training seeds; NaN for a single seed.
        stderr: of all of them; for a single seed, of the other sources alone.
        freedom: effective degrees of freedom of `stderr` (Satterthwaite 1946).
        factor: standard errors that give a band which holds for all contrasts at once.
    """

    value: Float[np.ndarray, " contrasts"]
    parts: dict[str, Float[np.ndarray, " contrasts"]]
    stderr: Float[np.ndarray, " contrasts"]
    freedom: Float[np.ndarray, " contrasts"]
    factor: float

    @property
    def low(self) -> Float[np.ndarray, " contrasts"]:
        return self.value - self.factor * self.stderr

    @property
    def high(self) -> Float[np.ndarray, " contrasts"]:
        return self.value + self.factor * self.stderr

    def detectable(self, contrast: int) -> float:
        """The true size that a contrast would have to be told from zero with probability `POWER`.

        (factor + t_{POWER, freedom}) stderr.
        """
        quantile = special.stdtrit(self.freedom[contrast], POWER)
        return float((self.factor + quantile) * self.stderr[contrast])


def estimate(numbers: Numbers, contrasts: Contrasts) -> Estimates:
    """Estimates of contrasts with a simultaneous band of probability `LEVEL`.

    With T_s the contrast of seed s, d_su the deviation of its unit u, and bars for means over the
    S seeds, the variances are sum_u dbar_u^2 over the units and, over the seeds,
    sum_s (T_s - Tbar)^2 / (S (S - 1)) less sum_su (d_su - dbar_u)^2 / (S (S - 1)), the share of the
    units in the spread of the seeds; no less than 0.
    """
    per_seed = numbers.values @ contrasts.T
    seeds, value = len(per_seed), per_seed.mean(0)
    covariance = np.zeros((len(contrasts), len(contrasts)))
    shared = np.zeros(len(contrasts))
    variances: dict[str, Float[np.ndarray, " contrasts"]] = {}
    weights = np.zeros(len(contrasts))
    for source in numbers.sources:
        deviations = np.einsum("cp,spu->suc", contrasts, source.deviations)
        mean = deviations.mean(0)
        part = (mean**2).sum(0)
        covariance += mean.T @ mean
        weights += part**2 / source.freedom
        variances[source.name] = variances.get(source.name, 0) + part
        if seeds > 1:
            shared += ((deviations - mean) ** 2).sum((0, 1)) / (seeds * (seeds - 1))
    between = np.full(len(contrasts), np.nan)
    if seeds > 1:
        spread = (per_seed - value).T @ (per_seed - value) / (seeds * (seeds - 1))
        between = np.maximum(np.diag(spread) - shared, 0)
        covariance += spread
        weights += between**2 / (seeds - 1)
    variance = sum(variances.values()) + np.nan_to_num(between)
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = np.where(variance > 0, variance**2 / weights, MANY)
    parts = {name: np.sqrt(part) for name, part in (variances | {"seeds": between}).items()}
    factor = quantile_of_largest(covariance, float(np.quantile(freedom, 0.25)))
    return Estimates(value, parts, np.sqrt(variance), freedom, factor)


def quantile_of_largest(covariance: Float[np.ndarray, "n n"], freedom: float) -> float:
    """The `LEVEL` quantile of the largest |t| of n estimates with that covariance.

    Their errors are taken as multivariate t: one quantile of t for a single estimate, the quantile
    of `DRAWS` seeded draws for several.
    """
    scale = np.sqrt(np.diag(covariance))
    varying = scale > 0
    covariance, scale = covariance[varying][:, varying], scale[varying]
    if len(scale) < 2:
        return float(special.stdtrit(freedom, (1 + LEVEL) / 2))
    values, vectors = np.linalg.eigh(covariance / scale / scale[:, None])
    root = vectors * np.sqrt(values.clip(min=0))
    largest = abs(_normals(len(scale)) @ root.T).max(1)
    if freedom < MANY:
        middles = (np.arange(STRATA) + 0.5) / STRATA
        chi_squared = 2 * special.gammaincinv(freedom / 2, middles)
        largest = largest / np.sqrt(chi_squared[_strata()] / freedom)
    return float(np.quantile(largest, LEVEL, method="higher"))


@functools.cache
def _normals(count: int) -> Float[np.ndarray, "draws count"]:
    return np.random.default_rng(SEED).standard_normal((DRAWS, count))


@functools.cache
def _strata() -> Int64[np.ndarray, " draws"]:
    """Equally many draws for each of as many equally likely values, in random order."""
    return np.random.default_rng(SEED + 1).permutation(np.arange(DRAWS) % STRATA)


def image_deviations(
    values: Float[np.ndarray, " images"], region: Int64[np.ndarray, " images"]
) -> Float[np.ndarray, " regions"]:
    """Deviations of a mean over images by regions: sqrt(G / (G - 1)) sum_g (x - xbar) / n.

    The root of their sum of squares is `gud.evaluate.uncertainty.standard_error`.
    """
    _, number, counts = np.unique(region, return_inverse=True, return_counts=True)
    sums = np.bincount(number, values - values.mean(), len(counts))
    correction = len(counts) / (len(counts) - 1) if len(counts) > 1 else math.nan
    return math.sqrt(correction) * sums / len(values)


def effective_freedom(region: Int64[np.ndarray, " images"]) -> float:
    """G* - 1 for G* = (sum_g n_g^2)^2 / sum_g n_g^4 (Carter, Schnepel, Steigerwald 2017).

    The number of regions, but for those that are small beside others.
    """
    counts = np.unique(region, return_counts=True)[1].astype(float)
    return float((counts**2).sum() ** 2 / (counts**4).sum() - 1)


def jackknife_deviations(replicates: Iterable[float]) -> Float[np.ndarray, " groups"]:
    """Deviations of a number by groups, from its values without each: the delete-a-group jackknife.

    sqrt((K - 1) / K) (theta_(k) - mean), whose squares sum to the jackknife's variance.
    """
    found = np.array(list(replicates), dtype=float)
    return math.sqrt((len(found) - 1) / len(found)) * (found - found.mean())
