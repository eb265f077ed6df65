"""Samplers for one number a component in phase space, on Gaussian data with the exact joint score.

Their steps are linear there: that of every unit vector and of every number of their noise gives the
covariance of the samples, without any of the moments that the samplers themselves go by.
"""

import itertools

import every_process
import numpy as np
import pytest
import torch
from gaussian import Gaussian

from gud.diffusion.processes import (
    OrnsteinUhlenbeck,
    PhaseSpaceLangevin,
)
from gud.diffusion.samplers import SAMPLERS, Options, ReverseProcess
from gud.diffusion.samplers.bias import sampled_variance
from gud.diffusion.samplers.projected import ProjectedPath
from gud.diffusion.schedules import SoftConditioning

DATA = np.array([[1.5, 0.6, -0.2], [0.6, 0.7, 0.3], [-0.2, 0.3, 0.9]])
INDEPENDENT = np.diag(np.diag(DATA))
VARIANCE = torch.from_numpy(np.diag(DATA).copy())
ORDERING = torch.tensor([0.0, 0.8, 1.5], dtype=torch.float64)
SCHEDULE = SoftConditioning(torch.zeros(3).double(), ORDERING, 0.6, -4.0, 4.0)
PROCESSES = {
    "psld, its own clock": PhaseSpaceLangevin(0.02, 4.02, 0.04),
    **{name: every_process.PROCESSES[name] for name in ("psld", "cld", "third order")},
}
METHODS = [name for name in SAMPLERS if name.startswith(("exponential", "corrected"))]


def reverse_of(process, data):
    return ReverseProcess(Gaussian(data, channels=1).denoiser(process), SCHEDULE, process, VARIANCE)


def marginal(process, t: float, data: np.ndarray) -> np.ndarray:
    """The covariance of the state over (k, components)."""
    state = SCHEDULE(torch.tensor([t], dtype=torch.float64))
    mean, factor = process.transition(state)[0, :, 0].numpy(), process.factor(state)[0].numpy()
    covariance = np.einsum("an,nm,bm->anbm", mean, data, mean)
    for i in range(3):
        covariance[:, i, :, i] += factor[..., i] @ factor[..., i].T
    return covariance.reshape(3 * process.k, -1)


def covariance_after(
    process, method: str, data: np.ndarray, steps: int, start: np.ndarray | None = None, **options
) -> np.ndarray:
    """Covariance of the states that a sampler makes of a start, the marginal at t = 1 if none."""
    k, size = process.k, 3 * process.k
    columns = itertools.count(size)
    z = torch.zeros(size + size * SAMPLERS[method].draws * steps, k, 1, 3).double()
    z[:size] = torch.eye(size).double().view(size, k, 1, 3)

    def noise(z):
        drawn = torch.zeros_like(z)
        for part, component in itertools.product(range(z.shape[1]), range(3)):
            drawn[next(columns), part, 0, component] = 1
        return drawn

    options = Options(steps, **options)
    found = SAMPLERS[method](reverse_of(process, data), z, noise, options)[0].flatten(1).numpy()
    signal, fresh = found[:size], found[size:]
    start = marginal(process, 1.0, data) if start is None else start
    return signal.T @ start @ signal + fresh.T @ fresh


@pytest.mark.parametrize("name", PROCESSES)
@pytest.mark.parametrize("method", METHODS)
def test_exponential_integrators_sample_a_gaussian_by_one_step_in_phase_space(name, method):
    process = PROCESSES[name]
    for noise_free in (True, False):
        found = covariance_after(process, method, INDEPENDENT, 1, noise_free_last_step=noise_free)
        exact = marginal(process, 0.0, INDEPENDENT)
        np.testing.assert_allclose(found, exact, rtol=0, atol=1e-8)
    found = covariance_after(process, method, INDEPENDENT, 1, denoise=True)
    np.testing.assert_allclose(found[:3, :3], INDEPENDENT, rtol=0, atol=1e-8)


