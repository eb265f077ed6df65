import itertools

import numpy as np
import pytest
import torch
import torchdiffeq

from gud.errors import InputError
from gud.solvers import Tsit5, odeint


def tableau() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    stages = len(Tsit5.tableau.alpha) + 1
    a = np.zeros((stages, stages))
    for i, row in enumerate(Tsit5.tableau.beta, start=1):
        a[i, :i] = row.numpy()
    c = np.concatenate([[0], Tsit5.tableau.alpha.numpy()])
    return a, c, Tsit5.tableau.c_sol.numpy(), Tsit5.tableau.c_error.numpy()


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


def test_tsit5_satisfies_all_order_conditions():
    a, c, weights, error = tableau()
    np.testing.assert_allclose(a.sum(1), c, atol=1e-14)
    assert order_residual(weights, a, 5) < 1e-13
    assert order_residual(weights, a, 6) > 1e-5
    assert order_residual(weights - error, a, 4) < 1e-13
    assert order_residual(weights - error, a, 5) > 1e-5
    assert order_residual(Tsit5.mid.numpy(), a, 4, theta=0.5) < 1e-13
    np.testing.assert_array_equal(a[-1], weights)


def pendulum(t, y):
    return torch.stack([y[1], -y[0].sin() + 0.3 * torch.cos(2 * t)])


START = torch.tensor([1.0, 0.2], dtype=torch.float64)


@pytest.fixture(scope="module")
def reference():
    return odeint(pendulum, START, [0.0, 2.0], method="dopri8", rtol=1e-13, atol=1e-13)


def fixed_step_error(steps: int, reference) -> float:
    """With tolerances that accept every step and a step that never grows."""
    times = torch.linspace(0, 2, steps + 1, dtype=torch.float64)
    options = {"first_step": 2 / steps, "ifactor": 1.0, "step_t": times[1:]}
    y = torchdiffeq.odeint(
        pendulum, START, times[[0, -1]], method="tsit5", rtol=1e9, atol=1e9, options=options
    )
    return float((y[-1] - reference).norm())


def test_tsit5_converges_with_order_5(reference):
    errors = [fixed_step_error(steps, reference) for steps in (20, 40, 80)]
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    assert 4.9 < orders[1] < orders[0] < 5.7


@pytest.mark.parametrize("tolerance", [1e-4, 1e-7, 1e-10])
def test_adaptive_tsit5_meets_its_tolerance(tolerance, reference):
    y = odeint(pendulum, START, [0.0, 2.0], method="tsit5", rtol=tolerance, atol=tolerance)
    assert (y - reference).abs().max() < 10 * tolerance


@pytest.mark.parametrize(("method", "steps"), [("tsit5", None), ("dopri5", None), ("rk4", 10)])
def test_backward_undoes_forward_and_time_stays_inside_the_interval(method, steps):
    times = []

    def velocity(t, y):
        times.append(float(t))
        return (pendulum(t, y[0]), y[1])

    settings = {"method": method, "rtol": 1e-8, "atol": 1e-8, "steps": steps}
    y = (START, torch.ones(1, dtype=torch.float64))
    end = odeint(velocity, y, [0.0, 0.3, 1.0], **settings)
    back = odeint(velocity, end, [1.0, 0.3, 0.0], **settings)
    assert float(end[1]) == pytest.approx(np.e, rel=1e-4)
    assert (back[0] - START).abs().max() < 1e-4
    assert 0 < min(times) < 1e-9
    assert 1 - 1e-9 < max(times) < 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("at_jump", [0.0, 1e6])
@pytest.mark.parametrize(("method", "steps"), [("tsit5", None), ("dopri5", None), ("rk4", 1)])
def test_the_value_of_a_velocity_at_its_jumps_does_not_matter(method, steps, at_jump, dtype):
    """dy/dt = 1, 3, 2 on three intervals; every method is exact for each of them."""
    times = [0.0, 0.3, 0.7, 1.0]

    def velocity(t, y):
        if float(t) in times:
            return torch.full_like(y, at_jump)
        return torch.full_like(y, 1.0 if t < 0.3 else 3.0 if t < 0.7 else 2.0)

    start = torch.zeros(1, dtype=dtype)
    settings = {"method": method, "rtol": 1e-6, "atol": 1e-6, "steps": steps}
    end = odeint(velocity, start, times, **settings)
    assert float(end) == pytest.approx(2.1, abs=1e-5)
    assert float(odeint(velocity, end, times[::-1], **settings)) == pytest.approx(0, abs=1e-5)


def test_fixed_step_method_takes_exactly_its_steps_in_each_interval():
    calls = 0

    def velocity(t, y):
        nonlocal calls
        calls += 1
        return -y

    odeint(velocity, START, [0.0, 0.3, 1.0], method="rk4", rtol=1.0, atol=1.0, steps=7)
    assert calls == 2 * 7 * 4


def test_a_velocity_that_is_not_finite_is_refused_with_its_time():
    def velocity(t, y):
        return y if t < 0.5 else y / 0

    with pytest.raises(InputError, match=r"not finite at t = 0\.[5-9]"):
        odeint(velocity, torch.ones(3), [0.0, 1.0], method="tsit5", rtol=1e-3, atol=1e-3)
