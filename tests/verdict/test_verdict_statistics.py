"""Statistics on simulated tables of known truth: 95 % intervals hold in 93 to 97 % of them."""

import numpy as np
import pytest
from scipy import stats

from gud.verdict import statistics
from gud.verdict.contrasts import (
    Estimates,
    Numbers,
    Source,
    effective_freedom,
    estimate,
    quantile_of_largest,
)

SIZES = (1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 6, 6)
REGION = np.repeat(np.arange(len(SIZES)), SIZES)
POINTS, STANDARD = 7, 3
TABLES = 1000
A = np.linspace(0.4, 1.6, POINTS)
CURVE = 0.05 * (A - 0.9) ** 2


def smooth(rng, *shape):
    """Errors that neighbouring points share: correlated over the last axis, of variance 1."""
    kernel = np.exp(-((A[:, None] - A) ** 2) / (2 * 0.4**2)) + 1e-9 * np.eye(POINTS)
    return rng.standard_normal((*shape, POINTS)) @ np.linalg.cholesky(kernel).T


def table(rng, seeds, truth=CURVE, between=0.01, level=0.0):
    """Bits/dim of networks x images x points: images and regions differ, and networks too."""
    images = 0.7 * smooth(rng, len(SIZES))[REGION] + 0.7 * smooth(rng, len(REGION))
    own = 0.3 * smooth(rng, seeds, len(REGION))
    network = between * smooth(rng, seeds, 1)
    return level + truth + 0.1 * (images + own) + network


@pytest.mark.parametrize("freedom", [2.0, 7.5, 1e6])
def test_intervals_and_what_they_would_have_seen_are_by_students_t(freedom):
    factor = quantile_of_largest(np.array([[0.3]]), freedom)
    assert factor == pytest.approx(stats.t.ppf(0.975, freedom))
    one = np.array([0.1])
    found = Estimates(one, {}, stderr=one, freedom=np.array([freedom]), factor=factor)
    assert found.detectable(0) == pytest.approx(0.1 * (factor + stats.t.ppf(0.8, freedom)))


@pytest.mark.parametrize("freedom", [3.0, 20.0])
def test_the_largest_of_several_estimates_is_by_the_multivariate_t(freedom):
    covariance = np.array([[1.0, 0.5], [0.5, 2.0]])
    scale = np.sqrt(np.diag(covariance))
    shape = covariance / np.outer(scale, scale)
    factor = quantile_of_largest(covariance, freedom)
    draws = stats.multivariate_t(shape=shape, df=freedom, seed=0).rvs(400_000)
    assert (abs(draws).max(1) < factor).mean() == pytest.approx(0.95, abs=0.005)


MEMBERS = np.eye(len(SIZES))[REGION]
SHARE = np.sqrt(len(SIZES) / (len(SIZES) - 1)) / len(REGION)


def numbers(bits):
    """As `gud.verdict.rows` makes them of likelihoods, with `image_deviations` for all at once."""
    mean = bits.mean(1)
    deviations = np.einsum("nip,ig->npg", bits - mean[:, None], MEMBERS) * SHARE
    return Numbers(mean, (Source("images", deviations, effective_freedom(REGION)),))


def tables(count, seeds, truth, between):
    rng = np.random.default_rng(7)
    return (numbers(table(rng, seeds, truth, between)) for _ in range(count))


def inside(points):
    return (points >= 0.8) & (points <= 1.2)


STATISTICS = {
    "mean": (statistics.mean, lambda t: t.mean()),
    "difference": (
        lambda found: statistics.difference(chosen(found, [0, 2, 3, 5])),
        lambda t: (t[0] + t[2] - t[3] - t[5]) / 2,
    ),
    "slope": (lambda found: statistics.slope(found, A), lambda t: np.polyfit(A, t, 1)[0]),
    "difference of slopes": (
        lambda found: statistics.difference_of_slopes(chosen(found, [0, 1, 2, 4, 5, 6]), A[:3]),
        lambda t: np.polyfit(A[:3], t[:3], 1)[0] - np.polyfit(A[:3], t[4:], 1)[0],
    ),
}
SEARCHED = {
    "lowest": (statistics.lowest, lambda t: t.min()),
    "gain": (
        lambda found: statistics.gain(found, STANDARD),
        lambda t: max(t[STANDARD] - np.delete(t, STANDARD)),
    ),
    "spread": (statistics.spread, lambda t: t.max() - t.min()),
    "optimum inside": (
        lambda found: statistics.optimum_inside(found, inside(A)),
        lambda t: t[~inside(A)].min() - t[inside(A)].min(),
    ),
}


def chosen(found, points):
    source = found.sources[0]
    deviations = source.deviations[:, points]
    return Numbers(found.values[:, points], (Source("images", deviations, source.freedom),))


def coverage(measures, count, seeds, truth, between):
    """In how many simulated tables the interval of each statistic holds its true value."""
    hits = dict.fromkeys(measures, 0)
    for found in tables(count, seeds, truth, between):
        for name, (measure, true_value) in measures.items():
            effect = measure(found)
            hits[name] += effect.low <= true_value(truth) <= effect.high
    return {name: held / count for name, held in hits.items()}


NETWORKS = pytest.mark.parametrize(
    "seeds, between", [(1, 0.0), (3, 0.003), (3, 0.05)], ids=["one", "three", "unlike"]
)


@pytest.mark.slow
@NETWORKS
def test_intervals_hold_in_93_to_97_percent_of_tables(seeds, between):
    for name, held in coverage(STATISTICS, TABLES, seeds, CURVE, between).items():
        assert 0.93 <= held <= 0.97, name


FIRST, SECOND = np.triu_indices(POINTS, 1)
UNIT = np.eye(POINTS)
FAMILIES = {
    "each point": UNIT,
    "standard less others": UNIT[STANDARD] - np.delete(UNIT, STANDARD, axis=0),
    "all pairs": UNIT[FIRST] - UNIT[SECOND],
}


@pytest.mark.slow
@NETWORKS
def test_bands_hold_for_all_points_at_once_in_93_to_97_percent_of_tables(seeds, between):
    hits = dict.fromkeys(FAMILIES, 0)
    for found in tables(TABLES, seeds, CURVE, between):
        for name, contrasts in FAMILIES.items():
            band, truth = estimate(found, contrasts), contrasts @ CURVE
            hits[name] += bool(((band.low <= truth) & (truth <= band.high)).all())
    for name, held in hits.items():
        assert 0.93 <= held / TABLES <= 0.97, name


@pytest.mark.slow
@pytest.mark.parametrize("truth", [CURVE, 0 * CURVE], ids=["curve", "flat"])
def test_the_best_of_all_points_is_not_claimed_to_be_better_than_it_is(truth):
    """Flat truth is the hardest: whatever point is picked, it is picked for its errors."""
    for name, held in coverage(SEARCHED, 400, 3, truth, 0.003).items():
        assert held >= 0.93, name
