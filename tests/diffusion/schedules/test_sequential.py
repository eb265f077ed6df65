"""Sequential schedules: equations 21 and 22 against tables computed by hand, and their limits."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from gud.diffusion.bases import Pixel
from gud.diffusion.bases.wavelets import Wavelet
from gud.diffusion.noising import NoisingState
from gud.diffusion.schedules import Reparametrised
from gud.diffusion.schedules.sequential import column_schedule, wavelet_schedule
from gud.errors import InputError

LOW, HIGH = -7.0, 5.0
fractions = st.floats(0, 0.95)


def wavelets(a, b, size=8, levels=2):
    basis = Wavelet(size, levels)
    return wavelet_schedule(basis.groups, basis.columns, a, b, LOW, HIGH)


def test_columns_start_at_the_times_of_a_hand_computed_table():
    # L = 5, b = 0.5: t_i = 0.5 (5 - i) / 4 for i = 1 .. 5.
    schedule = column_schedule(torch.arange(5), 0.5, LOW, HIGH)
    assert schedule.start.tolist() == [0.5, 0.375, 0.25, 0.125, 0.0]
    assert schedule.width == 0.5
    gamma = schedule.gamma(torch.tensor([0.0, 0.25, 0.5, 0.625, 1.0], dtype=torch.float64))
    expected = [
        [-7, -7, -7, -7, -7],
        [-7, -7, -7, -4, -1],
        [-7, -4, -1, 2, 5],
        [-4, -1, 2, 5, 5],
        [5, 5, 5, 5, 5],
    ]
    assert gamma.numpy() == pytest.approx(np.array(expected))


def test_wavelets_start_at_the_times_of_a_hand_computed_table():
    # Haar with 1 level on 4x4: two groups of two columns each. c_i = a (2 - i), c_ij = b (2 - j);
    # the ramp of (i, j) starts where (t - c_i) / (1 - a) = c_ij and lasts (1 - a) (1 - b).
    basis = Wavelet(4, 1)
    schedule = wavelet_schedule(basis.groups, basis.columns, 0.4, 0.5, LOW, HIGH)
    start = schedule.start.view(4, 4)
    assert start[0].tolist() == pytest.approx([0.4 + 0.6 * 0.5, 0.4, 0.6 * 0.5, 0.0])
    assert start[2].tolist() == pytest.approx([0.3, 0.0, 0.3, 0.0])
    assert schedule.width == pytest.approx(0.3)


def test_haar_groups_and_columns_of_a_small_pyramid():
    basis = Wavelet(4, 2)
    assert basis.groups.view(4, 4).tolist() == [[0, 1, 2, 2], [1, 1, 2, 2], [2] * 4, [2] * 4]
    assert basis.columns.view(4, 4).tolist() == [[0, 0, 0, 1], [0, 0, 0, 1], [0, 1] * 2, [0, 1] * 2]
    assert basis.labels.view(4, 4)[0].tolist() == [0, 1, 2, 3]


@given(fractions, fractions)
def test_every_component_reaches_both_ends(a, b):
    ends = torch.tensor([0.0, 1.0], dtype=torch.float64)
    for schedule in (wavelets(a, b), column_schedule(torch.arange(6), b, LOW, HIGH)):
        gamma = schedule.gamma(ends)
        assert torch.allclose(gamma[0], torch.full_like(gamma[0], LOW))
        assert torch.allclose(gamma[1], torch.full_like(gamma[1], HIGH))


def test_the_left_column_is_noised_last_and_the_coarse_group_too():
    half = torch.tensor([0.5], dtype=torch.float64)
    gamma = column_schedule(Pixel(4).columns, 0.5, LOW, HIGH).gamma(half).view(4, 4)
    assert (gamma.diff(dim=1) > 0).all()
    schedule = wavelets(0.8, 0.0)
    starts = [schedule.start[Wavelet(8, 2).groups == group].unique() for group in range(3)]
    assert [len(start) for start in starts] == [1, 1, 1]
    assert starts[0] > starts[1] > starts[2]


def test_without_offsets_the_schedule_is_standard_diffusion():
    t = torch.linspace(0, 1, 11, dtype=torch.float64)
    scalar = LOW + (HIGH - LOW) * t
    for schedule in (wavelets(0.0, 0.0), column_schedule(torch.arange(5), 0.0, LOW, HIGH)):
        gamma = schedule.gamma(t)
        assert torch.allclose(gamma, scalar[:, None].expand_as(gamma))
        assert schedule.kinks == ()


@given(st.integers(2, 40), st.floats(0.01, 0.99))
def test_a_ramp_overlaps_those_of_the_stated_number_of_neighbours(columns, b):
    schedule = column_schedule(torch.arange(columns), b, LOW, HIGH)
    spacing = float(schedule.start[0] - schedule.start[1])
    assert schedule.width / spacing == pytest.approx((1 - b) * (columns - 1) / b)


def test_five_columns_at_b_09_are_noised_one_at_a_time():
    # A ramp then overlaps (1 - b) (L - 1) / b = 0.44 < 1 neighbours.
    schedule = column_schedule(torch.arange(5), 0.9, LOW, HIGH)
    t = torch.linspace(0, 1, 10001, dtype=torch.float64)
    active = schedule.d_gamma_dt(t) > 0
    assert active.sum(1).max() == 1
    assert active.any(0).all()


@given(fractions, fractions, st.floats(0, 1))
def test_beta_is_exactly_zero_where_a_component_is_frozen(a, b, time):
    schedule = wavelets(a, b)
    state = schedule(torch.tensor([time], dtype=torch.float64))
    frozen = (state.gamma == LOW) | (state.gamma == HIGH)
    inside = (time - schedule.start > 1e-9) & (time - schedule.start < schedule.width - 1e-9)
    assert not (frozen & inside).any()
    outside = (time < schedule.start) | (time >= schedule.start + schedule.width)
    assert (state.beta[0][outside] == 0).all()


def test_the_clock_is_the_integral_of_beta():
    schedule = wavelets(0.3, 0.6)
    end = schedule(torch.ones(1))
    begin = schedule(torch.zeros(1))
    for i in (0, 5, 37, 63):

        def beta(t, i=i):
            return float(schedule(torch.tensor([t], dtype=torch.float64)).beta[0, i])

        start = float(schedule.start[i])
        integral, _ = quad(beta, start, start + schedule.width)
        assert integral == pytest.approx(float(end.tau[0, i] - begin.tau[0, i]), rel=1e-6)


def test_kinks_are_exact_and_those_that_rounding_tells_apart_are_one():
    schedule = column_schedule(torch.arange(8), 0.5, LOW, 4.0)
    assert schedule.kinks[0] == 1 / 14
    assert len(schedule.kinks) == 13
    # Ramps begin at k / 25 and end at 2 / 5 + k / 25, k = 0 .. 15: 26 times, of which two are ends.
    schedule = column_schedule(torch.arange(16), 0.6, LOW, HIGH)
    assert torch.cat([schedule.start, schedule.start + schedule.width]).unique().numel() > 26
    assert schedule.kinks == pytest.approx([k / 25 for k in range(1, 25)], rel=1e-15)


@pytest.mark.parametrize("power", [1.0, 0.5, 2.0])
@pytest.mark.parametrize("backward", [False, True])
def test_a_piece_has_at_its_ends_the_one_sided_limits_of_the_rate(power, backward):
    base = column_schedule(torch.arange(6), 0.5, LOW, HIGH)
    schedule = base if power == 1 else Reparametrised(base, power)
    pieces = list(schedule.pieces(*((0.9, 0.05) if backward else (0.05, 0.9))))
    ends = [time for first, last, _ in pieces for time in (first, last)]
    assert ends == sorted(ends, reverse=backward)
    within = [time for time in schedule.kinks if 0.05 < time < 0.9]
    assert ends[1:-1:2] == ends[2:-1:2] == sorted(within, reverse=backward)
    for first, last, piece in pieces:
        ends = torch.tensor([first, (first + last) / 2, last], dtype=torch.float64)
        inside = ends.lerp(ends[1], 1e-4)
        torch.testing.assert_close(piece.gamma(inside), schedule.gamma(inside))
        limit = schedule.d_gamma_dt(inside)
        assert torch.equal(piece.d_gamma_dt(ends) > 0, limit > 0)
        torch.testing.assert_close(piece.d_gamma_dt(ends), limit, rtol=1e-3, atol=0)


@given(fractions, fractions)
def test_the_schedule_is_linear_between_kinks(a, b):
    schedule = wavelets(a, b)
    times = [0.0, *schedule.kinks, 1.0]
    assert times == sorted(set(times))
    for start, end in zip(times, times[1:], strict=False):
        if end - start < 1e-6:
            continue
        inside = torch.linspace(start, end, 5, dtype=torch.float64)
        gamma = schedule.gamma(inside)
        assert torch.allclose(gamma.diff(dim=0)[0], gamma.diff(dim=0)[-1], atol=1e-4)


def test_a_frozen_state_has_no_velocity():
    state = NoisingState(torch.full((1, 3), LOW), torch.zeros(1, 3))
    assert (state.beta == 0).all()


@pytest.mark.parametrize("b", [-0.1, 1.0, 1.5])
def test_values_outside_the_unit_interval_are_refused(b):
    with pytest.raises(InputError, match="b = "):
        column_schedule(torch.arange(4), b, LOW, HIGH)
