"""The variational bound of every process, on correlated Gaussian data with the exact score."""

import math
from functools import cache

import every_process
import numpy as np
import pytest
import torch
from gaussian import Gaussian
from scipy.integrate import solve_ivp

from gud.diffusion.likelihood import (
    basis_probes,
    log_likelihood,
    noise_data,
    variational_bound,
)
from gud.diffusion.processes import (
    PhaseSpaceLangevin,
)
from gud.diffusion.schedules import SoftConditioning

COVARIANCE = np.array([[2.0, 0.5, -0.1], [0.5, 0.6, 0.15], [-0.1, 0.15, 0.08]])
VARIANCE = torch.from_numpy(np.diag(COVARIANCE).copy())
DATA = Gaussian(COVARIANCE, 1)
SCHEDULE = SoftConditioning(VARIANCE.log(), -VARIANCE.log(), 0.6, -3.0, 6.0)
PROCESSES = every_process.PROCESSES | {
    "psld, its own clock": PhaseSpaceLangevin(0.02, 4.02, 0.04, clock="own")
}
EVERY = pytest.mark.parametrize("name", PROCESSES)
COUNT = 1500


def normal(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


def bound_of(denoiser, process, z, times=6, replicates=2):
    generator = torch.Generator().manual_seed(1)
    shifts = torch.rand(replicates, len(z), generator=generator).double()
    noise = lambda: torch.randn(z.shape, generator=generator).double()  # noqa: E731
    return variational_bound(
        denoiser, SCHEDULE, process, z, VARIANCE, shifts, noise, times=times
    ).mean(1)


def moments_at(process, t):
    """Mean per unit of data, and covariance given the data, of each component, by SciPy."""
    k, a = process.k, np.array(process.drift)
    power = np.array(process.diffusion) @ np.array(process.diffusion).T
    clocks = process.clock(SCHEDULE(torch.tensor([t])))[0].tolist()

    def velocity(_, y):
        mean, covariance = y[:k], y[k:].reshape(k, k)
        change = a @ covariance + covariance @ a.T + power
        return np.concatenate([a @ mean, change.ravel()])

    start = np.concatenate([np.eye(k)[0], np.diag([0.0, *process.start]).ravel()])
    ends = [
        solve_ivp(velocity, (0, tau), start, method="DOP853", rtol=1e-10, atol=1e-14).y[:, -1]
        for tau in clocks
    ]
    floor = getattr(process, "floor", 0.0) * np.eye(k)
    return [(end[:k], end[k:].reshape(k, k) + floor) for end in ends]


def information(moments):
    """Of z(t) on correlated data, nats: log det(cov of z) - log det(cov of z given data), half."""
    k = len(moments[0][0])
    signal = np.zeros((3 * k, 3))
    noise = np.zeros((3 * k, 3 * k))
    for i, (mean, covariance) in enumerate(moments):
        block = slice(i * k, i * k + k)
        signal[block, i], noise[block, block] = mean, covariance
    whole = signal @ COVARIANCE @ signal.T + noise
    return (np.linalg.slogdet(whole)[1] - np.linalg.slogdet(noise)[1]) / 2


@cache
def expected_bound(name):
    """Mean of -bound: reconstruction, prior, and the information that the process takes away."""
    process = PROCESSES[name]
    first, last = moments_at(process, 0.0), moments_at(process, 1.0)
    prior = np.array(process.prior)
    cost = 0.0
    for i in range(3):
        mean, covariance = first[i]
        cost += (1 + math.log(2 * math.pi) - math.log(mean @ np.linalg.solve(covariance, mean))) / 2
        mean, covariance = last[i]
        spread = np.linalg.solve(prior, covariance + COVARIANCE[i, i] * np.outer(mean, mean))
        ratio = np.linalg.slogdet(covariance)[1] - np.linalg.slogdet(prior)[1]
        cost += (np.trace(spread) - process.k - ratio) / 2
    return cost + information(first) - information(last)


@EVERY
def test_the_bound_of_correlated_gaussian_data_is_what_integrated_moments_say(name):
    process = PROCESSES[name]
    z = DATA.sample(COUNT, process.k, seed=0)
    found = -bound_of(DATA.denoiser(process), process, z)
    error = float(found.std()) / COUNT**0.5
    assert error < 0.1
    assert float(found.mean()) == pytest.approx(expected_bound(name), abs=4 * error)


@EVERY
def test_the_bound_is_above_the_cost_under_the_model_and_that_is_above_the_entropy(name):
    """An exact model's data have twice the noise of t = 0: once noised, once drawn from it."""
    noise = [1 / (mean @ np.linalg.solve(s, mean)) for mean, s in moments_at(PROCESSES[name], 0.0)]
    model = COVARIANCE + 2 * np.diag(noise)
    log_det = np.linalg.slogdet(2 * math.pi * model)[1]
    cost = 0.5 * (log_det + np.trace(np.linalg.solve(model, COVARIANCE)))
    entropy = 0.5 * np.linalg.slogdet(2 * math.pi * math.e * COVARIANCE)[1]
    assert entropy < cost < expected_bound(name)


def test_equal_noise_levels_cost_the_same_in_every_process_but_for_the_prior():
    for name in ("psld", "cld", "third order"):
        assert expected_bound(name) == pytest.approx(expected_bound("ou"), abs=0.02), name


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ou", "psld", "cld"])
def test_the_bound_costs_as_much_as_the_flow_that_starts_with_noise_if_the_score_is_exact(name):
    """Both bound the density of the same model; paired, as the data are the same."""
    process = PROCESSES[name]
    denoiser = DATA.denoiser(process)
    z = DATA.sample(128, process.k, seed=3)
    start, correction = noise_data(SCHEDULE, process, z, normal(*z.shape, seed=2))
    flow = log_likelihood(
        denoiser,
        SCHEDULE,
        process,
        start,
        basis_probes(z),
        method="rk4",
        rtol=0.0,
        atol=0.0,
        steps=32,
    )
    gap = flow.log_prob.mean(1) + correction - bound_of(denoiser, process, z, times=32)
    error = float(gap.std()) / len(gap) ** 0.5
    assert error < 0.3
    assert abs(float(gap.mean())) < 4 * error


def test_an_error_in_a_number_without_noise_costs_nothing():
    process = PROCESSES["cld"]
    error = torch.zeros(4, 2, 1, 3).double()
    error[:, 0] = 1
    state = SCHEDULE(torch.linspace(0.1, 0.9, 4))
    assert float(process.divergence_rate(error, state).abs().max()) == 0
    assert (process.divergence_rate(error.flip(1), state) > 0).all()
