"""Explicit Runge-Kutta methods with steps of its own for each element of a batch (App. B)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Bool, Float, Float64, Int64, Shaped
from torch import Tensor

from gud.diffusion.noising import NoisingState
from gud.diffusion.schedules import Schedule
from gud.diffusion.solvers.tableaus import TABLEAUS, Tableau
from gud.errors import InputError

Parts = tuple[Shaped[Tensor, "rows ..."], ...]
"""The parts of a state, with a common first axis and dtype; the error of each is controlled."""
Times = Float64[Tensor, " rows"]
Elements = Int64[Tensor, " rows"]
"""Which elements of the batch have not arrived yet."""
Counts = Int64[Tensor, " batch"]
Flat = Float[Tensor, "rows size"]

SAFETY, LEAST_FACTOR, LARGEST_FACTOR = 0.9, 0.2, 10.0
"""Of the step control of Hairer, Norsett and Wanner (1993), section II.4."""


def odeint(
    velocity: Callable[[Times, Parts, Elements], Parts],
    y: Parts,
    start: float,
    end: float,
    *,
    method: str,
    rtol: float,
    atol: float,
    steps: int | None = None,
) -> tuple[Parts, Counts]:
    """y(end) of dy/dt = velocity(t, y) from y at `start`, in either direction of time.

    Each element of the batch takes steps of its own and leaves the batch when it has arrived, so
    that its result depends on the others by rounding alone.

    Args:
        velocity: of the elements with the given numbers, smooth in t.
        method: "tsit5" or "dopri5" with adaptive steps, "rk4" with fixed ones.
        rtol, atol: a step errs by less than atol + rtol |y|, as root mean square over each part.
        steps: number of equal steps of a method with fixed ones.

    Returns:
        y(end), and how often the velocity of each element was evaluated.

    Raises:
        InputError: of an unknown method, of steps that a method lacks or chooses itself, of a
            velocity that is not finite, or if steps become too small to move.
    """
    if method not in TABLEAUS:
        raise InputError(f"the ODE's method is {method!r}, expected one of {', '.join(TABLEAUS)}")
    problem, tableau = _Problem(velocity, y, start, end, rtol, atol), TABLEAUS[method]
    if (tableau.error is None) != (steps is not None):
        wanted = "steps adaptively: steps must be None" if tableau.error else "needs steps"
        raise InputError(f"the ODE's method {method} {wanted}, not {steps}")
    if steps is None:
        found = _adaptive_steps(problem, tableau, _flat(y), start, end)
    else:
        found = _fixed_steps(problem, tableau, _flat(y), start, (end - start) / steps, steps)
    return problem.parts(found), problem.count


def odeint_along(
    path: Schedule,
    velocity: Callable[[NoisingState, Parts, Elements], Parts],
    y: Parts,
    start: float,
    end: float,
    **settings: Any,
) -> tuple[Parts, Counts]:
    """As `odeint`, along the noising states of a path, from kink to kink.

    Each piece of the path is integrated on its own, and smooth as far as a method may look: the
    velocity never jumps, and every method keeps its order.

    Args:
        velocity: of y in noising states (rows, components).
        settings: method, tolerances and steps (of each piece) for `odeint`.
    """
    total = torch.zeros(len(y[0]), dtype=torch.int64, device=y[0].device)
    for first, last, piece in path.pieces(start, end):

        def velocity_at(t: Times, y: Parts, rows: Elements, piece: Schedule = piece) -> Parts:
            return velocity(piece(t), y, rows)

        y, count = odeint(velocity_at, y, first, last, **settings)
        total += count
    return y, total


class _Problem:
    """The velocity and the size of errors, for states whose parts are joined in one row each."""

    def __init__(
        self,
        velocity: Callable[[Times, Parts, Elements], Parts],
        y: Parts,
        start: float,
        end: float,
        rtol: float,
        atol: float,
    ):
        self.velocity, self.rtol, self.atol = velocity, rtol, atol
        self.low, self.high = sorted((start, end))
        self.shapes = [part.shape[1:] for part in y]
        self.count = torch.zeros(len(y[0]), dtype=torch.int64, device=y[0].device)

    def parts(self, y: Flat) -> Parts:
        split = y.split([shape.numel() for shape in self.shapes], 1)
        return tuple(p.reshape(len(y), *s) for p, s in zip(split, self.shapes, strict=True))

    def __call__(self, t: Times, y: Flat, rows: Elements) -> Flat:
        # The guess of the first step may look past the end.
        t = t.clamp(self.low, self.high)
        self.count[rows] += 1
        dy = _flat(self.velocity(t, self.parts(y), rows))
        if not (finite := dy.isfinite().all(1)).all():
            time = t[~finite][0].item()
            raise InputError(f"the right-hand side of the ODE is not finite at t = {time:.4g}")
        return dy

    def norm(self, change: Flat, *y: Flat) -> Times:
        """The largest part of a change, where 1 is what the tolerances at y allow."""
        largest = torch.stack([part.abs() for part in y]).amax(0)
        relative = (change / (self.atol + self.rtol * largest)).double()
        return torch.stack([_rms(part) for part in self.parts(relative)]).amax(0)

    def first_step(self, tableau: Tableau, t: Times, y: Flat, dy: Flat, sign: float) -> Times:
        """A step whose error is about what the tolerances allow (Hairer et al., page 169)."""
        size, speed = self.norm(y, y), self.norm(dy, y)
        trivial = (size < 1e-5) | (speed < 1e-5)
        guess = torch.where(trivial, 1e-6, 0.01 * size / speed.clamp(min=1e-300))
        rows = torch.arange(len(y), device=y.device)
        ahead = self(t + sign * guess, y + _column(sign * guess, y) * dy, rows)
        bend = torch.maximum(self.norm(ahead - dy, y) / guess, speed)
        step = (0.01 / bend.clamp(min=1e-300)) ** (1 / tableau.order)
        step = torch.where(bend <= 1e-15, (1e-3 * guess).clamp(min=1e-6), step)
        return torch.minimum(100 * guess, step)


def _fixed_steps(
    problem: _Problem, tableau: Tableau, y: Flat, start: float, step: float, steps: int
) -> Flat:
    rows = torch.arange(len(y), device=y.device)
    h = torch.full((len(y),), step, dtype=torch.float64, device=y.device)
    for i in range(steps):
        t = start + i * h
        y, _, _ = _step(problem, tableau, t, h, y, problem(t, y, rows), rows)
    return y


def _adaptive_steps(problem: _Problem, tableau: Tableau, y: Flat, start: float, end: float) -> Flat:
    sign, result = (1.0 if end > start else -1.0), torch.empty_like(y)
    rows = torch.arange(len(y), device=y.device)
    t = torch.full((len(y),), start, dtype=torch.float64, device=y.device)
    dy = problem(t, y, rows)
    h = problem.first_step(tableau, t, y, dy, sign)
    while len(rows):
        last = h >= (end - t) * sign
        h = torch.where(last, (end - t) * sign, h)
        if not (last | (t + sign * h != t)).all():
            raise InputError(f"the steps of the ODE become too small at t = {t.min().item():.4g}")
        y_next, error, dy_next = _step(problem, tableau, t, sign * h, y, dy, rows)
        ratio = problem.norm(error, y, y_next)
        accepted = ratio <= 1
        t = torch.where(accepted, t + sign * h, t)
        y, dy = (torch.where(accepted[:, None], *pair) for pair in ((y_next, y), (dy_next, dy)))
        factor = SAFETY * ratio.clamp(min=1e-300) ** (-1 / tableau.order)
        least = torch.where(accepted, 1.0, LEAST_FACTOR)
        h = h * torch.minimum(torch.maximum(factor, least), factor.new_tensor(LARGEST_FACTOR))
        arrived = accepted & last
        result[rows[arrived]] = y[arrived]
        rows, t, h, y, dy = _without(arrived, rows, t, h, y, dy)
    return result


def _step(
    problem: _Problem, tableau: Tableau, t: Times, h: Times, y: Flat, dy: Flat, rows: Elements
) -> tuple[Flat, Flat, Flat]:
    """The state after a step, the estimate of its error, and the velocity at the last stage."""
    slopes, length = [dy], _column(h, y)
    for node, coefficients in zip(tableau.nodes[1:], tableau.stages, strict=True):
        slopes.append(problem(t + node * h, y + length * _sum(coefficients, slopes), rows))
    error = length * _sum(tableau.error or (), slopes)
    return y + length * _sum(tableau.weights, slopes), error, slopes[-1]


def _sum(weights: tuple[float, ...], slopes: list[Tensor]) -> Tensor:
    total = torch.zeros_like(slopes[0])
    for weight, slope in zip(weights, slopes, strict=False):
        if weight:
            total += weight * slope
    return total


def _without(arrived: Bool[Tensor, " rows"], *tensors: Tensor) -> tuple[Tensor, ...]:
    return tuple(tensor[~arrived] for tensor in tensors) if arrived.any() else tensors


def _flat(y: Parts) -> Flat:
    return torch.cat([part.reshape(len(part), -1) for part in y], 1)


def _column(values: Times, y: Flat) -> Float[Tensor, "rows 1"]:
    return values.to(y.dtype)[:, None]


def _rms(values: Float[Tensor, "rows ..."]) -> Times:
    return values.flatten(1).square().mean(1).sqrt() if values.ndim > 1 else values.abs()
