"""What bounds what: flow, noised flow and variational bound, where all of them can be computed."""

import math

import numpy as np
import pytest
import torch
from scipy.special import expit

from gud.diffusion.likelihood import (
    basis_probes,
    log_likelihood,
    noise_data,
    variational_bound,
)
from gud.diffusion.likelihood.variational import _quantiles
from gud.diffusion.processes import OrnsteinUhlenbeck, per_component
from gud.diffusion.samplers.gaussian import gaussian_denoiser
from gud.diffusion.schedules import Reparametrised, SoftConditioning
from gud.diffusion.schedules.sequential import column_schedule

PROCESS = OrnsteinUhlenbeck()
VARIANCE = torch.tensor([4.0, 0.5, 0.05], dtype=torch.float64)
SMOOTH = SoftConditioning(VARIANCE.log(), -VARIANCE.log(), 0.6, -3.0, 5.0)
COLUMNS = column_schedule(torch.arange(3), 0.5, -6.0, 4.0)
SCHEDULES = pytest.mark.parametrize("schedule", [SMOOTH, COLUMNS], ids=["smooth", "columns"])


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


def bound_of(denoiser, schedule, z, times=8, replicates=2, variance=VARIANCE, seed=1):
    generator = torch.Generator().manual_seed(seed)
    shifts = torch.rand(replicates, len(z), generator=generator).double()
    noise = lambda: torch.randn(z.shape, generator=generator).double()  # noqa: E731
    return variational_bound(denoiser, schedule, PROCESS, z, variance, shifts, noise, times=times)


def expected_gaussian_bound(schedule):
    """Mean of -bound over Gaussian data; the diffusion costs log(sin theta(1) / sin theta(0))."""
    start, end = (schedule(torch.tensor([float(t)])) for t in (0, 1))
    sine = [(s.sigma**2 / s.variance(VARIANCE)).log()[0].numpy() / 2 for s in (start, end)]
    gamma0, noise = start.gamma[0].numpy(), expit(end.gamma[0].numpy())
    prior = ((1 - noise) * VARIANCE.numpy() + noise - 1 - np.log(noise)) / 2
    return float((prior + (1 + math.log(2 * math.pi) + gamma0) / 2 + sine[1] - sine[0]).sum())


@SCHEDULES
def test_the_bound_of_gaussian_data_is_its_closed_form(schedule):
    z = random(4000, 1, 1, 3) * VARIANCE.sqrt()
    found = -bound_of(gaussian_denoiser(PROCESS, VARIANCE), schedule, z)
    error = float(found.mean(1).std()) / len(z) ** 0.5
    assert float(found.mean()) == pytest.approx(expected_gaussian_bound(schedule), abs=4 * error)
    entropy = 0.5 * float((2 * math.pi * math.e * VARIANCE).log().sum())
    assert expected_gaussian_bound(schedule) > entropy


@SCHEDULES
def test_the_estimate_depends_neither_on_the_variances_it_expects_nor_on_the_speed(schedule):
    z = random(1, 1, 1, 3, seed=3).expand(4000, -1, -1, -1)
    denoiser = gaussian_denoiser(PROCESS, VARIANCE)
    found = [
        bound_of(denoiser, schedule, z),
        bound_of(denoiser, schedule, z, variance=VARIANCE.flip(0), seed=2),
        bound_of(denoiser, Reparametrised(schedule, 0.5), z, times=3, seed=3),
    ]
    means = [float(bound.mean()) for bound in found]
    errors = [float(bound.mean(1).std()) / len(z) ** 0.5 for bound in found]
    for mean, error in zip(means[1:], errors[1:], strict=True):
        assert mean == pytest.approx(means[0], abs=4 * math.hypot(error, errors[0]))


