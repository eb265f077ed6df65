"""Linear diffusion processes with constant matrices and a clock for each component.

Each component i of each channel carries a state z_i of k variables (k = 1 for Ornstein-Uhlenbeck;
position and momentum, k = 2, in phase space) that follows

    dz_i = beta_i(t) A z_i dt + sqrt(beta_i(t)) B dw,

so that its mean and covariance depend on time through the clock tau_i, the integral of beta_i,
alone. States have shape (batch, k, channels, components); matrices of a noising state
(batch, k, k, components).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gud.diffusion.noising import NoisingState
from gud.diffusion.processes.matrices import (
    Draws,
    Matrix,
    Reduced,
    Rows,
    State,
    apply,
    cholesky,
    linear,
    product,
    rows,
)
from gud.diffusion.processes.moments import moments


class Process(ABC):
    """A process dz = beta A z dt + sqrt(beta) B dw that ends in its prior, whatever the data.

    Attributes:
        k: variables of a component; the first is the data's, the others are auxiliary.
        drift: A, shape (k, k).
        diffusion: B, shape (k, k), lower triangular.
        prior: the covariance of the stationary state, shape (k, k).
        start: variances of the auxiliary variables at t = 0, shape (k - 1,).
        silent: how many variables, the first ones, have no noise of their own: no step needs their
            scores, nor the noise that would be predicted for them.
        draws: standard normal numbers of a component that an `example` takes.
    """

    k: int
    drift: Rows
    diffusion: Rows
    prior: Rows
    start: tuple[float, ...] = ()
    silent: int = 0
    draws: int

    @abstractmethod
    def transition(self, state: NoisingState) -> Matrix:
        """exp(A tau): the mean of z(t) is transition @ z(0)."""

    @abstractmethod
    def factor(self, state: NoisingState) -> Matrix:
        """L, the lower Cholesky factor of the covariance of z(t) given the data.

        The auxiliary variables of z(0) are Gaussian: their mean stands in z(0) and their variance
        is counted here.
        """

    @abstractmethod
    def inverse_factor(self, state: NoisingState) -> Matrix:
        """L^-1."""

    def clock(self, state: NoisingState) -> Float[Tensor, "batch components"]:
        """tau: how long the process of each component has run at a noising state."""
        return state.tau

    def rate(self, state: NoisingState) -> Float[Tensor, "batch components"]:
        """beta, the time derivative of the clock; exactly 0 where the schedule is frozen."""
        return state.beta

    def initial(self, components: Float[Tensor, "batch channels components"]) -> State:
        """z(0): the data as the first of the k variables of every component, the others zero."""
        z0 = components[:, None]
        return torch.cat([z0, *[torch.zeros_like(z0)] * (self.k - 1)], dim=1)

    def perturb(self, z0: State, state: NoisingState, noise: State) -> State:
        """z(t) = transition z(0) + L noise with L the lower Cholesky factor of the covariance."""
        return apply(self.transition(state), z0) + apply(self.factor(state), noise)

    def advance(self, z: State, elapsed: Float[Tensor, "batch components"], noise: State) -> State:
        """The state z after a time of the clock: exp(A elapsed) z and the noise that came in."""
        transition, covariance = moments(self.drift, self.power, elapsed)
        return apply(transition, z) + apply(cholesky(covariance), noise)

    def example(self, z0: State, state: NoisingState, draws: Draws) -> tuple[State, State]:
        """z(t) and the noise that a network is to predict from it, the one that `score` takes.

        Args:
            z0: the data, and the means of the auxiliary variables.
            draws: standard normal, shape (batch, draws, channels, components).
        """
        return self.perturb(z0, state, draws), draws

    def project(self, z: State, state: NoisingState) -> tuple[Reduced, NoisingState]:
        """All that z(t) says of the data, as Ornstein-Uhlenbeck would say it: with k = 1.

        z = m chi + L eps for the data chi, m the first column of the transition. Of Gaussian noise
        the combination chi + eps_0 / rho = m^T (L L^T)^-1 z / rho^2, rho^2 = m^T (L L^T)^-1 m, is
        sufficient: what is orthogonal to it is noise alone.

        Returns:
            alpha (chi + eps_0 / rho), and the noising state gamma = -log rho^2 that it is in.
        """
        signal = self._signal(state)
        snr = signal.square().sum(1)
        reduced = NoisingState(-snr.log(), state.d_gamma_dt)
        dual = apply(self.inverse_factor(state).transpose(1, 2), signal[:, :, None])[:, :, 0]
        weights = dual * (reduced.alpha / snr)[:, None]
        return (weights[:, :, None].to(z) * z).sum(1, keepdim=True), reduced

    def noise_level(self, state: NoisingState) -> Float[Tensor, "batch components"]:
        """gamma = -log rho^2 of `project`, at which Ornstein-Uhlenbeck would know as much."""
        return -self._signal(state).square().sum(1).log()

    def project_noise(self, noise: State, state: NoisingState) -> Reduced:
        """The part eps_0 of the noise eps that `project` leaves, with k = 1."""
        signal = self._signal(state)
        direction = signal / signal.square().sum(1, keepdim=True).sqrt()
        return (direction[:, :, None].to(noise) * noise).sum(1, keepdim=True)

    def lift(self, noise: Reduced, z: State, state: NoisingState) -> State:
        """The noise eps of z(t) from the noise eps_0 of what `project` makes of it."""
        reduced, seen = self.project(z, state)
        chi = (reduced - per_component(seen.sigma, z) * noise) / per_component(seen.alpha, z)
        mean = self.transition(state)[:, :, 0, None].to(z) * chi
        return apply(self.inverse_factor(state), z - mean)

    def drop(self, noise: State, z: State, state: NoisingState) -> Reduced:
        """The noise eps_0 that `lift` takes to a predicted noise eps of z(t).

        Of variables without noise of their own the prediction is none: eps_0 is that of the others,
        by least squares.
        """
        if not self.silent:
            return self.project_noise(noise, state)
        signal = self._signal(state)
        direction = signal / signal.square().sum(1, keepdim=True).sqrt()
        driven = direction[:, self.silent :, None].to(z)
        known = (noise - self.lift(torch.zeros_like(z[:, :1]), z, state))[:, self.silent :]
        found: Reduced = (driven * known).sum(1, keepdim=True)
        return found / driven.square().sum(1, keepdim=True)

    def carry(self, z: State, now: NoisingState, reduced: Reduced, after: NoisingState) -> State:
        """The state after with a given projection, its other noise that of the state z now.

        Of L^-1 z the part orthogonal to n = L^-1 m / rho is noise alone. The smallest rotation that
        takes n to n', 1 - (n + n') (n + n')^T / (1 + n n') + 2 n' n^T, takes it along.
        """
        first, then = self._signal(now), self._signal(after)
        first, then = (one / one.square().sum(1, keepdim=True).sqrt() for one in (first, then))
        both, cosine = first + then, (first * then).sum(1, keepdim=True)[:, None]
        identity = torch.eye(self.k, dtype=first.dtype, device=first.device)[None, :, :, None]
        rotation = identity - both[:, :, None] * both[:, None] / (1 + cosine)
        rotation = rotation + then[:, :, None] * first[:, None]
        factor = self.factor(after)
        moved = product(product(factor, rotation), self.inverse_factor(now))
        sigma = self.noise_level(after).sigmoid().sqrt()
        seen = apply(factor, then[:, :, None] / sigma[:, None, None])
        return apply(moved, z) + seen.to(z) * reduced

    def log_decoding(self, noise: State, state: NoisingState) -> Float[Tensor, " batch"]:
        """log p(chi | z) - log p(z | chi) of z = m chi + L noise, given as much by `project`.

        Per component log rho + log|det L| + (k - 1) log(2 pi) / 2 + (|noise|^2 - eps_0^2) / 2.
        """
        snr = self._signal(state).square().sum(1)
        diagonal = self.factor(state).diagonal(dim1=1, dim2=2)
        constant = snr.log() / 2 + diagonal.log().sum(2) + (self.k - 1) / 2 * math.log(2 * math.pi)
        within = self.project_noise(noise.double(), state).square()
        beside_it = noise.double().square().flatten(1).sum(1) - within.flatten(1).sum(1)
        return constant.sum(1) * noise.shape[2] + beside_it / 2

    def _signal(self, state: NoisingState) -> Float[Tensor, "batch k components"]:
        """L^-1 m: the data as they stand beside standard noise."""
        mean = self.transition(state)[:, :, 0, None]
        return apply(self.inverse_factor(state), mean)[:, :, 0]

    def score(self, eps: State, state: NoisingState) -> State:
        """The score -L^-T eps of z(t) from the (predicted) standard noise eps."""
        return -apply(self.inverse_factor(state).transpose(1, 2), eps)

    def divergence_rate(
        self, error: State, state: NoisingState
    ) -> Float[Tensor, "batch components"]:
        """How fast reverse SDEs part whose predictions of the noise differ by an error.

        In nats per unit of time, beta |B^T L^-T error|^2 / 2, summed over channels: the rate of the
        Kullback-Leibler divergence between the laws of their paths (Girsanov).
        """
        departure = linear(rows(np.array(self.diffusion).T), self.score(error, state))
        return self.rate(state) * departure.square().sum((1, 2)) / 2

    def prior_divergence(self, z0: State, state: NoisingState) -> Float[Tensor, " batch"]:
        """KL(z(t) given z(0) || prior) in nats.

        (|P^-1/2 m z_0|^2 + |P^-1/2 L|^2 - k - log|det P^-1 L L^T|) / 2 summed over components, P
        the covariance of the prior and m the transition.
        """
        mean = self.whiten_prior(apply(self.transition(state), z0))
        spread = self.whiten_prior(self.factor(state))
        volume = spread.diagonal(dim1=1, dim2=2).log().sum(2)
        cost = spread.square().sum((1, 2)) - self.k - 2 * volume
        return (mean.square().flatten(1).sum(1) + cost.sum(1) * z0.shape[2]) / 2

    def flow(self, z: State, score: State) -> State:
        """Velocity of the probability-flow ODE per unit of the clock, A z - B B^T score / 2."""
        return linear(self.drift, z) - 0.5 * linear(self.power, score)

    def reverse_drift(self, z: State, score: State) -> State:
        """Drift of the reverse SDE per unit of the clock, A z - B B^T score."""
        return linear(self.drift, z) - linear(self.power, score)

    def beyond_prior(self, z: State, score: State) -> State:
        """B B^T (score + prior^-1 z): by which the score departs from that of the prior."""
        pull = np.array(self.power) @ np.linalg.inv(np.array(self.prior))
        return linear(self.power, score) + linear(rows(pull), z)

    def prior_sample(self, noise: State) -> State:
        """A draw from the stationary state, from standard noise."""
        return linear(rows(np.linalg.cholesky(np.array(self.prior))), noise)

    def diffuse(self, noise: State) -> State:
        """B noise: what a unit of the clock adds, of standard noise."""
        return linear(self.diffusion, noise)

    def whiten_prior(self, z: State) -> State:
        """The standard noise of which `prior_sample` makes z."""
        return linear(rows(np.linalg.inv(np.linalg.cholesky(np.array(self.prior)))), z)

    @property
    def backward(self) -> Rows:
        """The drift of the stationary process run backwards, -A - B B^T prior^-1."""
        a, power, prior = (np.array(m) for m in (self.drift, self.power, self.prior))
        return rows(-a - power @ np.linalg.inv(prior))

    @property
    def power(self) -> Rows:
        """B B^T, shape (k, k)."""
        b = np.array(self.diffusion)
        return rows(b @ b.T)


def per_variable(values: tuple[float, ...], z: State) -> Float[Tensor, "k 1 1"]:
    """Broadcast a number for each of the k variables against states.

    Written on their device: a copy from the host would synchronise.
    """
    return torch.stack([z.new_full((1, 1), value) for value in values])


def per_component(
    values: Float[Tensor, "batch components"], z: State
) -> Float[Tensor, "batch 1 1 components"]:
    """Broadcast a quantity of the components against states, in the states' precision."""
    return values[:, None, None].to(z)
