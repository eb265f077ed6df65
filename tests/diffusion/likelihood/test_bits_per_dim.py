"""Bits per dimension: priors, invariances, and bounds by noised data."""

import math

import numpy as np
import pytest
import torch
from gaussian import (
    BASES,
    PIXELS,
    component_covariance,
    image_covariance,
    representation,
    setting,
)
from scipy.stats import multivariate_normal

from gud.diffusion.likelihood import (
    bits_per_dim,
    noise_data,
    prior_log_prob,
)
from gud.diffusion.processes import OrnsteinUhlenbeck

PROCESS = OrnsteinUhlenbeck()


def test_prior_log_prob_is_that_of_scipy():
    z = torch.randn(3, 1, 2, 5, generator=torch.Generator().manual_seed(0))
    expected = multivariate_normal(np.zeros(10)).logpdf(z.flatten(1).double().numpy())
    np.testing.assert_allclose(prior_log_prob(PROCESS, z), expected, rtol=1e-12)


@pytest.mark.parametrize("whitened", [False, True])
def test_uniform_8_bit_noise_has_exactly_8_bits_per_dim(whitened):
    components = representation("haar", image_covariance(3, seed=0), whitened)
    density_of_phi = 3 * PIXELS * math.log(1 / 2)
    log_prob = torch.tensor([density_of_phi - components.log_det], dtype=torch.float64)
    assert float(bits_per_dim(log_prob, components)) == pytest.approx(8, abs=1e-12)


@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize("whitened", [False, True])
def test_bits_per_dim_do_not_depend_on_basis_and_scale(name, whitened):
    """Change of variables for correlated colour images: the density of the pixel levels."""
    covariance = image_covariance(2, seed=4) / 100
    components = representation(name, covariance, whitened)
    images = np.random.default_rng(0).multivariate_normal(np.zeros(2 * PIXELS), covariance, 5)
    levels = multivariate_normal(np.full(2 * PIXELS, 128.0), covariance * 128**2)
    expected = -levels.logpdf(images * 128 + 128) / (2 * PIXELS * math.log(2))
    chi = components.encode(torch.from_numpy(images).view(5, 2, 4, 4)).flatten(1).numpy()
    density = multivariate_normal(
        np.zeros(2 * PIXELS), component_covariance(covariance, components)
    ).logpdf(chi)
    bits = bits_per_dim(torch.from_numpy(density), components)
    np.testing.assert_allclose(bits, expected, atol=1e-6)


@pytest.mark.parametrize("gamma_denoise", [-3.0, -7.0, -12.0])
def test_noising_the_data_gives_a_bound_that_tightens_with_gamma_denoise(gamma_denoise):
    """Mean over data of the bound minus the log-density: sum_i log(1 + exp(gamma_i) / V_i) / 2."""
    _, gaussian, schedule = setting("pca", False, 1.0, gamma_denoise=gamma_denoise)
    variance = torch.from_numpy(np.diag(gaussian.covariance).copy())
    z = gaussian.sample(40000, k=1, seed=0)
    noise = torch.randn(z.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    start, correction = noise_data(schedule, PROCESS, z, noise)

    def log_prob(z, variance):
        return torch.distributions.Normal(0.0, variance.sqrt()).log_prob(z.flatten(1)).sum(1)

    marginal = schedule(torch.zeros(1)).variance(variance)[0]
    difference = log_prob(start, marginal) + correction - log_prob(z, variance)
    error = float(difference.std()) / len(z) ** 0.5
    gap = 0.5 * float((schedule.gamma_min - variance.log()).exp().log1p().sum())
    assert float(difference.mean()) == pytest.approx(-gap, abs=4 * error)
    assert gap <= 0.5 * PIXELS * math.exp(gamma_denoise) * (1 + 1e-9)
    if gamma_denoise <= -7:
        assert 4 * error < 0.2


def test_noising_the_data_bounds_the_density_of_the_extended_model_from_below():
    _, gaussian, schedule = setting("pca", False, 1.0, gamma_denoise=-2.0)
    variance = torch.from_numpy(np.diag(gaussian.covariance).copy())
    state = schedule(torch.zeros(1))
    extended = variance + 2 * state.gamma[0].exp()
    z = gaussian.sample(1, k=1, seed=3).expand(20000, -1, -1, -1)
    noise = torch.randn(z.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    start, correction = noise_data(schedule, PROCESS, z, noise)
    normal = torch.distributions.Normal(0.0, state.variance(variance)[0].sqrt())
    bound = normal.log_prob(start.flatten(1)).sum(1) + correction
    density = torch.distributions.Normal(0.0, extended.sqrt()).log_prob(z[0].flatten()).sum()
    assert bound.mean() + 4 * bound.std() / 20000**0.5 < density
