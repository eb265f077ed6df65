"""Small matrices: constant ones as rows of numbers, and one for each component as tensors."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

State = Float[Tensor, "batch k channels components"]
Draws = Float[Tensor, "batch draws channels components"]
Reduced = Float[Tensor, "batch 1 channels components"]
"""What is left of a state by one combination of its k variables."""
Matrix = Float[Tensor, "batch k k components"]
Rows = tuple[tuple[float, ...], ...]
"""A constant matrix, row by row."""


def rows(matrix: np.ndarray) -> Rows:
    return tuple(tuple(float(value) for value in row) for row in matrix)


def linear(constant: Rows, z: State) -> State:
    """A constant matrix times z.

    Its entries go into the kernels as numbers: copying them from the host would synchronise.
    """
    parts = []
    for row in constant:
        terms = [weight * z[:, j] for j, weight in enumerate(row) if weight]
        parts.append(sum(terms[1:], terms[0]) if terms else torch.zeros_like(z[:, 0]))
    return torch.stack(parts, 1)


def apply(matrix: Matrix, z: State) -> State:
    """matrix @ z, component by component, in the states' precision."""
    return (matrix.to(z)[:, :, :, None] * z[:, None]).sum(2)


def product(left: Matrix, right: Matrix) -> Matrix:
    """left @ right, component by component."""
    return (left[:, :, :, None] * right[:, None]).sum(2)


def cholesky(matrix: Matrix) -> Matrix:
    """The lower Cholesky factor of each component's covariance; 0 where that is 0."""
    factor = torch.zeros_like(matrix)
    for j in range(matrix.shape[1]):
        for i in range(j, matrix.shape[1]):
            rest = matrix[:, i, j] - (factor[:, i, :j] * factor[:, j, :j]).sum(1)
            pivot = factor[:, j, j]
            factor[:, i, j] = rest.sqrt() if i == j else torch.where(rest == 0, rest, rest / pivot)
    return factor


def inverse_lower(factor: Matrix) -> Matrix:
    """The inverse of each component's lower triangular matrix, by forward substitution."""
    inverse = torch.zeros_like(factor)
    for i in range(factor.shape[1]):
        inverse[:, i, i] = 1 / factor[:, i, i]
        for j in range(i):
            known = (factor[:, i, j:i] * inverse[:, j:i, j]).sum(1)
            inverse[:, i, j] = -known / factor[:, i, i]
    return inverse


def solve_lower(factor: Matrix, z: State) -> State:
    """factor^-1 z, component by component, in the states' precision."""
    factor = factor.to(z)
    parts: list[Tensor] = []
    for i in range(factor.shape[1]):
        rest = z[:, i]
        for j, known in enumerate(parts):
            rest = rest - factor[:, i, j, None] * known
        parts.append(rest / factor[:, i, i, None])
    return torch.stack(parts, 1)
