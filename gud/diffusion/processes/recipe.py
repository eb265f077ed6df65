"""The complete recipe of linear processes (Mandt et al. 2023, equation 6): D, Q and H."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gud.diffusion.noising import NoisingState
from gud.diffusion.processes.clock import MatchedClock
from gud.diffusion.processes.matrices import (
    Draws,
    Matrix,
    Rows,
    State,
    apply,
    cholesky,
    inverse_lower,
    linear,
    rows,
)
from gud.diffusion.processes.moments import moments, with_start
from gud.diffusion.processes.process import Process
from gud.diffusion.recipes import Entries, Matrices

ClockKind = Literal["snr", "own"]
Matching = Literal["hybrid", "denoising"]


class Recipe(Process):
    """dz = -(D + Q) H z dtau + sqrt(2 D) dw for each component, whose prior is N(0, H^-1).

    Every process with constant matrices and a Gaussian stationary law has this form, and every D
    and Q of these kinds give one: A = -(D + Q) H, B B^T = 2 D in equation 6 of the recipe with the
    Hamiltonian z^T H z / 2, where D and Q are constant, so that their derivatives are 0.

    Args:
        D, Q, H, start: see `Matrices`.
        clock: what the noising state says of tau: `snr`, the signal-to-noise ratio of the whole
            state of a component is exp(-gamma), as for Ornstein-Uhlenbeck; `own`, the process runs
            for as long as Ornstein-Uhlenbeck does there, tau = softplus(gamma).
        matching: what `example` conditions on: `hybrid` on the data alone, the auxiliary start
            marginalised; `denoising` on the drawn auxiliary start too, whose target has the same
            mean given z(t) and a larger variance.
        floor: what is added to the variances of z(t) given the data.

    Raises:
        InputError: as `Matrices`, or `clock` is `snr` and the ratio stands still.
    """

    def __init__(
        self,
        D: Entries,
        Q: Entries,
        H: Entries,
        start: Sequence[float] = (),
        *,
        clock: ClockKind = "own",
        matching: Matching = "hybrid",
        floor: float = 0.0,
    ) -> None:
        matrices = self.matrices = Matrices(D, Q, H, start)
        self.k = len(matrices.D)
        self.drift, self.prior = rows(matrices.drift), rows(matrices.prior)
        self.diffusion = rows(_lower_root(matrices.power))
        self.start, self.floor, self.matching = matrices.start, floor, matching
        self.draws = self.k if matching == "hybrid" else 2 * self.k - 1
        self.silent = int(np.flatnonzero(matrices.D.any(axis=0))[0])
        self._matched = MatchedClock(self) if clock == "snr" else None
        self._latest: tuple[NoisingState, Matrix, Matrix, Matrix] | None = None

    @property
    def power(self) -> Rows:
        return rows(self.matrices.power)

    def clock(self, state: NoisingState) -> Float[Tensor, "batch components"]:
        return state.tau if self._matched is None else self._matched.tau(state.gamma)

    def rate(self, state: NoisingState) -> Float[Tensor, "batch components"]:
        if self._matched is None:
            return state.beta
        return self._matched.d_tau_d_gamma(state.gamma) * state.d_gamma_dt

    def transition(self, state: NoisingState) -> Matrix:
        return self._kernel(state)[0]

    def factor(self, state: NoisingState) -> Matrix:
        return self._kernel(state)[1]

    def inverse_factor(self, state: NoisingState) -> Matrix:
        return inverse_lower(self.factor(state))

    def example(self, z0: State, state: NoisingState, draws: Draws) -> tuple[State, State]:
        if self.matching == "hybrid":
            return super().example(z0, state, draws)
        start, noise = draws.split([self.k - 1, self.k], 1)
        spread = rows(np.diag(np.sqrt(self.start)))
        z0 = torch.cat([z0[:, :1], z0[:, 1:] + linear(spread, start)], 1)
        transition, factor, covariance = self._kernel(state)
        given_start = cholesky(self._floored(covariance))
        dual = apply(inverse_lower(given_start).transpose(1, 2), noise)
        z = apply(transition, z0) + apply(given_start, noise)
        return z, apply(factor.transpose(1, 2), dual)

    def _kernel(self, state: NoisingState) -> tuple[Matrix, Matrix, Matrix]:
        """Transition, factor, and the covariance given all of z(0).

        Those of the latest state are kept, as callers want several.
        """
        if self._latest is None or self._latest[0] is not state:
            transition, noise = moments(self.drift, self.power, self.clock(state))
            covariance = with_start(transition, noise, self.start)
            factor = cholesky(self._floored(covariance))
            self._latest = state, transition, factor, noise
        return self._latest[1:]

    def _floored(self, covariance: Matrix) -> Matrix:
        floored = covariance.clone()
        for i in range(self.k):
            floored[:, i, i] += self.floor
        return floored


def _lower_root(matrix: np.ndarray) -> np.ndarray:
    """The lower triangular root of a positive semidefinite matrix."""
    values, vectors = np.linalg.eigh(matrix)
    root = vectors * np.sqrt(values.clip(0))
    if not (matrix - np.diag(np.diag(matrix))).any():
        return np.sqrt(np.diag(np.diag(matrix)))
    triangular: np.ndarray = np.linalg.qr(root.T)[1].T
    return triangular * np.where(np.diag(triangular) < 0, -1.0, 1.0)
