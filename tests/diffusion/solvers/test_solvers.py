import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from torch.testing import assert_close

from gud.diffusion.schedules.sequential import column_schedule
from gud.diffusion.solvers import odeint, odeint_along
from gud.diffusion.solvers.tableaus import DOPRI5, RK4, TABLEAUS, TSIT5
from gud.errors import InputError


def matrix(tableau) -> np.ndarray:
    stages = len(tableau.nodes)
    a = np.zeros((stages, stages))
    for i, row in enumerate(tableau.stages, start=1):
        a[i, :i] = row
    return a


def trees(order: int) -> list:
    """Rooted trees as tuples of subtrees."""
    if order == 1:
        return [()]
    found = set()
    for parts in partitions(order - 1):
        for children in itertools.product(*(trees(part) for part in parts)):
            found.add(tuple(sorted(children)))
    return sorted(found)


def partitions(n: int, largest: int | None = None):
    if n == 0:
        yield ()
    for part in range(min(n, largest or n), 0, -1):
        for rest in partitions(n - part, part):
            yield (part, *rest)


def order_residual(weights: np.ndarray, a: np.ndarray, order: int, theta: float = 1.0) -> float:
    """Largest violation of Butcher's conditions sum_i b_i Phi_i(tree) = theta^|tree| / tree!."""

    def size(tree):
        return 1 + sum(map(size, tree))

    def factorial(tree):
        return size(tree) * int(np.prod([factorial(child) for child in tree], dtype=int))

    def elementary(tree):
        return np.prod([a @ elementary(child) for child in tree], axis=0) * np.ones(len(a))

    return max(
        abs(weights @ elementary(tree) - theta ** size(tree) / factorial(tree))
        for n in range(1, order + 1)
        for tree in trees(n)
    )


def test_there_are_17_rooted_trees_of_up_to_5_vertices():
    assert [len(trees(n)) for n in range(1, 6)] == [1, 1, 2, 4, 9]


@pytest.mark.parametrize("tableau", [RK4, DOPRI5, TSIT5], ids=TABLEAUS)
def test_runge_kutta_methods_satisfy_the_conditions_of_their_order_and_no_more(tableau):
    a, weights = matrix(tableau), np.array(tableau.weights)
    np.testing.assert_allclose(a.sum(1), tableau.nodes, atol=1e-14)
    assert order_residual(weights, a, tableau.order) < 1e-13
    assert order_residual(weights, a, tableau.order + 1) > 1e-5
    if tableau.error is not None:
        embedded = weights - np.array(tableau.error)
        assert order_residual(embedded, a, tableau.order - 1) < 1e-13
        assert order_residual(embedded, a, tableau.order) > 1e-5
        np.testing.assert_array_equal(a[-1], weights)


def pendulum(t, y):
    force = 0.3 * torch.cos(2 * t)
    return torch.stack([y[..., 1], -y[..., 0].sin() + force], -1)


def pendulums(t, y, rows):
    return (pendulum(t, y[0]),)


START = torch.tensor([[1.0, 0.2], [2.5, 0.0], [0.1, -3.0]], dtype=torch.float64)


@pytest.fixture(scope="module")
def reference():
    """By SciPy."""

    def velocity(t, y):
        return pendulum(torch.tensor(t), torch.from_numpy(y).view_as(START)).flatten().numpy()

    start = START.flatten().numpy()
    end = solve_ivp(velocity, (0, 2), start, method="DOP853", rtol=1e-13, atol=1e-13).y[:, -1]
    return torch.from_numpy(end).view_as(START)


@pytest.mark.parametrize("name", TABLEAUS)
def test_runge_kutta_methods_converge_with_their_order(name, reference, monkeypatch):
    tableau = TABLEAUS[name]
    monkeypatch.setitem(TABLEAUS, "fixed", replace(tableau, error=None))
    settings = {"method": "fixed", "rtol": 1.0, "atol": 1.0}
    errors = []
    for steps in (8, 16, 32):
        (y,), count = odeint(pendulums, (START,), 0.0, 2.0, steps=steps, **settings)
        assert (count == steps * len(tableau.nodes)).all()
        errors.append(float((y - reference).norm()))
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    assert orders.min() > tableau.order - 0.5


@pytest.mark.parametrize("method", ["tsit5", "dopri5"])
@pytest.mark.parametrize("tolerance", [1e-4, 1e-7, 1e-10])
def test_adaptive_steps_meet_their_tolerance(method, tolerance, reference):
    settings = {"method": method, "rtol": tolerance, "atol": tolerance}
    (y,), _ = odeint(pendulums, (START,), 0.0, 2.0, **settings)
    assert (y - reference).abs().max() < 10 * tolerance


def test_an_element_takes_its_own_steps_whatever_its_batch():
    settings = {"method": "tsit5", "rtol": 1e-6, "atol": 1e-6}
    (together,), counts = odeint(pendulums, (START,), 0.0, 2.0, **settings)
    assert len(counts.unique()) > 1
    for i in range(len(START)):
        (alone,), count = odeint(pendulums, (START[i : i + 1],), 0.0, 2.0, **settings)
        assert_close(alone[0], together[i], rtol=0, atol=1e-15)
        assert count[0] == counts[i]


