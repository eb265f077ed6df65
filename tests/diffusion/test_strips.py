"""Strips of a stationary Gaussian process by its exact score: they must be that process."""

import numpy as np
import pytest
import torch
from gaussian import Gaussian
from hypothesis import assume, given
from hypothesis import strategies as st

from gud.diffusion.processes import OrnsteinUhlenbeck
from gud.diffusion.samplers import SAMPLERS
from gud.diffusion.schedules.sequential import column_schedule
from gud.diffusion.strips import clean, generate_strips, slide, sliding_window
from gud.errors import InputError
from gud.evaluate.applications.seams import drift, likeness, seam_statistic
from gud.randomness import ImageStreams

PROCESS = OrnsteinUhlenbeck()
LOW, HIGH, L, CORRELATION, VARIANCE = -8.0, 6.0, 16, 0.8, 0.5
COVARIANCE = VARIANCE * CORRELATION ** abs(np.subtract.outer(np.arange(L), np.arange(L)))
LEVEL = 0.3


def schedule_of(b, columns=L, rows=1):
    return column_schedule(torch.arange(columns).repeat(rows), b, LOW, HIGH)


def streams(name, images, seed=0):
    return ImageStreams("cpu", seed, name, images)


def mean_of(channels, seed=5):
    """A mean image that differs from the data's (constant) mean in every column."""
    noise = torch.randn(L, generator=torch.Generator().manual_seed(seed)).double()
    return (LEVEL + 0.5 * noise).expand(channels, 1, L)


def denoiser_of(mean):
    """The exact noise of images with one row, whose channels are independent N(LEVEL, COVARIANCE).

    States are relative to `mean`, shape (channels, 1, L).
    """
    exact = Gaussian(COVARIANCE, channels=1).denoiser(PROCESS)

    def denoiser(z, state):
        centred = z + state.alpha[:, None, None] * (mean[:, 0] - LEVEL)
        return exact(centred.flatten(0, 2)[:, None, None], state).view_as(z)

    return denoiser


def draw(
    window,
    images=range(2),
    windows=5,
    steps_per_unit=60.0,
    channels=3,
    seed=0,
    method="euler_maruyama",
):
    mean = mean_of(channels)
    prior = streams("prior", images, seed).normal((1, channels, L)).double()
    return generate_strips(
        denoiser_of(mean),
        window,
        PROCESS,
        mean,
        PROCESS.prior_sample(prior),
        streams("steps", images, seed),
        streams("appended", images, seed),
        windows=windows,
        steps_per_unit=steps_per_unit,
        method=SAMPLERS[method],
    )


CASES = [(0.5, 2, 0.0, "euler_maruyama"), (0.7, 9, 0.0, "ancestral"), (0.5, 4, 0.1, "ancestral")]


@pytest.fixture(scope="module", params=CASES, ids=str)
def stationary(request):
    """1000 strips of about 53 columns by the exact score, one in each channel of 2 images."""
    b, shift, residual, method = request.param
    window = sliding_window(schedule_of(b), L, shift, None, residual)
    # Both kinds of step then bias the variance by less than its sampling error in one column.
    per_unit = {"euler_maruyama": 420.0, "ancestral": 640.0}[method]
    windows = 1 + 38 // shift
    strips = draw(
        window, windows=windows, steps_per_unit=per_unit, channels=500, method=method
    ).images
    assert strips.shape[-1] == L + (windows - 1) * shift
    return strips.flatten(0, 1)[:, None].numpy(), window.positions(windows)[1:].numpy()


@pytest.mark.slow
def test_columns_have_the_mean_and_variance_of_the_process_and_do_not_drift(stationary):
    strips, _ = stationary
    count, values = len(strips), strips[:, 0, 0]
    mean = (values.mean(0) - LEVEL) / np.sqrt(VARIANCE / count)
    variance = (values.var(0) / VARIANCE - 1) / np.sqrt(2 / count)
    assert abs(mean).max() < 4.5 and abs(variance).max() < 4.5
    for slope in drift(strips):
        assert abs(slope.value) < 4 * slope.stderr


