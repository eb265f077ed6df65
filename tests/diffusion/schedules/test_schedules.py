import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from gud.diffusion.bases import Fourier
from gud.diffusion.schedules import (
    Reparametrised,
    SoftConditioning,
    gamma_noise_default,
    ordering_by_frequency,
)
from gud.diffusion.schedules.sequential import column_schedule
from gud.errors import InputError

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

TIMES = torch.linspace(0, 1, 41, dtype=torch.float64)
log_variances = st.lists(st.floats(-9, 6), min_size=2, max_size=8).map(
    lambda values: torch.tensor(values, dtype=torch.float64)
)
softness = st.floats(0, 3)


def standard(log_sigma, a=1.0, whitened=False, gamma_denoise=-7.0, gamma_noise=None):
    log_variance = torch.zeros_like(log_sigma) if whitened else log_sigma
    if gamma_noise is None:
        gamma_noise = gamma_noise_default(float(log_variance.min()))
    return SoftConditioning(log_variance, -log_sigma, a, gamma_denoise, gamma_noise)


def log_snr(schedule, times=TIMES):
    return schedule(times).log_snr(schedule.log_variance)


def test_equation_20_against_a_hand_computed_table():
    log_sigma = torch.tensor([2.0, 0.0, -1.0], dtype=torch.float64)
    isotropic = standard(log_sigma, a=0.5, gamma_noise=3.0)
    assert isotropic.gamma_min.tolist() == [-6.5, -7.5, -8.0]
    assert float(isotropic.delta_gamma) == 11.5
    whitened = standard(log_sigma, a=0.5, whitened=True, gamma_noise=3.0)
    assert whitened.gamma_min.tolist() == [-8.5, -7.5, -7.0]
    assert whitened.gamma(torch.tensor([0.5]).double()).tolist() == [[-2.75, -1.75, -1.25]]


def test_automatic_gamma_noise_is_the_logit_of_sigma_min_but_at_least_3():
    logit = math.log(0.99**2 / (1 - 0.99**2))
    assert gamma_noise_default(-5.0) == pytest.approx(logit + 5)
    assert gamma_noise_default(2.0) == 3.0


@given(log_variances)
def test_standard_diffusion_is_the_scalar_linear_schedule(log_sigma):
    schedule = standard(log_sigma)
    gamma = schedule.gamma(TIMES)
    start = -7.0 + float(log_sigma.min())
    end = schedule.gamma_noise + float(log_sigma.max())
    linear = start + TIMES * (end - start)
    torch.testing.assert_close(gamma, linear[:, None].expand_as(gamma), rtol=1e-12, atol=1e-10)


@given(log_variances, st.floats(3, 12))
def test_whitened_a_1_has_the_snr_path_of_standard_diffusion(log_sigma, gamma_noise):
    isotropic, whitened = (
        log_snr(standard(log_sigma, whitened=w, gamma_noise=gamma_noise)) for w in (False, True)
    )
    torch.testing.assert_close(whitened, isotropic, rtol=1e-12, atol=1e-9)


@given(log_variances)
def test_automatic_gamma_noise_changes_the_speed_on_the_snr_path_alone(log_sigma):
    isotropic, whitened = (standard(log_sigma, whitened=w) for w in (False, True))
    speed = whitened.delta_gamma / isotropic.delta_gamma
    torch.testing.assert_close(
        log_snr(whitened), log_snr(isotropic, TIMES * speed), rtol=1e-12, atol=1e-9
    )


@given(log_variances, st.booleans())
def test_a_0_gives_every_component_the_same_snr(log_sigma, whitened):
    ratios = log_snr(standard(log_sigma, a=0.0, whitened=whitened))
    torch.testing.assert_close(ratios, ratios[:, :1].expand_as(ratios), rtol=1e-12, atol=1e-10)


@given(
    st.lists(st.floats(-9, 6), min_size=16, max_size=16), softness, st.floats(0, 1), st.booleans()
)
def test_endpoints_satisfy_equation_19_and_noise_every_component(values, a, r, whitened):
    log_sigma = torch.tensor(values, dtype=torch.float64)
    ordering = ordering_by_frequency(log_sigma, Fourier(4).frequency, r)
    schedule = replace(standard(log_sigma, a=a, whitened=whitened), ordering=ordering)
    first, last = log_snr(schedule, torch.tensor([0.0, 1.0], dtype=torch.float64))
    assert -float(first.min()) == pytest.approx(-7.0, abs=1e-9)
    assert -float(last.max()) == pytest.approx(schedule.gamma_noise, abs=1e-9)
    assert schedule(torch.ones(1)).sigma.min() >= 0.99 - 1e-12


