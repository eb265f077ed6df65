"""Samplers in phase space on correlated Gaussian data with the exact joint score."""

import every_process
import numpy as np
import pytest
import torch
from gaussian import Gaussian

from gud.diffusion.noising import NoisingState
from gud.diffusion.samplers import GRIDS, SAMPLERS, Options, ReverseProcess, noise_of
from gud.diffusion.samplers.stepwise import stretches
from gud.diffusion.schedules import SoftConditioning
from gud.randomness import ImageStreams

DATA = np.array([[1.5, 0.6, -0.2], [0.6, 0.7, 0.3], [-0.2, 0.3, 0.9]])
ORDERING = torch.tensor([0.0, 0.8, 1.5], dtype=torch.float64)
SCHEDULE = SoftConditioning(torch.zeros(3).double(), ORDERING, 0.6, -4.0, 4.0)
GAUSSIAN = Gaussian(DATA, channels=1)
PROCESSES = {name: every_process.PROCESSES[name] for name in ("psld", "cld")}


def marginal(process, t: float) -> np.ndarray:
    """The covariance of the state over (k, components)."""
    state = SCHEDULE(torch.tensor([t], dtype=torch.float64))
    mean, factor = (
        m[0].numpy() for m in (process.transition(state)[:, :, 0], process.factor(state))
    )
    covariance = np.einsum("an,nm,bm->anbm", mean, DATA, mean)
    for i in range(3):
        covariance[:, i, :, i] += factor[..., i] @ factor[..., i].T
    return covariance.reshape(2 * process.k + 2, -1)


def after_steps(process, method: str, evaluations: int) -> np.ndarray:
    """Covariance of the samples from the marginal at t = 1, by the moments of each step."""
    sampler, k, size = SAMPLERS[method], process.k, 3 * process.k
    reverse = ReverseProcess(GAUSSIAN.denoiser(process), SCHEDULE, process, torch.ones(3).double())
    covariance, draws = marginal(process, 1.0), size * sampler.draws
    for stretch, _ in stretches(reverse, Options(steps=evaluations), sampler.evaluations):
        unit = torch.eye(size).double().view(size, k, 1, 3)
        linear = sampler.step(stretch, unit, None, ())[0].flatten(1).numpy()
        fresh = iter(torch.eye(draws).double().view(draws, sampler.draws, k, 1, 3).unbind(1))
        still = torch.zeros(draws, k, 1, 3).double()
        noise = sampler.step(stretch, still, lambda _, fresh=fresh: next(fresh), ())[0]
        noise = noise.flatten(1).numpy()
        covariance = linear.T @ covariance @ linear + noise.T @ noise
    return covariance


@pytest.mark.slow
@pytest.mark.parametrize(("process", "method"), [("psld", "sscs"), ("cld", "euler_maruyama")])
def test_the_samplers_have_weak_order_1_as_published(process, method):
    """SSCS too: its score is that of the step's beginning, and its middle part a step of Euler."""
    exact = marginal(PROCESSES[process], 0.0)
    errors = [
        np.linalg.norm(after_steps(PROCESSES[process], method, steps) - exact)
        for steps in (50, 100)
    ]
    assert np.log2(np.divide(errors[:-1], errors[1:])) == pytest.approx([1], abs=0.15)


@pytest.mark.slow
@pytest.mark.parametrize("process", PROCESSES)
def test_the_midpoint_rule_in_the_middle_of_a_splitting_has_weak_order_2(process):
    """And, at the same number of evaluations, less than a fifth of the error at 50."""
    exact = marginal(PROCESSES[process], 0.0)
    first, second, published = (
        np.linalg.norm(after_steps(PROCESSES[process], method, evaluations) - exact)
        for method, evaluations in (("sscs2", 50), ("sscs2", 100), ("sscs", 50))
    )
    assert np.log2(first / second) == pytest.approx(2, abs=0.15)
    assert first < published / 5


@pytest.mark.parametrize(
    ("steps", "denoise", "taken"), [(50, True, 49), (50, False, 50), (1, False, 2)]
)
def test_two_evaluations_a_step_are_counted_within_the_budget(steps, denoise, taken):
    process, calls = PROCESSES["psld"], []

    def denoiser(z, state):
        calls.append(1)
        return GAUSSIAN.denoiser(process)(z, state)

    reverse = ReverseProcess(denoiser, SCHEDULE, process, torch.ones(3).double())
    z = process.prior_sample(torch.zeros(1, 2, 1, 3).double())
    options = Options(steps=steps, denoise=denoise)
    _, evaluations = SAMPLERS["sscs2"](reverse, z, torch.randn_like, options)
    assert (evaluations, len(calls)) == (taken, taken)


@pytest.mark.parametrize(
    ("process", "method", "grid"),
    [
        ("psld", "euler_maruyama", "uniform"),
        ("cld", "sscs", "uniform"),
        ("psld", "sscs", "quadratic"),
        ("psld", "ode", "uniform"),
    ],
)
def test_samples_have_the_covariance_of_the_data(process, method, grid):
    """4000 independent channels of 4 images stand for 4000 images of one channel each."""
    process, exact = PROCESSES[process], GAUSSIAN.denoiser(PROCESSES[process])

    def denoiser(z, state):
        channels = z.movedim(2, 1).flatten(0, 1)[:, :, None]
        # Steps of an adaptive method are those of each image.
        gamma = state.gamma.repeat_interleave(len(channels) // len(z), 0)
        return (
            exact(channels, NoisingState(gamma, torch.zeros_like(gamma)))
            .view(len(z), -1, *z.shape[1:2], 3)
            .movedim(1, 2)
        )

    noise = ImageStreams("cpu", 0, "prior", range(4)).normal((2, 1000, 3)).double()
    reverse = ReverseProcess(denoiser, SCHEDULE, process, torch.ones(3).double())
    steps = noise_of(ImageStreams("cpu", 0, "steps", range(4)))
    options = Options(steps=100, grid=GRIDS[grid], rtol=1e-5, atol=1e-5)
    z, _ = SAMPLERS[method](reverse, process.prior_sample(noise), steps, options)
    samples = z[:, 0].flatten(0, 1).numpy()
    expected = marginal(process, 0.0)[:3, :3]
    variance = np.diag(expected)
    error = np.sqrt((np.outer(variance, variance) + expected**2) / len(samples))
    bias = 0 if method == "ode" else 0.06
    assert (abs(np.cov(samples.T) - expected) < 4 * error + bias).all()
