"""Adams' method for flows whose components have clocks of their own: one evaluation a step."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from gud.diffusion.solvers.clocks import AngleClock
from gud.diffusion.solvers.runge_kutta import Counts, Elements, Parts, Times, _without
from gud.errors import InputError

PANELS = 8
"""Pieces of a step on each of which a clock is taken to run evenly."""
FAR = 1e9
"""Where nodes before the first one lie: too far away to have a weight."""
FIRST, SAFETY, LEAST_FACTOR, LARGEST_FACTOR = 1 / 64, 0.9, 0.3, 2.0
"""The first step as part of the path, and the step control."""


def adams(
    rate: Callable[[Times, Parts, Elements], Parts],
    clock: AngleClock,
    y: Parts,
    *,
    size: Callable[[Parts], Times],
    tolerance: float | None = None,
    steps: int | None = None,
    nodes: int = 2,
) -> tuple[Parts, Counts]:
    """y at t = 1 of dy_i / dx_i = rate_i(y), x_i the reading of the clock of component i.

    The rate is interpolated through the last nodes to predict y at the end of a step, and through
    these and the predicted one to correct it, each component with the integrals of the polynomials
    over its own clock. A clock that starts or stops within a step is thus integrated exactly. The
    rate is not evaluated again (PEC mode), so that the prediction is what decides where rates are
    taken. The order is one more than the nodes; 2 across kinks, where rates bend, and at most 3
    from a start where the rate is not small, since the first steps have fewer nodes.

    Each element of the batch takes steps of its own and leaves the batch when it has arrived.

    Args:
        rate: given places on the path, states and the numbers of the elements.
        y: at t = 0, parts of shape (batch, ..., components).
        size: of a change of y, for each element.
        tolerance: largest size of prediction minus correction in an adaptive step.
        steps: number of steps of equal length, in place of adaptive ones.
        nodes: through which rates are predicted. Two, of order 3, bear rates that depend on y
            strongly; four, which are more precise, do not.

    Returns:
        y at t = 1, and how often the rate of each element was evaluated.

    Raises:
        InputError: if a rate is not finite, or steps become too small.
    """
    length, device = clock.length, y[0].device
    count = torch.zeros(len(y[0]), dtype=torch.int64, device=device)

    def evaluate(place: Times, y: Parts, rows: Elements) -> Parts:
        count[rows] += 1
        found = rate(place, y, rows)
        finite = torch.stack([part.flatten(1).isfinite().all(1) for part in found]).all(0)
        if not finite.all():
            time = clock.time(place[~finite])[0].item()
            raise InputError(f"the right-hand side of the ODE is not finite at t = {time:.4g}")
        return found

    rows = torch.arange(len(count), device=device)
    place = torch.zeros(len(count), dtype=torch.float64, device=device)
    step = torch.full_like(place, length / steps if steps else length * FIRST)
    known = place[:, None] + FAR * length * torch.arange(1 - nodes, 1, device=device)
    rates = [evaluate(place, y, rows)]
    rates = [tuple(map(torch.zeros_like, rates[0]))] * (nodes - 1) + rates
    result = tuple(map(torch.empty_like, y))
    while len(rows):
        left = length - place
        last = step * (1 + 1e-9) >= left
        step = torch.where(last, left, torch.minimum(step, left / 2) if not steps else step)
        if not (last | (step > 1e-12 * length)).all():
            time = clock.time(place.min()).item()
            raise InputError(f"the steps of the ODE become too small at t = {time:.4g}")
        place_ahead = torch.where(last, length, place + step)
        edges, run = _panels(clock, place, place_ahead)
        guess = _advance(y, _weights(known, edges, run), rates)
        known_ahead = torch.cat([known, place_ahead[:, None]], 1)
        rates_ahead = [*rates, evaluate(place_ahead, guess, rows)]
        y_next = _advance(y, _weights(known_ahead, edges, run), rates_ahead)
        accepted, factor = torch.ones_like(last), torch.ones_like(step)
        if tolerance is not None and not steps:
            error = size(tuple(a - b for a, b in zip(y_next, guess, strict=True))) / tolerance
            accepted = error <= 1
            order = (known >= 0).sum(1) + 1
            factor = SAFETY * error.clamp(min=1e-300) ** (-1 / order)
        place = torch.where(accepted, place_ahead, place)
        known = torch.where(accepted[:, None], known_ahead[:, 1:], known)
        y = _choose(accepted, y_next, y)
        rates = [_choose(accepted, *pair) for pair in zip(rates_ahead[1:], rates, strict=True)]
        step = step * factor.clamp(LEAST_FACTOR, LARGEST_FACTOR)
        arrived = accepted & last
        for whole, part in zip(result, y, strict=True):
            whole[rows[arrived]] = part[arrived]
        rows, place, known, step = _without(arrived, rows, place, known, step)
        y, rates = _without(arrived, *y), [_without(arrived, *parts) for parts in rates]
    return result, count


def _panels(
    clock: AngleClock, start: Times, end: Times
) -> tuple[Float64[Tensor, "rows edges"], Float64[Tensor, "rows panels components"]]:
    """The edges of the panels of a step, and how far each clock runs in each of them."""
    fractions = torch.linspace(0, 1, PANELS + 1, dtype=start.dtype, device=start.device)
    edges = torch.lerp(start[:, None], end[:, None], fractions)
    return edges, clock.readings(edges).diff(dim=1)


def _weights(
    nodes: Float64[Tensor, "rows nodes"],
    edges: Float64[Tensor, "rows edges"],
    run: Float64[Tensor, "rows panels components"],
) -> Float64[Tensor, "rows nodes components"]:
    """Integrals over each clock of the polynomials that are 1 at one node and 0 at the others."""
    start, end = edges[:, :-1], edges[:, 1:]
    values = [_polynomials(nodes, x) for x in (start, (start + end) / 2, end)]
    return (values[0] + 4 * values[1] + values[2]) / 6 @ run


def _polynomials(
    nodes: Float64[Tensor, "rows nodes"], x: Float64[Tensor, "rows panels"]
) -> Float64[Tensor, "rows nodes panels"]:
    found = []
    for i in range(nodes.shape[1]):
        others = [j for j in range(nodes.shape[1]) if j != i]
        factors = [(x - nodes[:, j, None]) / (nodes[:, i] - nodes[:, j])[:, None] for j in others]
        found.append(torch.stack(factors).prod(0))
    return torch.stack(found, 1)


def _advance(
    y: Parts, weights: Float64[Tensor, "rows nodes components"], rates: list[Parts]
) -> Parts:
    result = []
    for part, *slopes in zip(y, *rates, strict=True):
        shape = (len(part), *[1] * (part.ndim - 2), part.shape[-1])
        change = sum(
            w.reshape(shape).to(part) * f for w, f in zip(weights.unbind(1), slopes, strict=True)
        )
        result.append(part + change)
    return tuple(result)


def _choose(accepted: Bool[Tensor, " rows"], new: Parts, old: Parts) -> Parts:
    return tuple(
        torch.where(accepted.view(-1, *[1] * (a.ndim - 1)), a, b)
        for a, b in zip(new, old, strict=True)
    )
