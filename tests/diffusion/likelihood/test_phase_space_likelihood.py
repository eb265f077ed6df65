"""Bounds of processes with auxiliary variables, and the flow's density on a mixture."""

import math

import numpy as np
import pytest
import torch
from every_process import PROCESSES
from scipy.integrate import solve_ivp

from gud.diffusion.likelihood import (
    basis_probes,
    draw_auxiliary,
    log_likelihood,
    noise_data,
    prior_log_prob,
)
from gud.diffusion.processes import (
    Recipe,
)
from gud.diffusion.schedules import SoftConditioning
from gud.errors import InputError

VARIANCE = torch.tensor([0.4, 1.7], dtype=torch.float64)
SCHEDULE = SoftConditioning(VARIANCE.log(), -VARIANCE.log(), 0.7, -4.0, 5.0)
DRAWS = 4000


def normal_log_prob(x, variance):
    return -0.5 * (x**2 / variance + (2 * math.pi * variance).log())


def setting(name):
    """A process, many copies of one datum, noise, and what the process does to them at t = 0."""
    process = PROCESSES[name]
    z = torch.zeros(DRAWS, process.k, 1, 2).double()
    z[:, 0, 0] = torch.tensor([0.5, -1.1])
    noise = torch.randn(z.shape, generator=torch.Generator().manual_seed(0)).double()
    state = SCHEDULE(torch.zeros(DRAWS).double())
    return process, z, noise, state


def gaussian_log_prob(z, covariance):
    """Of independent components, each with its covariance (k, k, components)."""
    total = 0
    for i in range(2):
        normal = torch.distributions.MultivariateNormal(
            torch.zeros(len(covariance)).double(), covariance[..., i]
        )
        total = total + normal.log_prob(z[:, :, 0, i])
    return total


@pytest.mark.parametrize("name", PROCESSES)
def test_noised_data_give_a_bound_on_the_density_of_what_the_state_says_of_them(name):
    """p_0 is the exact marginal; the model's data are Gaussian of variance V + 2 / rho^2."""
    process, z, noise, state = setting(name)
    mean, factor = process.transition(state)[0, :, 0], process.factor(state)[0]
    covariance = torch.einsum("n,an,bn->abn", VARIANCE, mean, mean)
    covariance = covariance + torch.einsum("abn,cbn->acn", factor, factor)
    z0, correction = noise_data(SCHEDULE, process, z, noise)
    terms = gaussian_log_prob(z0, covariance) + correction
    rho2 = process.project(z, state)[1].gamma[0].neg().exp()
    exact = normal_log_prob(z[0, 0, 0], VARIANCE + 2 / rho2).sum()
    gap, error = float(exact - terms.mean()), float(terms.std() / DRAWS**0.5)
    assert -4 * error < gap < 0.15
    # log E[exp] is the density itself: the correction is right, not only a bound.
    weights = (terms - exact).exp()
    assert float(weights.mean()) == pytest.approx(1, abs=4 * float(weights.std()) / DRAWS**0.5)


@pytest.mark.parametrize("name", ["psld", "third order"])
def test_a_drawn_auxiliary_start_gives_a_bound_on_the_density_of_the_data(name):
    """The joint density is Gaussian with a correlation that the start lacks."""
    process, z, noise, _ = setting(name)
    scale = torch.diag(torch.tensor([1.0, *process.start]).double()).sqrt()
    correlated = torch.eye(process.k).double()
    correlated[0, 1] = correlated[1, 0] = 0.3
    joint = (scale @ correlated @ scale)[..., None] * torch.ones(2).double()
    z0, correction = draw_auxiliary(process, z, noise)
    assert torch.equal(z0[:, 0], z[:, 0])
    terms = gaussian_log_prob(z0, joint) + correction
    exact = normal_log_prob(z[0, 0, 0], joint[0, 0]).sum()
    assert float(exact - terms.mean()) > 0
    weights = (terms - exact).exp()
    assert float(weights.mean()) == pytest.approx(1, abs=4 * float(weights.std()) / DRAWS**0.5)


def test_without_auxiliary_numbers_data_stay_as_they_are():
    process, z, noise, _ = setting("ou")
    same, correction = draw_auxiliary(process, z, noise)
    assert torch.equal(same, z)
    assert (correction == 0).all()


@pytest.mark.parametrize("name", ["psld", "third order"])
def test_the_prior_density_is_that_of_its_covariance(name):
    process = PROCESSES[name]
    z = process.prior_sample(torch.randn(5, process.k, 1, 2).double())
    covariance = torch.tensor(process.prior, dtype=torch.float64)[..., None].expand(-1, -1, 2)
    torch.testing.assert_close(prior_log_prob(process, z), gaussian_log_prob(z, covariance))


@pytest.mark.parametrize("name", ["psld", "cld"])
def test_the_flow_of_a_mixture_has_the_density_of_an_independent_integration(name):
    """Data at +1.2 or -1.2 with variance 0.2, one component; SciPy with the exact divergence.

    Of the mixture of N(+-1.2 m, C) the score is -P z + 1.2 P m tanh q, q = 1.2 m^T P z, P = C^-1.
    """
    process = PROCESSES[name]
    schedule = SoftConditioning(torch.zeros(1).double(), torch.zeros(1).double(), 1.0, -4.0, 5.0)

    def kernel(state):
        mean, factor = process.transition(state)[0, :, 0, 0], process.factor(state)[0, :, :, 0]
        return mean, factor, torch.linalg.inv(0.2 * torch.outer(mean, mean) + factor @ factor.T)

    def denoiser(z, state):
        mean, factor, precision = kernel(state)
        flat = z[:, :, 0, 0]
        pull = 1.2 * precision @ mean
        score = -flat @ precision + torch.tanh(flat @ pull)[:, None] * pull
        return (-score @ factor)[:, :, None, None]

    a, power = np.array(process.drift), np.array(process.power)

    def velocity(t, y):
        state = schedule(torch.tensor([t], dtype=torch.float64))
        mean, _, precision = (part.numpy() for part in kernel(state))
        pull = 1.2 * precision @ mean
        q = pull @ y[:2]
        score = -precision @ y[:2] + np.tanh(q) * pull
        hessian = -precision + np.outer(pull, pull) / np.cosh(q) ** 2
        move = a @ y[:2] - power @ score / 2
        divergence = np.trace(a) - np.trace(power @ hessian) / 2
        return float(process.rate(state)[0, 0]) * np.array([*move, divergence])

    z = torch.tensor([0.9, 0.03], dtype=torch.float64)[None, :, None, None]
    found = log_likelihood(
        denoiser, schedule, process, z, basis_probes(z), method="tsit5", rtol=1e-5, atol=1e-5
    )
    end = solve_ivp(velocity, (0, 1), [0.9, 0.03, 0.0], rtol=1e-6, atol=1e-7).y[:, -1]
    prior = prior_log_prob(process, torch.from_numpy(end[:2])[None, :, None, None])
    # 1e-3 bits/dim of the one dimension of data.
    assert float(found.log_prob.mean()) == pytest.approx(
        float(prior) + end[2], abs=1e-3 * math.log(2)
    )


def test_auxiliary_variables_that_start_without_variance_have_no_density_at_the_data():
    curl, kinetic = ((0.0, -0.5), (0.5, 0.0)), ((1.0, 0.0), (0.0, 4.0))
    process = Recipe(((0.02, 0.0), (0.0, 0.2)), curl, kinetic, (0.0,))
    z = torch.zeros(3, 2, 1, 2)
    with pytest.raises(InputError, match=r"variances \[0.0\].* no density: .*start = noised"):
        draw_auxiliary(process, z, z)
