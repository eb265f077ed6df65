"""Linear diffusion processes with constant matrices and a clock for each component.

Each component i of each channel carries a state z_i of k numbers (k = 1 for Ornstein-Uhlenbeck;
position and momentum, k = 2, in phase space) that follows

    dz_i = beta_i(t) A z_i dt + sqrt(beta_i(t)) B dw,

so that its mean and covariance depend on time through the clock tau_i alone. States have shape
(batch, k, channels, components); matrices of a noising state (batch, k, k, components).
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor

from gud.noising import NoisingState

State = Float[Tensor, "batch k channels components"]
Matrix = Float[Tensor, "batch k k components"]


class Process(ABC):
    """A process dz = beta A z dt + sqrt(beta) B dw with unit prior scale."""

    k: int
    drift: tuple[tuple[float, ...], ...]
    """A, shape (k, k)."""
    diffusion: tuple[float, ...]
    """The diagonal of B, shape (k,)."""

    @abstractmethod
    def transition(self, state: NoisingState) -> Matrix:
        """exp(A tau): the mean of z(t) is transition @ z(0)."""

    @abstractmethod
    def factor(self, state: NoisingState) -> Matrix:
        """L, the lower Cholesky factor of the covariance of z(t) given z(0).

        Where a part of z(0) is itself drawn from a Gaussian (the momentum), its mean stands in z(0)
        and its covariance is counted here.
        """

    @abstractmethod
    def inverse_factor(self, state: NoisingState) -> Matrix:
        """L^-1."""

    @abstractmethod
    def prior_variance(self) -> tuple[float, ...]:
        """Variances of the stationary state, shape (k,)."""

    def perturb(self, z0: State, state: NoisingState, noise: State) -> State:
        """z(t) = transition z(0) + L noise with L the lower Cholesky factor of the covariance."""
        return _apply(self.transition(state), z0) + _apply(self.factor(state), noise)

    def score(self, eps: State, state: NoisingState) -> State:
        """The score -L^-T eps of z(t) from the (predicted) standard noise eps."""
        return -_apply(self.inverse_factor(state).transpose(1, 2), eps)

    def flow(self, z: State, score: State) -> State:
        """Velocity of the probability-flow ODE per unit of the clock, A z - B B^T score / 2."""
        return self._linear(z) - 0.5 * self._noise_power(z) * score

    def reverse_drift(self, z: State, score: State) -> State:
        """Drift of the reverse SDE per unit of the clock, A z - B B^T score."""
        return self._linear(z) - self._noise_power(z) * score

    def noise_scale(self, z: State) -> Float[Tensor, "k 1 1"]:
        """B as a factor of white noise shaped like z."""
        return z.new_tensor(self.diffusion)[:, None, None]

    def _noise_power(self, z: State) -> Float[Tensor, "k 1 1"]:
        return self.noise_scale(z) ** 2

    def _linear(self, z: State) -> State:
        return torch.einsum("ij,bjcd->bicd", z.new_tensor(self.drift), z)


class OrnsteinUhlenbeck(Process):
    """The variance-preserving process of equation 13: A = -1/2, B = 1, prior N(0, 1)."""

    k = 1
    drift = ((-0.5,),)
    diffusion = (1.0,)

    def transition(self, state: NoisingState) -> Matrix:
        return state.alpha[:, None, None]

    def factor(self, state: NoisingState) -> Matrix:
        return state.sigma[:, None, None]

    def inverse_factor(self, state: NoisingState) -> Matrix:
        return 1 / state.sigma[:, None, None]

    def prior_variance(self) -> tuple[float, ...]:
        return (1.0,)


PROCESSES: dict[str, type[Process]] = {"ou": OrnsteinUhlenbeck}


def per_component(
    values: Float[Tensor, "batch components"], z: State
) -> Float[Tensor, "batch 1 1 components"]:
    """Broadcast a quantity of the components against states, in the states' precision."""
    return values[:, None, None].to(z)


def _apply(matrix: Matrix, z: State) -> State:
    return (matrix.to(z)[:, :, :, None] * z[:, None]).sum(2)
