"""Butcher tableaus of explicit Runge-Kutta methods."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tableau:
    """An explicit Runge-Kutta method.

    Args:
        nodes: c_i of the stages, as fractions of a step.
        stages: a_ij, j < i, of each stage after the first.
        weights: b_i.
        error: b_i less the weights of the embedded method; None if it has none. With it, the last
            stage must be the first of the next step.
        order: of the method with the weights b.
    """

    nodes: tuple[float, ...]
    stages: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]
    error: tuple[float, ...] | None
    order: int


RK4 = Tableau(
    nodes=(0.0, 1 / 2, 1 / 2, 1.0),
    stages=((1 / 2,), (0.0, 1 / 2), (0.0, 0.0, 1.0)),
    weights=(1 / 6, 1 / 3, 1 / 3, 1 / 6),
    error=None,
    order=4,
)
"""The classical method of Kutta."""

DOPRI5 = Tableau(
    nodes=(0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0),
    stages=(
        (1 / 5,),
        (3 / 40, 9 / 40),
        (44 / 45, -56 / 15, 32 / 9),
        (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
        (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
        (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
    ),
    weights=(35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84, 0.0),
    error=(71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40),
    order=5,
)
"""Dormand and Prince, Journal of Computational and Applied Mathematics 6 (1980) 19."""

_TSIT5_WEIGHTS = (
    0.09646076681806523,
    0.01,
    0.4798896504144996,
    1.379008574103742,
    -3.290069515436081,
    2.324710524099774,
)

TSIT5 = Tableau(
    nodes=(0.0, 0.161, 0.327, 0.9, 0.9800255409045097, 1.0, 1.0),
    stages=(
        (0.161,),
        (-0.008480655492356989, 0.335480655492357),
        (2.8971530571054935, -6.359448489975075, 4.3622954328695815),
        (5.325864828439257, -11.748883564062828, 7.4955393428898365, -0.09249506636175525),
        (
            5.86145544294642,
            -12.92096931784711,
            8.159367898576159,
            -0.071584973281401,
            -0.028269050394068383,
        ),
        _TSIT5_WEIGHTS,
    ),
    weights=(*_TSIT5_WEIGHTS, 0.0),
    error=(
        0.00178001105222577714,
        0.0008164344596567469,
        -0.007880878010261995,
        0.1447110071732629,
        -0.5823571654525552,
        0.45808210592918697,
        -1 / 66,
    ),
    order=5,
)
"""Tsitouras, Computers & Mathematics with Applications 62 (2011) 770 (App. B)."""

TABLEAUS = {"rk4": RK4, "dopri5": DOPRI5, "tsit5": TSIT5}
