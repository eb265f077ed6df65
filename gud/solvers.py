"""Solvers of ordinary differential equations: those of torchdiffeq and Tsitouras 5/4 (App. B)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, TypeVar, cast

import torch
import torchdiffeq
from torch import Tensor
from torchdiffeq._impl.odeint import SOLVERS
from torchdiffeq._impl.rk_common import RKAdaptiveStepsizeODESolver, _ButcherTableau

from gud.errors import InputError

Y = TypeVar("Y", bound=Tensor | tuple[Tensor, ...])
INSIDE = 1e-12
"""Distance from its ends, as part of an interval, up to which velocities are evaluated."""


def _row(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


_WEIGHTS = (
    0.09646076681806523,
    0.01,
    0.4798896504144996,
    1.379008574103742,
    -3.290069515436081,
    2.324710524099774,
)


class Tsit5(RKAdaptiveStepsizeODESolver):
    """The method of Tsitouras, Computers & Mathematics with Applications 62 (2011) 770.

    Order 5, with an embedded method of order 4 and the first stage equal to the last of the step
    before. `mid` are the weights of the paper's order-4 interpolant halfway through a step.
    """

    order = 5
    tableau = _ButcherTableau(
        alpha=_row(0.161, 0.327, 0.9, 0.9800255409045097, 1.0, 1.0),
        beta=[
            _row(0.161),
            _row(-0.008480655492356989, 0.335480655492357),
            _row(2.8971530571054935, -6.359448489975075, 4.3622954328695815),
            _row(5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525),
            _row(
                5.86145544294642,
                -12.92096931784711,
                8.159367898576159,
                -0.071584973281401,
                -0.028269050394068383,
            ),
            _row(*_WEIGHTS),
        ],
        c_sol=_row(*_WEIGHTS, 0.0),
        c_error=_row(
            0.00178001105222577714,
            0.0008164344596567469,
            -0.007880878010261995,
            0.1447110071732629,
            -0.5823571654525552,
            0.45808210592918697,
            -1 / 66,
        ),
    )
    mid = _row(
        0.10741235230096871,
        0.01135625,
        0.39560903056045305,
        -0.34475214352593553,
        1.3161853649581645,
        -1.0170608542936508,
        0.03125,
    )

    def _advance(self, next_t: Tensor) -> Tensor:
        """The solution at next_t, free of the interpolant's rounding where a step ends there."""
        y = super()._advance(next_t)
        return self.rk_state.y1 if next_t == self.rk_state.t1 else y


SOLVERS.setdefault("tsit5", Tsit5)


def odeint(
    velocity: Callable[[Tensor, Y], Y],
    y: Y,
    times: Sequence[float],
    *,
    method: str,
    rtol: float,
    atol: float,
    steps: int | None = None,
) -> Y:
    """Integrate dy/dt = velocity(t, y) over `times` and return y at the last of them.

    Every interval is integrated on its own and ends exactly at its last time. The velocity is only
    evaluated strictly inside, so that `times` may name its jumps: on either side of a jump it is
    the one-sided limit that counts, in both directions of time.

    Args:
        velocity: of y, a tensor or a tuple of tensors; t is a scalar tensor, float64.
        times: at least two, increasing or decreasing.
        method: an adaptive method of torchdiffeq or "tsit5"; with `steps`, one of its fixed-step
            methods.
        steps: number of equal steps in each interval.

    Raises:
        InputError: if the velocity is not finite.
    """
    for start, end in pairwise(times):
        y = _interval(velocity, y, start, end, steps, method=method, rtol=rtol, atol=atol)
    return y


def _interval(
    velocity: Callable[[Tensor, Y], Y],
    y: Y,
    start: float,
    end: float,
    steps: int | None,
    **settings: Any,
) -> Y:
    device = (y[0] if isinstance(y, tuple) else y).device
    low, high = sorted((start + INSIDE * (end - start), end - INSIDE * (end - start)))
    grid = torch.linspace(start, end, (steps or 1) + 1, dtype=torch.float64, device=device)

    def inside(t: Tensor, y: Y) -> Y:
        t = t.double().clamp(low, high)
        dy = velocity(t, y)
        if not all(v.isfinite().all() for v in (dy if isinstance(dy, tuple) else (dy,))):
            raise InputError(f"the right-hand side of the ODE is not finite at t = {t.item():.4g}")
        return dy

    options = {"grid_constructor": lambda *_: grid} if steps else {"step_t": grid[1:]}
    solution = torchdiffeq.odeint(inside, y, grid[[0, -1]], options=options, **settings)
    return cast(Y, tuple(v[-1] for v in solution) if isinstance(y, tuple) else solution[-1])