@given(st.lists(st.floats(-9, 6), min_size=16, max_size=16))
def test_orderings_by_variance_and_by_frequency_have_the_same_range(values):
    log_sigma = torch.tensor(values, dtype=torch.float64)
    frequency = Fourier(4).frequency
    by_variance, by_frequency = (ordering_by_frequency(log_sigma, frequency, r) for r in (0.0, 1.0))
    assert torch.equal(by_variance, -log_sigma)
    torch.testing.assert_close(
        torch.stack(by_frequency.aminmax()), torch.stack(by_variance.aminmax())
    )


def test_ordering_at_r_1_is_affine_and_increasing_in_frequency_and_mixes_linearly():
    log_sigma = torch.linspace(4, -6, 16, dtype=torch.float64).roll(5)
    frequency = Fourier(4).frequency
    l0, l1 = (ordering_by_frequency(log_sigma, frequency, float(r)) for r in (0.0, 1.0))
    kappa = (frequency.max() - frequency.min()) / 10
    delta = kappa * -4.0
    torch.testing.assert_close(l1, (frequency + delta) / kappa)
    torch.testing.assert_close(
        ordering_by_frequency(log_sigma, frequency, 0.3), 0.7 * l0 + 0.3 * l1
    )


def test_basis_without_frequencies_is_refused_an_ordering_by_frequency():
    with pytest.raises(InputError, match="r = 0.5 needs a basis with frequencies"):
        ordering_by_frequency(torch.zeros(4).double(), None, 0.5)


@pytest.fixture(params=[1.0, 0.5, 2.0], ids="power={}".format)
def schedule(request):
    linear = standard(torch.tensor([2.0, -1.0, -4.0], dtype=torch.float64), a=1.3)
    return linear if request.param == 1 else Reparametrised(linear, request.param)


def test_d_gamma_dt_is_the_finite_difference_of_gamma(schedule):
    times, step = TIMES[1:-1], 1e-6
    finite = (schedule.gamma(times + step) - schedule.gamma(times - step)) / (2 * step)
    torch.testing.assert_close(schedule.d_gamma_dt(times), finite, rtol=1e-6, atol=1e-6)


def test_the_clock_is_the_integral_of_beta(schedule):
    start, end = (schedule(torch.tensor([t]).double()).tau[0] for t in (0.1, 0.95))
    for i in range(3):
        integral, _ = quad(lambda t, i=i: float(schedule(torch.tensor([t])).beta[0, i]), 0.1, 0.95)
        assert float(end[i] - start[i]) == pytest.approx(integral, rel=1e-6)


@given(st.floats(0.2, 4), st.floats(0.01, 0.99))
def test_reparametrisation_is_a_symmetric_monotone_map_of_the_unit_interval(power, t):
    linear = standard(torch.tensor([1.0, -1.0], dtype=torch.float64))
    warped = Reparametrised(linear, power)
    times = torch.tensor([0.0, t, 1 - t, 1.0], dtype=torch.float64)
    s = warped.s(times)
    assert float(s[0]) == 0
    assert float(s[3]) == 1
    assert float(s[1] + s[2]) == pytest.approx(1)
    assert (warped.s(TIMES).diff() > 0).all()
    torch.testing.assert_close(warped.gamma(times), linear.gamma(s))
    assert warped.path is linear


def test_half_power_is_hand_computed_and_infinitely_fast_at_both_ends():
    warped = Reparametrised(standard(torch.tensor([1.0, -1.0], dtype=torch.float64)), 0.5)
    assert float(warped.s(torch.tensor([0.2]).double())[0]) == pytest.approx(1 / 3)
    assert warped.d_gamma_dt(torch.tensor([0.0, 1.0]).double()).isinf().all()


@pytest.mark.parametrize("power", [0.3, 0.5, 0.9, 1.5, 2.0])
def test_a_frozen_component_has_no_rate_even_where_time_is_infinitely_fast(power):
    warped = Reparametrised(column_schedule(torch.arange(5), 0.5, -7.0, 4.0), power)
    state = warped(torch.tensor([0.0, *warped.kinks, 0.6, 1.0], dtype=torch.float64))
    assert not state.beta.isnan().any()
    frozen = (state.gamma == -7) | (state.gamma == 4)
    moving = ~frozen[1:-1]
    assert (state.beta[0, :-1] == 0).all(), "the last column alone begins at t = 0"
    assert (state.beta[1:-1][moving] > 0).all()
    assert float(state.d_gamma_dt[0, -1]) == (math.inf if power < 1 else 0.0)


def test_kinks_are_the_times_at_which_the_warped_path_reaches_them():
    class Kinked(SoftConditioning):
        kinks = (0.2, 0.7)

    log_sigma = torch.zeros(2, dtype=torch.float64)
    warped = Reparametrised(Kinked(log_sigma, log_sigma, 1.0, -7.0, 3.0), 0.5)
    s = warped.s(torch.tensor(warped.kinks, dtype=torch.float64))
    assert s.tolist() == pytest.approx([0.2, 0.7])
    assert warped.path.kinks == (0.2, 0.7)