def test_the_velocity_is_told_which_elements_are_in_work():
    seen, rates = [], torch.tensor([1.0, 30.0], dtype=torch.float64)

    def velocity(t, y, rows):
        seen.append(rows.tolist())
        return (-rates[rows] * y[0],)

    settings = {"method": "tsit5", "rtol": 1e-6, "atol": 1e-6}
    (y,), counts = odeint(velocity, (torch.ones_like(rates),), 0.0, 1.0, **settings)
    assert_close(y, (-rates).exp(), rtol=0, atol=1e-5)
    assert counts.tolist() == [sum(i in rows for rows in seen) for i in range(2)]
    assert [1] in seen and [0] not in seen


@pytest.mark.parametrize(("method", "steps"), [("tsit5", None), ("dopri5", None), ("rk4", 10)])
def test_backward_undoes_forward(method, steps):
    def velocity(t, y, rows):
        return (pendulum(t, y[0]), y[1])

    settings = {"method": method, "rtol": 1e-8, "atol": 1e-8, "steps": steps}
    end, _ = odeint(velocity, (START, torch.ones(3).double()), 0.0, 1.0, **settings)
    back, _ = odeint(velocity, end, 1.0, 0.0, **settings)
    assert end[1].tolist() == pytest.approx([np.e] * 3, rel=1e-4)
    assert (back[0] - START).abs().max() < 1e-4


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("method", "steps"), [("tsit5", None), ("dopri5", None), ("rk4", 1)])
def test_velocities_that_jump_are_integrated_exactly_from_kink_to_kink(method, steps, dtype):
    """dy/dt = the rate of each component: constant on every piece, where every method is exact."""
    schedule = column_schedule(torch.arange(4), 0.7, 0.0, 1.0)
    assert len(schedule.kinks) == 6
    settings = {"method": method, "rtol": 1e-6, "atol": 1e-6, "steps": steps}

    def velocity(state, y, rows):
        return (state.d_gamma_dt.to(y[0]),)

    start = torch.zeros(2, 4, dtype=dtype)
    (end,), _ = odeint_along(schedule, velocity, (start,), 0.0, 1.0, **settings)
    rounding = 20 * torch.finfo(dtype).eps
    assert (end - 1).abs().max() < rounding
    (back,), _ = odeint_along(schedule, velocity, (end,), 1.0, 0.4, **settings)
    expected = schedule.gamma(torch.tensor([0.4], dtype=torch.float64))
    assert (back - expected).abs().max() < rounding


def test_fixed_step_method_takes_exactly_its_steps_in_each_piece():
    schedule = column_schedule(torch.arange(2), 0.3, -7.0, 4.0)
    settings = {"method": "rk4", "rtol": 1.0, "atol": 1.0, "steps": 7}
    _, counts = odeint_along(
        schedule, lambda state, y, rows: (-y[0],), (START,), 0.0, 1.0, **settings
    )
    assert counts.tolist() == [3 * 7 * 4] * 3


def test_a_velocity_that_is_not_finite_is_refused_with_its_time():
    def velocity(t, y, rows):
        return (torch.where(t < 0.5, y[0], torch.inf),)

    with pytest.raises(InputError, match=r"not finite at t = 0\.[5-9]"):
        odeint(velocity, (torch.ones(3),), 0.0, 1.0, method="tsit5", rtol=1e-3, atol=1e-3)


def test_steps_that_become_too_small_are_refused():
    def velocity(t, y, rows):
        return (y[0] ** 2,)

    with pytest.raises(InputError, match=r"(too small|not finite) at t = (0\.5|0\.49999|1)"):
        odeint(
            velocity, (torch.ones(1).double() * 2,), 0.0, 1.0, method="tsit5", rtol=1e-6, atol=1e-6
        )


@pytest.mark.parametrize("method", ["tsit5", "dopri5"])
@pytest.mark.parametrize(("start", "end"), [(0.0, 1.0), (1.0, 0.0)])
def test_the_velocity_is_evaluated_in_the_interval_alone(method, start, end):
    seen = []

    def slow(t, y, rows):
        seen.extend(t.tolist())
        return (1e-9 * y[0],)

    odeint(slow, (torch.ones(1).double(),), start, end, method=method, rtol=1e-3, atol=1e-3)
    assert seen and min(seen) >= 0 and max(seen) <= 1


@pytest.mark.parametrize(
    ("method", "steps", "reason"),
    [
        ("rk4", None, "rk4 needs steps, not None"),
        ("tsit5", 8, "tsit5 steps adaptively: steps must be None, not 8"),
        ("euler", 8, "'euler', expected one of rk4, dopri5, tsit5"),
    ],
)
def test_a_method_that_does_not_fit_its_steps_is_refused(method, steps, reason):
    with pytest.raises(InputError, match=reason):
        odeint(
            lambda t, y, rows: y,
            (torch.ones(1),),
            0.0,
            1.0,
            method=method,
            rtol=1e-3,
            atol=1e-3,
            steps=steps,
        )