@pytest.mark.slow
def test_columns_are_like_those_of_the_process_and_a_drift_put_in_is_found(stationary):
    """Real images: draws of the process itself; 20 strips make the rows of one."""
    strips, _ = stationary
    rng = np.random.default_rng(0)
    shape = (len(strips) // 20, 1, 20)
    real = LEVEL + rng.multivariate_normal(np.zeros(L), COVARIANCE, shape)
    images = strips.reshape(*shape, -1)
    for moment in likeness(images, real):
        error = np.hypot(moment.strips.stderr, moment.spread / np.sqrt(shape[0]))
        assert abs(moment.strips.value - moment.real) < 4 * error
        assert abs(moment.within - moment.real_within) < 0.05
    across = np.linspace(-0.5, 0.5, images.shape[-1]) * np.sqrt(VARIANCE)
    brighter, _ = drift(images + across)
    _, rougher = drift(LEVEL + (images - LEVEL) * (1 + across))
    for slope in (brighter, rougher):
        assert slope.value > 8 * slope.stderr
    mean, _ = likeness(images + 4 * across, real)
    assert mean.within < mean.real_within - 0.1


@pytest.mark.slow
def test_neighbours_correlate_across_seams_as_everywhere(stationary):
    strips, seams = stationary
    ratio = seam_statistic(strips, seams)
    assert ratio.stderr < 0.02
    assert abs(ratio.value - 1) < 4 * ratio.stderr
    deviation = strips[:, 0, 0] - LEVEL
    for lag in (1, 3, L - 1, L + 3):
        products = deviation[:, lag:] * deviation[:, :-lag]
        expected = VARIANCE * CORRELATION**lag
        error = np.sqrt((VARIANCE**2 + expected**2) / len(strips))
        assert abs(products.mean(0) - expected).max() < 4.5 * error


@given(st.integers(2, 40), st.floats(0.02, 0.98), st.integers(1, 45), st.floats(0, 1))
def test_a_window_is_refused_unless_it_enters_as_noise_and_leaves_clean(columns, b, shift, time):
    schedule = schedule_of(b, columns)
    end = time - shift * b / (columns - 1)
    at = torch.tensor([time, end], dtype=torch.float64)
    progress = (at[:, None] - schedule.start) / schedule.width
    edges = torch.cat([progress[0, -shift:] - 1, progress[1, :shift], at[1:]])
    assume(edges.abs().min() > 1e-6)
    if shift < columns and end >= 0:
        noised, left = schedule.gamma(at[:1])[0, -shift:], schedule.gamma(at[1:])[0, :shift]
        admissible = bool((noised == HIGH).all() and (left == LOW).all())
    else:
        admissible = False
    try:
        window = sliding_window(schedule, columns, shift, time, 0.0)
    except InputError:
        assert not admissible
    else:
        assert admissible and window.end == pytest.approx(end)


@pytest.mark.slow
@given(st.integers(2, 40), st.floats(0.02, 0.98), st.integers(1, 39))
def test_the_chosen_time_is_admissible_or_none_is(columns, b, shift):
    assume(shift < columns)
    schedule = schedule_of(b, columns)

    def unfinished(time):
        """How far, in gamma, the columns are from noise at t and from clean at t - k dt."""
        at = torch.tensor([time, time - shift * b / (columns - 1)], dtype=torch.float64)
        gamma = schedule.gamma(at)
        return max(HIGH - gamma[0, -shift:].min(), gamma[1, :shift].max() - LOW)

    try:
        window = sliding_window(schedule, columns, shift, None, 0.0)
    except InputError:
        lowest = shift * b / (columns - 1)
        assert min(unfinished(t) for t in np.linspace(min(lowest, 1), 1, 200)) > 1e-6
    else:
        assert unfinished(window.time) < 1e-5 and window.end >= 0


@pytest.mark.parametrize(
    ("columns", "b", "largest"), [(32, 0.5, 2), (16, 0.5, 2), (16, 0.6, 7), (32, 31 / 55, 9)]
)
def test_largest_shift_of_a_hand_computed_table(columns, b, largest):
    sliding_window(schedule_of(b, columns), columns, largest, None, 0.0)
    with pytest.raises(InputError, match=f"at most {largest},"):
        sliding_window(schedule_of(b, columns), columns, largest + 1, None, 0.0)


def test_the_shift_of_the_paper_is_admissible_with_little_noise_left():
    schedule = schedule_of(0.5, 32)
    window = sliding_window(schedule, 32, 9, None, 0.1)
    at = torch.tensor([window.time, window.end], dtype=torch.float64)
    state = schedule(at)
    assert state.gamma[0, -9:].tolist() == pytest.approx([HIGH] * 9)
    assert 0 < state.sigma[1, :9].max() - np.exp(LOW / 2) < 0.1
    with pytest.raises(InputError, match=r"b >= 0\.5636"):
        sliding_window(schedule, 32, 9, None, 0.05)


@pytest.mark.parametrize(
    ("b", "shift", "time", "message"),
    [
        (0.5, 0, None, "shift = 0"),
        (0.5, 16, None, "shift = 16"),
        (0.0, 1, None, "b > 0"),
        (0.6, 4, 0.9, r"time = 0\.9 must lie in \[0\.52, 0\.64\]"),
    ],
)
def test_what_cannot_slide_is_refused_in_one_sentence(b, shift, time, message):
    with pytest.raises(InputError, match=message) as caught:
        sliding_window(schedule_of(b), L, shift, time, 0.0)
    assert "\n" not in str(caught.value)


@given(st.floats(0.55, 0.95), st.integers(1, 4))
def test_the_shift_restores_the_noising_state_of_time_t(b, shift):
    window = sliding_window(schedule_of(b), L, shift, None, 0.0)
    before, after = window.schedule(torch.tensor([window.end, window.time]).double()).gamma
    restored = torch.cat([before[shift:], torch.full((shift,), HIGH)])
    assert restored.tolist() == pytest.approx(after.tolist(), abs=1e-5)


def test_columns_that_move_keep_their_pixels_whatever_the_mean_image():
    rows, shift = 3, 4
    window = sliding_window(schedule_of(0.6, rows=rows), L, shift, None, 0.0)
    generator = torch.Generator().manual_seed(1)
    phi, mean, eps = torch.randn(3, 2, rows, L, generator=generator, dtype=torch.float64)
    fresh = torch.randn(1, 1, 2, rows * shift, generator=generator, dtype=torch.float64)

    def noised(images, means, time, noise):
        state = window.schedule(torch.tensor([time], dtype=torch.float64))
        z = state.alpha[0] * (images - means).flatten(1) + state.sigma[0] * noise.flatten(1)
        return z[None, None]

    z = slide(window, PROCESS, mean, noised(phi, mean, window.end, eps), fresh)
    moved = torch.cat([phi[..., shift:], torch.zeros(2, rows, shift)], -1)
    noise = torch.cat([eps[..., shift:], fresh.view(2, rows, shift)], -1)
    expected = noised(moved, mean, window.time, noise)
    kept = (..., slice(0, L - shift))
    grid = (rows, L)
    torch.testing.assert_close(z.unflatten(-1, grid)[kept], expected.unflatten(-1, grid)[kept])
    assert torch.equal(z.unflatten(-1, grid)[0, 0, ..., -shift:], noise[..., -shift:])


def test_noise_left_in_a_column_gives_way_to_its_expectation():
    window = sliding_window(schedule_of(0.5), L, 4, None, 0.1)
    mean = torch.full((1, 1, L), LEVEL, dtype=torch.float64)
    state = window.schedule(torch.tensor([window.end], dtype=torch.float64))
    alpha, sigma = state.alpha[0].numpy(), state.sigma[0].numpy()
    z = streams("z", [0]).normal((1, 1, L)).double()
    total = alpha[:, None] * COVARIANCE * alpha + np.diag(sigma**2)
    expected = COVARIANCE * alpha @ np.linalg.solve(total, z.flatten().numpy())
    frozen = state.gamma[0].numpy() < LOW + 1e-9
    expected[frozen] = z.flatten().numpy()[frozen]
    result = clean(denoiser_of(mean), window, PROCESS, z)
    np.testing.assert_allclose(result.flatten().numpy(), expected, atol=1e-6)


def test_strips_depend_on_the_seed_and_their_number_and_not_on_their_batch():
    window = sliding_window(schedule_of(0.6), L, 4, None, 0.0)
    together = draw(window, range(5)).images
    assert torch.equal(draw(window, range(5)).images, together)
    split = torch.cat([draw(window, [0, 1]).images, draw(window, [2, 3, 4]).images])
    torch.testing.assert_close(split, together)
    assert not torch.allclose(draw(window, range(5), seed=1).images, together)


def test_a_longer_strip_begins_with_the_shorter_one():
    window = sliding_window(schedule_of(0.6), L, 4, None, 0.0)
    short, long = (draw(window, windows=windows).images for windows in (4, 7))
    assert long.shape[-1] - short.shape[-1] == 3 * 4
    torch.testing.assert_close(long[..., : 3 * 4], short[..., : 3 * 4])
