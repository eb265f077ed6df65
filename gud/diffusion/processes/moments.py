"""Mean and covariance of dz = A z dtau + B dw in closed form, for tensors of clocks.

    z(tau) = E(tau) z(0) + noise of covariance N(tau),
    E(tau) = exp(A tau),        N(tau) = int_0^tau exp(A s) B B^T exp(A s)^T ds.

Everything is a sum of terms of one sign or nearly so: N keeps its relative precision as tau goes to
0, where Sinf - E Sinf E^T loses it (a part without noise of its own has a variance of order tau^3).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gud.diffusion.processes.matrices import Matrix, Rows, product

Clock = Float[Tensor, "batch components"]
CRITICAL = 1e-12
"""Relative size of a discriminant that is rounding alone."""
NEAR = 0.5
"""(w tau)^2 below which a series takes the place of differences of exponentials."""
TERMS = 9
"""Of that series: the next is 1e-15 of the first."""
ORDER = 16
"""Of the Taylor polynomials at |A| tau <= 1/4."""
FORGOTTEN = 80.0
"""Slowest decay times clock after which exp(A tau) is below 1e-34."""


def moments(drift: Rows, power: Rows, tau: Clock) -> tuple[Matrix, Matrix]:
    """E(tau) and N(tau), each of shape (batch, k, k, components).

    Args:
        drift: A, all of whose eigenvalues have negative real parts.
        power: B B^T.
        tau: clocks, float64, at least 0.
    """
    if len(drift) == 2:
        return moments_of_two(drift, power, tau)
    return moments_by_doubling(drift, power, tau)


def with_start(transition: Matrix, noise: Matrix, start: Sequence[float]) -> Matrix:
    """The covariance of z given the data: the noise, and what is left of the auxiliary start."""
    covariance = noise.clone()
    for i, variance in enumerate(start, 1):
        column = transition[:, :, i : i + 1]
        covariance += variance * column * column.transpose(1, 2)
    return covariance


def moments_of_two(drift: Rows, power: Rows, tau: Clock) -> tuple[Matrix, Matrix]:
    """`moments` of k = 2 in closed form, for critical, over- and under-damping.

    A = r + N with N^2 = delta, so that E = e^{r tau} (C + S N) with C, S = cosh(w tau),
    sinh(w tau) / w, w^2 = delta; 1 and tau at delta = 0, where damping is critical.
    """
    rate, nilpotent, delta = _discriminant(drift)
    signal, slope = _cosine_and_sine(rate, delta, tau)
    squares, crossed, slopes = _integrals(rate, delta, tau)
    noise = np.array(power)
    terms = noise, nilpotent @ noise + noise @ nilpotent.T, nilpotent @ noise @ nilpotent.T
    return (
        _combination((np.eye(2), nilpotent), (signal, slope)),
        _combination(terms, (squares, crossed, slopes)),
    )


def _discriminant(drift: Rows) -> tuple[float, np.ndarray, float]:
    """r, N and delta of A = r + N."""
    matrix = np.array(drift)
    rate = float(np.trace(matrix)) / 2
    nilpotent = matrix - rate * np.eye(2)
    delta = float(nilpotent[0, 0] ** 2 + nilpotent[0, 1] * nilpotent[1, 0])
    return rate, nilpotent, 0.0 if abs(delta) <= CRITICAL * rate**2 else delta


def _cosine_and_sine(rate: float, delta: float, tau: Clock) -> tuple[Clock, Clock]:
    """e^{r tau} C and e^{r tau} S."""
    w = math.sqrt(abs(delta))
    if delta > 0:
        slow, gap = ((rate + w) * tau).exp(), -torch.expm1(-2 * w * tau) / 2
        return slow * (1 - gap), slow * gap / w
    decay = (rate * tau).exp()
    if delta < 0:
        return decay * (w * tau).cos(), decay * (w * tau).sin() / w
    return decay, decay * tau


def _integrals(rate: float, delta: float, tau: Clock) -> tuple[Clock, Clock, Clock]:
    """Integrals over s from 0 to tau of e^{2 r s} times C^2, C S and S^2.

    Where |delta| tau^2 is small they are sums over the powers of s in C^2 = 1 + delta S^2,
    C S = sum_m 4^m delta^m s^{2m+1} / (2m+1)!, S^2 = sum_m 4^m delta^{m-1} s^{2m} / (2 (2m)!).
    """
    terms = TERMS if delta else 1
    powers = _integrated_powers(-2 * rate, tau, 2 * terms)
    crossed, slopes = torch.zeros_like(tau), torch.zeros_like(tau)
    for m in reversed(range(terms)):
        crossed = crossed + (4 * delta) ** m / math.factorial(2 * m + 1) * powers[2 * m + 1]
        slopes = slopes + 2 * (4 * delta) ** m / math.factorial(2 * m + 2) * powers[2 * m + 2]
    if delta:
        near = abs(delta) * tau**2 < NEAR
        even, odd = _integrated_waves(rate, delta, tau)
        crossed = torch.where(near, crossed, odd / 2)
        slopes = torch.where(near, slopes, (even - powers[0]) / (2 * delta))
    return powers[0] + delta * slopes, crossed, slopes


def _integrated_powers(decay: float, tau: Clock, highest: int) -> list[Clock]:
    """Integrals of s^n e^{-p s} from 0 to tau, n = 0 ... highest, by their stable recursion."""
    scale = math.factorial(highest) / decay ** (highest + 1)
    order = torch.full_like(tau, highest + 1)
    integrals = [scale * torch.special.gammainc(order, decay * tau)]
    end = (-decay * tau).exp()
    for n in range(highest, 0, -1):
        integrals.append((decay * integrals[-1] + tau**n * end) / n)
    return integrals[::-1]


def _integrated_waves(rate: float, delta: float, tau: Clock) -> tuple[Clock, Clock]:
    """Integrals of e^{2 r s} cosh(2 w s) and e^{2 r s} sinh(2 w s) / w from 0 to tau."""
    w = math.sqrt(abs(delta))
    if delta > 0:
        slow, fast = (torch.expm1(2 * x * tau) / (2 * x) for x in (rate + w, rate - w))
        return (slow + fast) / 2, (slow - fast) / (2 * w)
    decay = (2 * rate * tau).exp()
    real, imaginary = decay * (2 * w * tau).cos() - 1, decay * (2 * w * tau).sin()
    norm = 2 * (rate**2 + w**2)
    return (rate * real + w * imaginary) / norm, (rate * imaginary - w * real) / (norm * w)


def moments_by_doubling(drift: Rows, power: Rows, tau: Clock) -> tuple[Matrix, Matrix]:
    """`moments` of any k: Taylor polynomials at tau / 2^n, then E <- E^2, N <- N + E N E^T.

    Doubling adds positive semidefinite matrices alone, and stays stable for clocks of any length,
    where the inverse of E, as in the method of Van Loan, grows without bounds.
    """
    a, part = np.array(drift), np.array(power)
    longest = FORGOTTEN / -float(np.linalg.eigvals(a).real.max())
    doublings = max(0, math.ceil(math.log2(4 * float(np.linalg.norm(a, 2)) * longest)))
    step = tau.clamp(max=longest) / 2**doublings
    term = np.eye(len(a))
    exponential, integral = [term], [np.zeros_like(part), part]
    for n in range(1, ORDER):
        term = a @ term / n
        part = (a @ part + part @ a.T) / (n + 1)
        exponential.append(term)
        integral.append(part)
    powers = [step**n for n in range(ORDER + 1)]
    transition = _combination(exponential, powers[:ORDER])
    noise = _combination(integral, powers)
    for _ in range(doublings):
        noise = noise + product(product(transition, noise), transition.transpose(1, 2))
        transition = product(transition, transition)
    return transition, noise


def _combination(matrices: Sequence[np.ndarray], weights: Sequence[Clock]) -> Matrix:
    """The sum of constant matrices with weights for each clock, smallest terms first."""
    k = len(matrices[0])
    total = torch.zeros_like(weights[0])[:, None, None].repeat(1, k, k, 1)
    for matrix, weight in reversed(list(zip(matrices, weights, strict=True))):
        for i, j in np.argwhere(matrix):
            total[:, i, j] += float(matrix[i, j]) * weight
    return total
