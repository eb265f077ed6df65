"""Coordinates u = R(t)^-1 z in which the flow of a likelihood is integrated."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gud.diffusion.noising import NoisingState
from gud.diffusion.processes import Matrix, Process, State, apply, per_variable
from gud.diffusion.processes.matrices import (
    cholesky,
    inverse_lower,
    linear,
    product,
    solve_lower,
)


class Coordinates(ABC):
    """u = R(t)^-1 z with a matrix R for each component."""

    @abstractmethod
    def u(self, z: State, state: NoisingState) -> State:
        """R^-1 z."""

    @abstractmethod
    def z(self, u: State, state: NoisingState) -> State:
        """R u."""

    @abstractmethod
    def velocity(self, u: State, dz: State, state: NoisingState) -> State:
        """du / dt = R^-1 (dz / dt - dR / dt u)."""

    @abstractmethod
    def log_det(self, state: NoisingState) -> Float[Tensor, " batch"]:
        """log|det R|, summed over the components of one channel."""


class Components(Coordinates):
    """z itself."""

    def u(self, z: State, state: NoisingState) -> State:
        return z

    def z(self, u: State, state: NoisingState) -> State:
        return u

    def velocity(self, u: State, dz: State, state: NoisingState) -> State:
        return dz

    def log_det(self, state: NoisingState) -> Float[Tensor, " batch"]:
        return state.gamma.new_zeros(len(state.gamma))


@dataclass(frozen=True)
class Standardised(Coordinates):
    """u of the identity as covariance, if the components are independent Gaussians.

    R is the lower Cholesky factor of C = V m m^T + L L^T, the covariance of the state of a
    component of variance V. As dC / dtau = A C + C A^T + B B^T = W,

        dR / dtau = R half(R^-1 W R^-T),

    half the lower triangle with half of the diagonal. In u the flow of such components is a
    rotation, du / dt = Omega u with Omega skew-symmetric: constant for k = 1, where R = sqrt(C),
    and without divergence for every k. Only what the data add to it costs steps; the rotation, of
    about the speed of the clock, costs some too.

    Args:
        process: whose states these are.
        variance: V_i of the components as they are diffused, shape (components,).
    """

    process: Process
    variance: Float[Tensor, " components"]

    def u(self, z: State, state: NoisingState) -> State:
        return solve_lower(self._root(state), z)

    def z(self, u: State, state: NoisingState) -> State:
        return apply(self._root(state), u)

    def velocity(self, u: State, dz: State, state: NoisingState) -> State:
        covariance = self._covariance(state)
        root = cholesky(covariance)
        inverse, drift = inverse_lower(root), linear(self.process.drift, covariance)
        power = torch.stack([per_variable(row, root)[:, 0] for row in self.process.power])
        rate = drift + drift.transpose(1, 2) + power
        growth = product(product(inverse, rate), inverse.transpose(1, 2))
        half = growth.permute(0, 3, 1, 2).tril(-1).permute(0, 2, 3, 1)
        half = half + torch.diag_embed(growth.diagonal(dim1=1, dim2=2) / 2, dim1=1, dim2=2)
        turned = apply(self.process.rate(state)[:, None, None] * half, u)
        return solve_lower(root, dz) - turned

    def log_det(self, state: NoisingState) -> Float[Tensor, " batch"]:
        return self._root(state).diagonal(dim1=1, dim2=2).log().sum((1, 2))

    def _root(self, state: NoisingState) -> Matrix:
        return cholesky(self._covariance(state))

    def _covariance(self, state: NoisingState) -> Matrix:
        mean, factor = self.process.transition(state)[:, :, 0], self.process.factor(state)
        spread = self.variance.to(mean) * mean[:, :, None] * mean[:, None]
        return spread + product(factor, factor.transpose(1, 2))
