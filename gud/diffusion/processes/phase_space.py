"""Processes in phase space: position and momentum, and one with a third variable.

From Mandt et al. 2023, Dockhorn et al. 2022 and Mou et al. 2021.
"""

from __future__ import annotations

from gud.diffusion.processes.recipe import ClockKind, Matching, Recipe
from gud.diffusion.recipes import phase_space, third_order

FLOOR = 1e-9
"""Of the variances of position and momentum given the data, as published."""


class PhaseSpaceLangevin(Recipe):
    """PSLD: position and momentum, noise on both, critically damped.

    D = diag(Gamma, M nu) / 2, Q = ((0, -1), (1, 0)) / 2, H = diag(1, 1 / M), that is

        dx = (-Gamma x + m / M) dtau / 2 + sqrt(Gamma) dw,
        dm = (-x - nu m) dtau / 2 + sqrt(M nu) dw,

    with M = 4 / (nu - Gamma)^2, at which damping is critical; the momentum starts at
    N(0, kappa M).

    Args:
        Gamma, nu: friction of position and momentum.
        kappa: variance of the momentum at t = 0 in units of M.
        clock, matching: see `Recipe`.
    """

    def __init__(
        self,
        Gamma: float,
        nu: float,
        kappa: float,
        *,
        clock: ClockKind = "own",
        matching: Matching = "hybrid",
    ) -> None:
        super().__init__(
            *phase_space(Gamma, nu, kappa), clock=clock, matching=matching, floor=FLOOR
        )


class CriticallyDampedLangevin(PhaseSpaceLangevin):
    """CLD: PSLD with Gamma = 0, whose noise enters through the momentum alone."""

    def __init__(
        self, nu: float, kappa: float, *, clock: ClockKind = "own", matching: Matching = "hybrid"
    ) -> None:
        super().__init__(0.0, nu, kappa, clock=clock, matching=matching)


class ThirdOrderLangevin(Recipe):
    """Position, momentum and acceleration, of which the last alone has noise; critically damped.

    H = 1, D = diag(0, 0, xi) / 2 and Q couples neighbours with 1 and gamma: all three eigenvalues
    of the drift are -sqrt(3) / 2 at xi = 3 sqrt(3), gamma = 2 sqrt(2).

    Args:
        kappa: variance of momentum and acceleration at t = 0.
        clock, matching: see `Recipe`.
    """

    def __init__(
        self, kappa: float, *, clock: ClockKind = "own", matching: Matching = "hybrid"
    ) -> None:
        super().__init__(*third_order(kappa), clock=clock, matching=matching)