@pytest.mark.parametrize("method", ["ancestral", "exponential_sde3", "corrected_ode3"])
def test_the_bias_that_is_told_is_that_of_the_samples(method):
    process = PROCESSES["psld"]
    prior = np.kron(process.prior, np.eye(3))
    exact = covariance_after(process, method, INDEPENDENT, 4, prior)
    told = sampled_variance(SAMPLERS[method], SCHEDULE, process, VARIANCE, Options(4))
    np.testing.assert_allclose(told, np.diag(exact)[:3], rtol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["psld", "cld"])
@pytest.mark.parametrize(
    ("method", "order"),
    [
        ("ancestral", 1),
        ("exponential_ode1", 1),
        ("exponential_ode2", 2),
        ("exponential_ode3", 3),
        ("exponential_sde1", 1),
        ("exponential_sde2", 2),
        ("corrected_ode3", 3),
    ],
)
def test_samplers_for_one_number_keep_their_weak_order_in_phase_space(name, method, order):
    process = PROCESSES[name]
    exact = marginal(process, 0.0, DATA)
    errors = [
        np.linalg.norm(
            covariance_after(process, method, DATA, steps, noise_free_last_step=False) - exact
        )
        for steps in (25, 50)
    ]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.25)


@pytest.mark.parametrize("name", ["psld", "cld"])
def test_at_20_evaluations_extrapolation_has_less_than_a_thirtieth_of_the_error_of_sscs(name):
    process = PROCESSES[name]
    exact = marginal(process, 0.0, DATA)[:3, :3]
    flow, sde, published = (
        np.linalg.norm(covariance_after(process, method, DATA, 20)[:3, :3] - exact)
        for method in ("exponential_ode3", "exponential_sde3", "sscs")
    )
    assert max(flow, sde) < published / 30


@pytest.mark.parametrize("name", PROCESSES)
@pytest.mark.parametrize("method", ["ancestral", "exponential_sde2", "corrected_ode3"])
def test_with_the_exact_score_every_process_has_the_samples_of_ornstein_uhlenbeck(name, method):
    process, ou = PROCESSES[name], OrnsteinUhlenbeck()
    path = ProjectedPath(SCHEDULE, process)
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(5, process.k, 1, 3, generator=generator, dtype=torch.float64)
    exact = Gaussian(DATA, channels=1)
    starts = SCHEDULE(torch.ones(5))
    found = []
    for reverse, start in (
        (ReverseProcess(exact.denoiser(process), SCHEDULE, process, VARIANCE), z),
        (ReverseProcess(exact.denoiser(ou), path, ou, VARIANCE), process.project(z, starts)[0]),
    ):
        fresh = torch.Generator().manual_seed(1)

        def noise(z, fresh=fresh):
            return torch.randn(z.shape, generator=fresh, dtype=z.dtype)

        found.append(SAMPLERS[method](reverse, start, noise, Options(8, denoise=True))[0])
    torch.testing.assert_close(found[0][:, :1], found[1], rtol=1e-6, atol=1e-6)


def test_no_step_takes_the_noise_of_a_number_that_has_none_of_its_own():
    process = PROCESSES["cld"]
    reverse = reverse_of(process, DATA)

    def blind(z, state):
        eps = reverse.denoiser(z, state)
        return torch.cat([torch.zeros_like(eps[:, :1]), eps[:, 1:]], 1)

    z = torch.randn(5, 2, 1, 3, generator=torch.Generator().manual_seed(0)).double()
    seen, unseen = (
        SAMPLERS["exponential_ode3"](one, z, torch.randn_like, Options(10))[0]
        for one in (reverse, ReverseProcess(blind, SCHEDULE, process, VARIANCE))
    )
    torch.testing.assert_close(seen, unseen, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("name", ["psld", "cld"])
def test_single_precision_suffices(name):
    process = PROCESSES[name]
    reverse = reverse_of(process, DATA)
    z = torch.randn(8, process.k, 1, 3, generator=torch.Generator().manual_seed(0)).double()
    double, single = (
        SAMPLERS["exponential_ode3"](reverse, one, torch.randn_like, Options(20))[0]
        for one in (z, z.float())
    )
    torch.testing.assert_close(single.double(), double, rtol=0, atol=1e-4)
