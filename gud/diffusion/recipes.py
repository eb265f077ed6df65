"""The matrices of recipes and what they must be; without torch, so that a preset is refused early.

Those with a name are of Mandt et al. 2023, Dockhorn et al. 2022 and Mou et al. 2021.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gud.errors import InputError

Entries = Sequence[Sequence[float]]
"""Of a matrix, row by row."""
Chosen = tuple[Entries, Entries, Entries, Sequence[float]]
"""D, Q, H and the start of `Matrices`."""
TOLERANCE = 1e-10
"""Relative size of an eigenvalue, or of a difference, that is rounding alone."""


class Matrices:
    """Those of dz = -(D + Q) H z dtau + sqrt(2 D) dw, whose stationary law is N(0, H^-1).

    Args:
        D: diffusion, shape (k, k), symmetric positive semidefinite.
        Q: curl, shape (k, k), skew-symmetric.
        H: of the Hamiltonian z^T H z / 2, shape (k, k), symmetric positive definite.
        start: variances of the auxiliary variables at t = 0, shape (k - 1,).

    Attributes:
        drift: A = -(D + Q) H.
        power: B B^T = 2 D.
        prior: H^-1.

    Raises:
        InputError: a matrix is not of its kind, or the process does not forget its start.
    """

    def __init__(self, D: Entries, Q: Entries, H: Entries, start: Sequence[float] = ()) -> None:
        self.D, self.Q, self.H = (np.array(matrix, dtype=float) for matrix in (D, Q, H))
        self.start = tuple(start)
        _check(self.D, self.Q, self.H, self.start)
        self.drift = -(self.D + self.Q) @ self.H
        self.power = 2 * self.D
        self.prior = np.linalg.inv(self.H)
        _check_stationary(self)


def phase_space(Gamma: float, nu: float, kappa: float) -> Chosen:
    """Position and momentum, noise on both; see `PhaseSpaceLangevin`.

    Raises:
        InputError: no mass makes damping critical.
    """
    if not 0 <= Gamma < nu:
        raise InputError(
            f"Gamma = {Gamma:g} and nu = {nu:g} must satisfy 0 <= Gamma < nu: the mass "
            "M = 4 / (nu - Gamma)^2 makes damping critical"
        )
    mass = 4 / (nu - Gamma) ** 2
    return (
        ((Gamma / 2, 0.0), (0.0, mass * nu / 2)),
        ((0.0, -0.5), (0.5, 0.0)),
        ((1.0, 0.0), (0.0, 1 / mass)),
        (kappa * mass,),
    )


def third_order(kappa: float) -> Chosen:
    """Position, momentum and acceleration; see `ThirdOrderLangevin`."""
    xi, gamma = 3 * math.sqrt(3), 2 * math.sqrt(2)
    return (
        ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0, xi / 2)),
        ((0.0, -0.5, 0.0), (0.5, 0.0, -gamma / 2), (0.0, gamma / 2, 0.0)),
        ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
        (kappa, kappa),
    )


def _check(D: np.ndarray, Q: np.ndarray, H: np.ndarray, start: Sequence[float]) -> None:
    """`InputError` unless the matrices are of one size and of their kinds."""
    k = len(D)
    for name, matrix in {"D": D, "Q": Q, "H": H}.items():
        if k == 0 or matrix.shape != (k, k):
            raise InputError(
                f"{name} has shape {matrix.shape}, expected a square matrix of the size of D, {k}"
            )
        if not np.isfinite(matrix).all():
            raise InputError(f"{name} holds values that are not finite")
    for name, matrix in {"D": D, "H": H}.items():
        _check_equal(matrix, matrix.T, f"{name} must be symmetric")
        _check_eigenvalues(name, matrix, definite=name == "H")
    _check_equal(Q, -Q.T, "Q must be skew-symmetric")
    if len(start) != k - 1 or any(variance < 0 for variance in start):
        raise InputError(
            f"start = {list(start)} must be the {k - 1} variances of the auxiliary variables at "
            "t = 0, none of them negative"
        )


def _check_equal(matrix: np.ndarray, other: np.ndarray, what: str) -> None:
    i, j = np.unravel_index(np.abs(matrix - other).argmax(), matrix.shape)
    if abs(matrix[i, j] - other[i, j]) > TOLERANCE * np.abs(matrix).max():
        raise InputError(
            f"{what}, but its entries ({i + 1}, {j + 1}) and ({j + 1}, {i + 1}) are "
            f"{matrix[i, j]:g} and {matrix[j, i]:g}"
        )


def _check_eigenvalues(name: str, matrix: np.ndarray, definite: bool) -> None:
    values = np.linalg.eigvalsh(matrix)
    least, rounding = values[0], TOLERANCE * np.abs(values).max()
    if least <= rounding if definite else least < -rounding:
        kind, allowed = ("definite", "> 0") if definite else ("semidefinite", ">= 0")
        raise InputError(
            f"{name} must be positive {kind}, but has the eigenvalue {least:g}; all must be "
            f"{allowed}"
        )


def _check_stationary(matrices: Matrices) -> None:
    """`InputError` unless the process ends in its prior, wherever it starts."""
    a, c, power = matrices.drift, matrices.prior, matrices.power
    slowest = np.linalg.eigvals(a).real.max()
    if slowest >= -TOLERANCE * np.abs(a).max():
        raise InputError(
            f"the drift -(D + Q) H has an eigenvalue of real part {slowest:g}; all must be < 0, or "
            "the process does not forget its start: D and Q must let noise reach every part"
        )
    balance = a @ c + c @ a.T + power
    if np.abs(balance).max() > 1e3 * TOLERANCE * np.abs(power).max():
        raise InputError(
            f"H^-1 is not stationary: A H^-1 + H^-1 A^T + 2 D, which must be 0, has the entry "
            f"{np.abs(balance).max():g}; H has the condition number {np.linalg.cond(c):g}"
        )
