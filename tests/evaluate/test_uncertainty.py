"""Errors of the tables, tried on data whose truth is known."""

import numpy as np
import pytest

from gud.evaluate.uncertainty import band_factor, corrected, standard_error

POINTS = 9
TRUTH = 3.6 + np.r_[0, 0, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.3]
"""Means that are nearly equal at their lowest, so that images decide which point is best."""


def draw(random, images=64, regions=24, shared=1.0, own=0.05, within=0.5):
    """NLL of images at points: what images share, and what differs between the points.

    Args:
        within: part of either variance that all images of a region have in common.
    """
    region = np.sort(random.integers(0, regions, images))
    parts = []
    for shape, scale in (((1,), shared), ((POINTS,), own)):
        common = random.standard_normal((regions, *shape))[region]
        single = random.standard_normal((images, *shape))
        parts.append(scale * (within**0.5 * common + (1 - within) ** 0.5 * single))
    return TRUTH + sum(parts), region


def test_without_regions_it_is_the_usual_standard_error():
    values = np.random.default_rng(0).standard_normal(50)
    usual = values.std(ddof=1) / 50**0.5
    assert standard_error(values, np.arange(50)) == pytest.approx(usual)
    assert np.isnan(standard_error(values, np.zeros(50, dtype=np.int64)))


def test_images_that_are_repeated_in_their_region_add_no_certainty():
    values = np.random.default_rng(0).standard_normal(20)
    repeated = standard_error(np.repeat(values, 6), np.repeat(np.arange(20), 6))
    assert repeated == pytest.approx(standard_error(values, np.arange(20)))


def test_the_standard_error_is_the_spread_over_repetitions_where_images_are_correlated(
    record_property,
):
    random = np.random.default_rng(1)
    sets = [draw(random) for _ in range(2000)]
    spread = np.std([values[:, 0].mean() for values, _ in sets])
    found = np.mean([standard_error(values[:, 0], region) for values, region in sets])
    usual = np.mean([standard_error(values[:, 0], np.arange(64)) for values, _ in sets])
    record_property("estimate / spread", float(found / spread))
    assert found / spread == pytest.approx(1, abs=0.05)
    assert usual / spread < 0.8


@pytest.mark.parametrize("few", [16, 64])
def test_few_finer_values_correct_the_mean_with_the_error_that_repetitions_have(few):
    random = np.random.default_rng(2)

    def levels(offset):
        """Values whose steps err by 0.3 more or less, less so where they are large."""
        exact = offset + shared + 0.1 * random.standard_normal((128, 1))
        coarse = exact + 0.3 + 0.1 * random.standard_normal((128, 2)) - 0.2 * shared
        return corrected(coarse, exact[:few] + 0.02 * random.standard_normal((few, 2)))

    found = []
    for _ in range(2000):
        shared = random.standard_normal((128, 1))
        values, others = levels(3.6).mean(1), levels(3.5).mean(1)
        paired = values - others
        found.append((values.mean(), standard_error(values), paired.mean(), standard_error(paired)))
    mean, error, difference, of_difference = np.array(found).T
    assert mean.mean() == pytest.approx(3.6, abs=0.01)
    assert difference.mean() == pytest.approx(0.1, abs=0.005)
    assert error.mean() / mean.std() == pytest.approx(1, abs=0.06)
    assert of_difference.mean() / difference.std() == pytest.approx(1, abs=0.06)


@pytest.mark.slow
@pytest.mark.parametrize("within", [0.0, 0.5], ids=["independent", "regions"])
def test_the_band_covers_the_differences_between_points_chosen_on_the_same_images(
    within, record_property
):
    """The band holds for all pairs at once, so for the best and the worst; single errors do not."""
    random = np.random.default_rng(5)
    all_pairs, best, naive = [], [], []
    for _ in range(1000):
        values, region = draw(random, within=within)
        region = region if within else np.arange(len(values))
        factor = band_factor(values, region)
        mean = values.mean(0)
        # Sums over regions by a matrix of memberships, for every pair.
        sums = (region == np.unique(region)[:, None]) @ (values - mean)
        squares = ((sums[:, :, None] - sums[:, None]) ** 2).sum(0)
        error = np.sqrt(len(sums) / (len(sums) - 1) * squares) / len(values)
        assert error[0, 5] == pytest.approx(standard_error(values[:, 0] - values[:, 5], region))
        miss = abs(mean[:, None] - mean - (TRUTH[:, None] - TRUTH))
        chosen = mean.argmin()
        all_pairs.append((miss <= factor * error).all())
        best.append((miss[chosen] <= factor * error[chosen]).all())
        naive.append((miss[chosen] <= 1.96 * error[chosen]).all())
    record_property("coverage of all pairs", float(np.mean(all_pairs)))
    record_property("coverage of all differences to the best", float(np.mean(best)))
    record_property("coverage without the band", float(np.mean(naive)))
    assert 0.93 < np.mean(all_pairs) < 0.97
    assert np.mean(best) > 0.93
    assert np.mean(naive) < 0.8


def test_the_band_of_two_points_is_that_of_one_difference():
    values = np.random.default_rng(3).standard_normal((400, 2))
    assert band_factor(values, np.arange(400)) == pytest.approx(1.96, abs=0.06)


def test_points_that_do_not_differ_have_no_band():
    values = np.random.default_rng(4).standard_normal((30, 1))
    for points in (values, values.repeat(3, axis=1)):
        assert np.isnan(band_factor(points, np.arange(30)))
    assert np.isnan(band_factor(values * [1, 2], np.zeros(30, dtype=np.int64)))
