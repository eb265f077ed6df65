"""Statistics of strips, on strips whose seams and drift are known."""

import math

import numpy as np
import pytest

from gud.errors import InputError
from gud.evaluate.applications.seams import column_moments, drift, likeness, seam_statistic, summary

WIDTH, SHIFT = 60, 4
SEAMS = np.arange(SHIFT, 48, SHIFT)


def walk(count, seam_scale=1.0, seed=0):
    """Random walks over the columns whose steps are larger at the seams."""
    rng = np.random.default_rng(seed)
    steps = rng.standard_normal((count, 3, 5, WIDTH))
    steps[..., SEAMS] *= seam_scale
    return steps.cumsum(-1)


def test_gradient_ratio_by_hand():
    # Steps of 3 at the seams 2, 4 and 6, of 1 elsewhere; the last block has no full period.
    strip = np.array([0, 1, 4, 5, 8, 9, 12], dtype=float)[None, None, None]
    estimate = seam_statistic(strip, np.array([2, 4, 6]))
    assert (estimate.value, estimate.stderr) == (3.0, 0.0)


def test_ratio_finds_the_seams_within_its_standard_error():
    for scale in (1.0, 1.3):
        results = [seam_statistic(walk(4, scale, seed), SEAMS) for seed in range(200)]
        values = np.array([result.value for result in results])
        stated = np.mean([result.stderr for result in results])
        assert abs(values.mean() - scale) < 4 * values.std() / math.sqrt(len(values))
        assert stated == pytest.approx(values.std(), rel=0.2)


def test_drift_of_mean_and_variance_is_found_within_its_standard_error():
    rng = np.random.default_rng(0)
    column = np.arange(WIDTH) - (WIDTH - 1) / 2
    noise = rng.standard_normal((400, 3, 5, WIDTH)) * np.sqrt(1 + 0.005 * column)
    mean, variance = drift(noise + 0.01 * column)
    assert abs(mean.value - 0.01) < 4 * mean.stderr < 0.001
    # The drift of the mean adds its square, which is even in the column, to the deviations.
    assert abs(variance.value - 0.005) < 4 * variance.stderr < 0.001
    for slope in drift(rng.standard_normal((400, 3, 5, WIDTH))):
        assert abs(slope.value) < 4 * slope.stderr


def test_column_moments_are_over_channels_and_rows():
    strips = np.array([[[[0, 2]], [[4, 2]]], [[[1, 5]], [[1, 7]]]], dtype=np.uint8)
    mean, variance = column_moments(strips)
    assert mean.tolist() == [[2, 2], [1, 6]] and variance.tolist() == [[4, 0], [0, 1]]


def columns_of(count, width, level=0.0, scale=1.0, seed=0):
    """Images whose columns are independent: mean N(level, 0.01), unit pixels times `scale`."""
    rng = np.random.default_rng(seed)
    offsets = level + 0.1 * rng.standard_normal((count, 1, 1, width))
    return offsets + scale * rng.standard_normal((count, 3, 5, width))


def test_strips_of_the_same_columns_are_like_real_ones_and_their_errors_are_stated_rightly():
    real = columns_of(2000, 8, seed=1)
    found = [likeness(columns_of(20, WIDTH, seed=seed), real) for seed in range(100, 200)]
    # Real moments: mean and its spread, then the variance of 15 pixels, biased, and its spread.
    expected = [(0, 0.01 + 1 / 15), (14 / 15, 2 * 14 / 15**2)]
    for parts, (centre, square) in zip(zip(*found, strict=True), expected, strict=True):
        values = np.array([part.strips.value for part in parts])
        stated = np.mean([part.strips.stderr for part in parts])
        assert stated == pytest.approx(values.std(), rel=0.2)
        assert abs(values.mean() - centre) < 4 * values.std() / math.sqrt(len(values))
        assert parts[0].real == pytest.approx(centre, abs=4 * math.sqrt(square / 16000))
        assert parts[0].spread == pytest.approx(math.sqrt(square), rel=0.05)
        within = np.mean([part.within for part in parts])
        assert within == pytest.approx(parts[0].real_within, abs=0.01) and within > 0.94


def test_unlike_columns_are_found_in_the_moment_that_differs():
    real = columns_of(2000, 8, seed=1)
    bright, rough = columns_of(20, WIDTH, level=1.0), columns_of(20, WIDTH, scale=1.7)
    mean, variance = likeness(bright, real)
    assert mean.strips.value - mean.real > 20 * mean.strips.stderr and mean.within < 0.1
    assert variance.within > 0.9
    mean, variance = likeness(rough, real)
    assert variance.strips.value - variance.real > 20 * variance.strips.stderr
    assert variance.within < 0.5 and abs(mean.strips.value) < 4 * mean.strips.stderr


def test_real_images_with_other_rows_are_refused():
    with pytest.raises(InputError, match="expected as many"):
        likeness(walk(2), np.zeros((4, 3, 6, 8)))


def test_a_single_strip_cannot_tell_the_error_of_its_drift_nor_adjacent_seams_their_gradient():
    numbers = summary(walk(1), np.arange(1, 9))
    assert numbers["mean_per_column_stderr"] is None
    assert "seam_gradient" not in numbers
    assert summary(walk(3), SEAMS)["seam_gradient"] == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("seams", [[], [4], [1, 2, 3]])
def test_seams_without_columns_between_them_are_refused(seams):
    with pytest.raises(InputError, match="two seams"):
        seam_statistic(walk(2), np.array(seams, dtype=int))


def test_constant_strips_are_refused():
    with pytest.raises(InputError, match="constant"):
        seam_statistic(np.zeros((2, 3, 5, WIDTH)), SEAMS)
