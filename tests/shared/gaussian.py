"""Gaussian data: its exact noise prediction, and its flow from an independent moment equation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.integrate import solve_ivp
from scipy.special import expit

from gud.diffusion.bases import PCA, Basis, Fourier, Pixel
from gud.diffusion.bases.wavelets import Wavelet
from gud.diffusion.noising import NoisingState
from gud.diffusion.processes import OrnsteinUhlenbeck
from gud.diffusion.representation import Representation, Statistics
from gud.diffusion.schedules import SoftConditioning, gamma_noise_default

SIZE = 4
PIXELS = SIZE * SIZE
BASES = ("pixel", "pca", "fourier", "haar")


def image_covariance(channels: int, seed: int) -> np.ndarray:
    """A random covariance over (channels, pixels) whose variances span several e-folds."""
    rng = np.random.default_rng(seed)
    size = channels * PIXELS
    rotation, _ = np.linalg.qr(rng.standard_normal((size, size)))
    scale = np.exp(rng.uniform(-1, 1, size))
    return scale[:, None] * (rotation * np.exp(np.linspace(-4, 2, size))) @ rotation.T * scale


def representation(name: str, covariance: np.ndarray, whitened: bool) -> Representation:
    """The representation of images with that covariance and no mean."""
    channels = len(covariance) // PIXELS
    rotation = None
    if name == "pca":
        grey = covariance.reshape(channels, PIXELS, channels, PIXELS).mean((0, 2))
        rotation = torch.from_numpy(np.linalg.eigh(grey)[1].T[::-1].copy())
    basis: Basis = {
        "pixel": lambda: Pixel(SIZE),
        "pca": lambda: PCA(SIZE, rotation),
        "fourier": lambda: Fourier(SIZE),
        "haar": lambda: Wavelet(SIZE, 2),
    }[name]()
    matrix = matrix_of(basis)
    variances = [
        np.diag(matrix @ covariance[block, block] @ matrix.T)
        for block in (slice(c * PIXELS, (c + 1) * PIXELS) for c in range(channels))
    ]
    mean = torch.zeros(channels, SIZE, SIZE, dtype=torch.float64)
    variance = torch.from_numpy(np.mean(variances, axis=0))
    return Representation(basis, Statistics(mean, variance, rotation), whitened)


def matrix_of(basis: Basis) -> np.ndarray:
    """U as a matrix (components, pixels)."""
    unit = torch.eye(basis.image_size**2, dtype=torch.float64)
    return basis.forward(unit.unflatten(1, (basis.image_size,) * 2)).numpy().T


def component_covariance(covariance: np.ndarray, representation: Representation) -> np.ndarray:
    """Covariance of the components, over (channels, components)."""
    matrix = matrix_of(representation.basis) / representation.scale.numpy()[:, None]
    full = np.kron(np.eye(len(covariance) // PIXELS), matrix)
    return full @ covariance @ full.T


def soft_conditioning(representation: Representation, a: float, gamma_denoise: float = -7.0):
    """The schedule of equations 18-20 with the automatic gamma_noise."""
    return SoftConditioning(
        log_variance=representation.log_variance,
        ordering=-representation.log_data_variance,
        a=a,
        gamma_denoise=gamma_denoise,
        gamma_noise=gamma_noise_default(representation.least_log_variance),
    )


@dataclass(frozen=True)
class Gaussian:
    """Data N(0, covariance) in components, over (channels, components)."""

    covariance: np.ndarray
    channels: int

    def sample(self, count: int, k: int, seed: int) -> torch.Tensor:
        """States (count, k, channels, components) of which the first of k is data, the rest 0."""
        generator = torch.Generator().manual_seed(seed)
        white = torch.randn(count, len(self.covariance), generator=generator, dtype=torch.float64)
        states = torch.zeros(count, k, self.channels, white.shape[1] // self.channels).double()
        root = torch.linalg.cholesky(torch.from_numpy(self.covariance))
        states[:, 0] = (white @ root.T).view_as(states[:, 0])
        return states

    def denoiser(self, process):
        """The exact E[eps | z] = L^T C(t)^-1 z."""

        def eps(z, state):
            _, _, channels, n = z.shape
            if (state.gamma == state.gamma[:1]).all():
                state = NoisingState(state.gamma[:1], state.d_gamma_dt[:1])
            transition, factor = (m(state).double() for m in (process.transition, process.factor))
            data = torch.from_numpy(self.covariance).view(channels, n, channels, n)
            column = transition[:, :, 0]
            covariance = torch.einsum("tia,cadb,tjb->ticajdb", column, data, column)
            units = torch.eye(n).double(), torch.eye(channels).double()
            whitening = torch.einsum("tija,ab,cd->ticajdb", factor, *units)
            covariance, whitening = (m.flatten(4).flatten(1, 3) for m in (covariance, whitening))
            covariance = covariance + whitening @ whitening.mT
            matrix = torch.linalg.solve(covariance, whitening).to(z)
            if len(matrix) == 1:
                return (z.flatten(1) @ matrix[0]).view_as(z)
            return (z.flatten(1)[:, None] @ matrix).view_as(z)

        return eps

    def flow(self, schedule: SoftConditioning) -> Flow:
        """The exact flow of equation 25 on the linear schedule for Ornstein-Uhlenbeck."""
        gamma_min = np.tile(schedule.gamma_min.numpy(), self.channels)
        delta = float(schedule.delta_gamma)
        start = np.sqrt(expit(-gamma_min))[:, None] * self.covariance
        start = start * np.sqrt(expit(-gamma_min)) + np.diag(expit(gamma_min))
        ou = OrnsteinUhlenbeck
        return solve_moments(
            lambda t: expit(gamma_min + t * delta) * delta, ou.drift, ou.diffusion, start
        )


@dataclass(frozen=True)
class Flow:
    """The linear map from t = 0 to t = 1 and the covariances that it connects."""

    matrix: np.ndarray
    log_det: float
    start: np.ndarray
    end: np.ndarray

    def log_prob(self, z: np.ndarray, prior_variance: np.ndarray | float = 1.0) -> np.ndarray:
        """log-density of z (batch, size) that the flow carries to the prior, nats."""
        end = z @ self.matrix.T
        variance = np.broadcast_to(prior_variance, end.shape[1:])
        return -0.5 * (end**2 / variance + np.log(2 * np.pi * variance)).sum(1) + self.log_det

    def divergence_from(self, covariance: np.ndarray) -> float:
        """KL(N(0, covariance) || the flow's density) in bits/dim."""
        size = len(covariance)
        spread = np.trace(self.matrix @ covariance @ self.matrix.T)
        nats = 0.5 * (spread - size - np.linalg.slogdet(covariance)[1]) - self.log_det
        return float(nats / (size * np.log(2)))


def solve_moments(beta, drift, diffusion, start: np.ndarray) -> Flow:
    """Integrate covariance and flow of dz = beta A z dt + sqrt(beta) B dw by SciPy.

    Args:
        beta: maps t to the rates (size / k,) of the components.
        start: covariance at t = 0 over (k, channels, components).
    """
    size = len(start)
    identity = np.eye(size // len(drift))
    a, power = (
        np.kron(drift, identity),
        np.kron(np.array(diffusion) @ np.array(diffusion).T, identity),
    )

    def velocity(t, y):
        covariance, matrix = y[: 2 * size**2].reshape(2, size, size)
        rate = np.tile(beta(t), len(drift))[:, None]
        linear, noise = rate * a, rate * power
        jacobian = linear + 0.5 * noise @ np.linalg.inv(covariance)
        moment = linear @ covariance + covariance @ linear.T + noise
        return np.concatenate([moment.ravel(), (jacobian @ matrix).ravel(), [np.trace(jacobian)]])

    y = np.concatenate([start.ravel(), np.eye(size).ravel(), [0.0]])
    y = solve_ivp(velocity, (0, 1), y, method="DOP853", rtol=1e-8, atol=1e-10).y[:, -1]
    end, matrix = y[:-1].reshape(2, size, size)
    return Flow(matrix, float(y[-1]), start, end)


def ramp_flow(
    gaussian: Gaussian, start: np.ndarray, width: float, gamma_min: float, gamma_max: float
) -> Flow:
    """The exact flow of linear ramps of gamma, integrated from kink to kink.

    Args:
        start: where the ramp of each component begins, shape (components,).
    """
    start = np.tile(start, gaussian.channels)
    slope = (gamma_max - gamma_min) / width
    alpha = np.sqrt(expit(-gamma_min))
    covariance = alpha**2 * gaussian.covariance + expit(gamma_min) * np.eye(len(start))
    whole = Flow(np.eye(len(start)), 0.0, covariance, covariance)
    kinks = np.unique(np.round(np.concatenate([[0, 1], start, start + width]), 12))
    for begin, end in zip(kinks, kinks[1:], strict=False):
        active = (start < (begin + end) / 2) & ((begin + end) / 2 < start + width)

        def beta(u, begin=begin, end=end, active=active):
            gamma = gamma_min + slope * (begin + (end - begin) * u - start)
            return (end - begin) * slope * expit(gamma) * active

        part = solve_moments(beta, OrnsteinUhlenbeck.drift, OrnsteinUhlenbeck.diffusion, whole.end)
        whole = Flow(part.matrix @ whole.matrix, whole.log_det + part.log_det, covariance, part.end)
    return whole


def setting(name, whitened, a, channels=1, **schedule):
    """A representation, Gaussian data in it, and a schedule of softness a."""
    covariance = image_covariance(channels, seed=0)
    components = representation(name, covariance, whitened)
    gaussian = Gaussian(component_covariance(covariance, components), channels)
    return components, gaussian, soft_conditioning(components, a, **schedule)
