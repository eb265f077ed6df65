import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gud.diffusion.noising import NoisingState

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

gammas = st.lists(st.floats(-30, 30), min_size=1, max_size=6)


def state(values, rate=1.0) -> NoisingState:
    gamma = torch.tensor([values], dtype=torch.float64)
    return NoisingState(gamma, torch.full_like(gamma, rate))


@given(gammas)
def test_variance_is_preserved_and_gamma_is_the_log_ratio_of_noise_to_signal(values):
    s = state(values)
    torch.testing.assert_close(s.alpha**2 + s.sigma**2, torch.ones_like(s.gamma))
    torch.testing.assert_close((s.sigma / s.alpha).log() * 2, s.gamma, rtol=1e-9, atol=1e-9)


@given(gammas)
def test_alpha_decays_with_the_clock(values):
    s = state(values)
    torch.testing.assert_close((-s.tau / 2).exp(), s.alpha, rtol=1e-12, atol=0)


@given(gammas, st.floats(0, 50))
def test_beta_is_the_time_derivative_of_the_clock(values, rate):
    step = 1e-4
    before, after = (state([v + sign * step * rate for v in values]) for sign in (-1, 1))
    finite = (after.tau - before.tau) / (2 * step)
    torch.testing.assert_close(state(values, rate).beta, finite, rtol=1e-4, atol=1e-8)


def test_beta_is_exactly_zero_where_the_schedule_is_frozen():
    assert (state([-7.0, 0.0, 9.0], rate=0.0).beta == 0).all()


def test_snr_and_variance_of_hand_computed_components():
    s = state([0.0, -math.log(3)])
    variance = torch.tensor([4.0, 2.0], dtype=torch.float64)
    torch.testing.assert_close(s.variance(variance), torch.tensor([[2.5, 1.75]]).double())
    snr = s.log_snr(variance.log()).exp()
    torch.testing.assert_close(snr, torch.tensor([[4.0, 6.0]]).double())