@SCHEDULES
def test_the_noise_of_a_gaussian_prediction_leaves_no_error(schedule):
    z, shifts = random(8, 1, 1, 3) * VARIANCE.sqrt(), torch.rand(1, 8).double()
    denoiser = gaussian_denoiser(PROCESS, VARIANCE)
    one, other = (
        variational_bound(
            *(denoiser, schedule, PROCESS, z, VARIANCE, shifts),
            lambda: torch.randn(z.shape).double(),
            times=2,
        )
        for _ in range(2)
    )
    torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def test_the_times_have_the_density_that_is_said_of_them():
    draw = _quantiles(COLUMNS, PROCESS, VARIANCE)
    uniform = (torch.arange(20000).double() + 0.5) / 20000
    t, density = draw(uniform)
    assert (t.diff() > 0).all() and float(t[0]) >= 0 and float(t[-1]) <= 1
    assert float((t.square() / density).mean()) == pytest.approx(1 / 3, rel=1e-3)
    assert float((1 / density).mean()) == pytest.approx(1, rel=1e-3)


MEANS = torch.tensor([[1.5, 0.0, 0.1], [-1.5, 0.3, -0.1]], dtype=torch.float64)
WIDTHS = torch.tensor([0.3, 0.2, 0.1], dtype=torch.float64)


def mixture(state):
    """Means and standard deviations of a mixture of two Gaussians, noised."""
    means = state.alpha[:, None] * MEANS
    return means, state.variance(WIDTHS.square()).sqrt()[:, None]


def mixture_log_prob(z, means, widths):
    normal = torch.distributions.Normal(means, widths)
    return normal.log_prob(z.flatten(1)[:, None]).sum(2).logsumexp(1) - math.log(2)


def mixture_denoiser(z, state):
    """E[eps | z] = -sigma times the score of the mixture."""
    x = z.flatten(1)
    means, widths = mixture(state)
    normal = torch.distributions.Normal(means, widths)
    weights = normal.log_prob(x[:, None]).sum(2).softmax(1)
    score = (weights[..., None] * (means - x[:, None]) / widths**2).sum(1)
    return -per_component(state.sigma, z) * score.view_as(z)


MIXTURE_VARIANCE = WIDTHS.square() + MEANS.var(0, correction=0)
MIXTURE_PATH = SoftConditioning(MIXTURE_VARIANCE.log(), -MIXTURE_VARIANCE.log(), 0.7, -3.0, 8.0)


def mixture_data(count):
    which = torch.arange(count) % 2
    return (MEANS[which] + WIDTHS * random(count, 3)).view(count, 1, 1, 3)


@pytest.mark.parametrize("settings", [{"steps": 48}, {}], ids=["fixed", "adaptive"])
def test_adams_gives_the_density_of_a_mixture(settings):
    """The exact flow ends in the noised data at t = 0, up to the prior's distance from t = 1."""
    z = mixture_data(16)
    found = log_likelihood(
        mixture_denoiser,
        MIXTURE_PATH,
        PROCESS,
        z,
        basis_probes(z),
        method="adams",
        rtol=1e-4,
        atol=1e-4,
        standardise=MIXTURE_VARIANCE,
        **settings,
    )
    exact = mixture_log_prob(z, *mixture(MIXTURE_PATH(torch.zeros(16))))
    torch.testing.assert_close(found.log_prob.mean(1), exact, rtol=0, atol=0.02)


def test_both_bounds_lie_below_the_density_of_the_model_and_agree_for_an_exact_network():
    """The model is the data with twice the noise of t = 0, once noised and once drawn from it."""
    count = 6000
    z = mixture_data(count)
    start = MIXTURE_PATH(torch.zeros(count))
    at_start, correction = noise_data(MIXTURE_PATH, PROCESS, z, random(*z.shape, seed=5))
    noised = mixture_log_prob(at_start, *mixture(start)) + correction
    bound = bound_of(mixture_denoiser, MIXTURE_PATH, z, variance=MIXTURE_VARIANCE).mean(1)
    extended = (WIDTHS.square() + 2 * start.gamma.exp()).sqrt()[:, None]
    density = mixture_log_prob(z, MEANS, extended)
    data = mixture_log_prob(z, MEANS, WIDTHS)
    for lower, upper in ((noised, density), (bound, density), (density, data)):
        gap = upper - lower
        assert float(gap.mean()) > 4 * float(gap.std()) / count**0.5
    difference = bound - noised
    assert abs(float(difference.mean())) < 4 * float(difference.std()) / count**0.5 + 1e-3
