"""Statistics of strips, on strips whose seams and drift are known."""

import math

import numpy as np
import pytest

from gud.errors import InputError
from gud.seams import column_moments, drift, seam_statistic, summary

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


def test_column_moments_are_over_all_but_the_column():
    strips = np.array([[[[0, 2]], [[4, 2]]]], dtype=np.uint8)
    mean, variance = column_moments(strips)
    assert mean.tolist() == [2, 2] and variance.tolist() == [4, 0]


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
