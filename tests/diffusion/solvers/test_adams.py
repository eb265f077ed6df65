"""Adams methods over the clocks of schedules."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from gud.diffusion.schedules import SoftConditioning
from gud.diffusion.schedules.sequential import column_schedule
from gud.diffusion.solvers import AngleClock, adams, odeint_along
from gud.diffusion.solvers.clocks import SOFTENING
from gud.errors import InputError

SMOOTH = SoftConditioning(torch.zeros(4).double(), torch.arange(4.0).double(), 1.0, -4.0, 3.0)
COLUMNS = column_schedule(torch.arange(4), 0.6, -4.0, 4.0)
X_START = float(AngleClock(SMOOTH, torch.ones(4).double()).readings(torch.zeros(1).double())[0, 0])


def coupled(y, x):
    """A smooth function of the state and the first clock."""
    matrix = torch.tensor([[0, 1, 0, -1], [-1, 0, 2, 0], [0, -1, 0, 1], [1, 0, 1, 0]])
    return torch.tanh(y @ matrix.to(y)) + x[:, :1].cos()


def eased(y, x):
    """The same, but starting from rest, as it does where a network has no noise to remove."""
    return (1.5 * (x[:, :1] - X_START)) ** 4 * coupled(y, x)


def coupled_at(clock, rate=coupled):
    return lambda place, y, rows: (rate(y[0], clock.readings(place)),)


def largest(parts):
    return torch.stack([part.flatten(1).abs().amax(1) for part in parts]).amax(0)


@pytest.mark.parametrize(
    ("schedule", "departure", "nodes", "order", "fewest"),
    [
        pytest.param(SMOOTH, eased, 4, 5, 160, marks=pytest.mark.slow),
        (SMOOTH, coupled, 4, 3, 20),
        (SMOOTH, coupled, 2, 3, 20),
        (COLUMNS, coupled, 4, 2, 20),
        (COLUMNS, coupled, 2, 2, 20),
    ],
    ids=["smooth from rest, 4", "smooth, 4", "smooth, 2", "kinks, 4", "kinks, 2"],
)
def test_adams_converges_with_its_order_and_to_the_solution_of_runge_kutta(
    schedule, departure, nodes, order, fewest
):
    clock = AngleClock(schedule, torch.ones(4).double())
    y, rate = torch.linspace(-1, 1, 8).double().view(2, 4), coupled_at(clock, departure)

    def velocity(state, y, rows):
        tangent = state.gamma.div(2).exp()
        x = tangent.atan() + SOFTENING * tangent.asinh()
        dx_dt = (state.alpha + SOFTENING) * state.sigma * state.d_gamma_dt / 2
        return (dx_dt * departure(y[0], x),)

    tight = {"method": "tsit5", "rtol": 1e-12, "atol": 1e-12}
    (exact,), _ = odeint_along(schedule, velocity, (y,), 0.0, 1.0, **tight)
    errors = []
    for steps in (fewest, 2 * fewest, 4 * fewest):
        (found,), counts = adams(rate, clock, (y,), size=largest, steps=steps, nodes=nodes)
        assert counts.tolist() == [steps + 1] * 2
        errors.append(float((found - exact).abs().max()))
    assert errors[-1] < 1e-3
    assert np.log2(errors[0] / errors[-1]) / 2 > order - 0.2


def test_two_nodes_bear_a_stiff_rate_that_four_do_not():
    clock = AngleClock(SMOOTH, torch.ones(4).double())

    def decaying(place, y, rows):
        return (-8 * y[0],)

    y, left = torch.ones(1, 4).double(), {}
    for nodes in (2, 4):
        (found,), _ = adams(decaying, clock, (y,), size=largest, steps=30, nodes=nodes)
        left[nodes] = float(found.abs().max())
    assert left[2] < 1e-2 and left[4] > 1


@pytest.mark.parametrize("schedule", [SMOOTH, COLUMNS], ids=["smooth", "kinks"])
def test_adams_integrates_over_clocks_that_start_and_stop_exactly(schedule):
    """A constant rate: one step over all kinks, however many."""
    clock = AngleClock(schedule, torch.full((4,), 2.0).double())
    rates = torch.tensor([1.0, -2.0, 3.0, 0.5], dtype=torch.float64)
    ends = clock.readings(torch.tensor([0.0, clock.length], dtype=torch.float64))
    for settings in ({"steps": 1}, {"tolerance": 1e-3}, {"tolerance": 1e-3, "nodes": 4}):
        (y,), _ = adams(
            lambda place, y, rows: (rates.expand_as(y[0]),),
            clock,
            (torch.zeros(3, 4).double(),),
            size=largest,
            **settings,
        )
        assert_close(y, (rates * (ends[1] - ends[0])).expand(3, -1), rtol=0, atol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("nodes", [2, 4])
def test_adaptive_adams_follows_its_tolerance_element_by_element(nodes):
    clock = AngleClock(SMOOTH, torch.ones(4).double())
    y = torch.cat([torch.zeros(1, 4), torch.linspace(-2, 2, 8).view(2, 4)]).double()
    rate = coupled_at(clock)
    (exact,), _ = adams(rate, clock, (y,), size=largest, steps=250, nodes=nodes)
    errors, evaluations = [], []
    for tolerance in (3e-2, 3e-3, 3e-4):
        (found,), counts = adams(rate, clock, (y,), size=largest, tolerance=tolerance, nodes=nodes)
        errors.append(float((found - exact).abs().max()))
        assert errors[-1] < 3 * tolerance
        evaluations.append(int(counts.max()))
        for i in range(len(y)):
            (alone,), count = adams(
                rate, clock, (y[i : i + 1],), size=largest, tolerance=tolerance, nodes=nodes
            )
            assert_close(alone[0], found[i], rtol=0, atol=1e-14)
            assert count[0] == counts[i]
    assert errors[2] < errors[1] / 3 < errors[0] / 9
    assert evaluations[2] < 6 * evaluations[0]


def test_adams_refuses_a_rate_that_is_not_finite():
    clock = AngleClock(SMOOTH, torch.ones(4).double())

    def rate(place, y, rows):
        return (y[0] / (place < clock.length / 2)[:, None],)

    with pytest.raises(InputError, match=r"not finite at t = 0\."):
        adams(rate, clock, (torch.ones(2, 4).double(),), size=largest, steps=10)


def test_places_of_a_clock_are_those_of_the_schedules_times():
    clock = AngleClock(COLUMNS, torch.ones(4).double())
    places = torch.linspace(0, clock.length, 50, dtype=torch.float64)
    times = clock.time(places)
    assert float(times[0]) == 0 and float(times[-1]) == 1 and (times.diff() > 0).all()
    assert_close(clock.state(places).gamma, COLUMNS.gamma(times))
    assert_close(COLUMNS(times).cosine(clock.variance), COLUMNS(times).alpha, rtol=1e-12, atol=0)


def test_the_few_components_that_an_ordering_leaves_for_the_end_have_steps_enough():
    """One of 64 components has the second half of the time."""
    columns = torch.ones(64, dtype=torch.int64)
    columns[0] = 0
    clock = AngleClock(column_schedule(columns, 0.5, -8.0, 8.0), torch.ones(64).double())
    places = torch.linspace(0, clock.length, 1001, dtype=torch.float64)
    late = float((clock.time(places) > 0.5).double().mean())
    assert 0.2 < late < 0.4
