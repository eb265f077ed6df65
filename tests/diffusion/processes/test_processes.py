import numpy as np
import pytest
import torch
from gaussian import Gaussian, image_covariance, solve_moments
from scipy.integrate import solve_ivp
from scipy.linalg import expm
from scipy.special import expit

from gud.diffusion.likelihood import basis_probes, log_likelihood
from gud.diffusion.noising import NoisingState
from gud.diffusion.processes import (
    CriticallyDampedLangevin,
    OrnsteinUhlenbeck,
    PhaseSpaceLangevin,
    ThirdOrderLangevin,
    per_component,
)
from gud.diffusion.schedules import SoftConditioning

PSLD = PhaseSpaceLangevin(0.4, 4.4, 0.04)
PROCESSES = {
    "ou": OrnsteinUhlenbeck(),
    "psld": PSLD,
    "cld": CriticallyDampedLangevin(4.0, 0.04, clock="snr"),
    "third order": ThirdOrderLangevin(0.04),
}
GAMMA = torch.tensor([[-3.0, 0.1, 2.5], [-1.0, 1.0, 4.0]], dtype=torch.float64)


@pytest.fixture(params=PROCESSES)
def process(request):
    return PROCESSES[request.param]


@pytest.fixture
def state():
    return NoisingState(GAMMA, torch.ones_like(GAMMA))


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def moments(process, tau: float) -> tuple[np.ndarray, np.ndarray]:
    """exp(A tau) and the covariance, from SciPy alone."""
    a, b = np.array(process.drift), np.array(process.diffusion)

    def velocity(_, y):
        c = y.reshape(a.shape)
        return (a @ c + c @ a.T + b @ b.T).ravel()

    start = np.diag([0.0, *process.start])
    solution = solve_ivp(velocity, (0, tau), start.ravel(), rtol=1e-11, atol=1e-13)
    return expm(a * tau), solution.y[:, -1].reshape(a.shape)


def test_transition_and_covariance_solve_the_moment_equations(process, state):
    transition, factor = process.transition(state), process.factor(state)
    for b in range(2):
        for i in range(3):
            mean, covariance = moments(process, float(process.clock(state)[b, i]))
            lower = factor[b, :, :, i].numpy()
            np.testing.assert_allclose(transition[b, :, :, i], mean, atol=1e-9)
            np.testing.assert_allclose(lower @ lower.T, covariance, atol=1e-9)
            np.testing.assert_array_equal(lower, np.tril(lower))
            inverse = process.inverse_factor(state)[b, :, :, i].numpy()
            np.testing.assert_allclose(inverse @ lower, np.eye(process.k), atol=1e-10)


def test_perturbed_states_have_the_moments_of_the_transition(process, generator):
    gamma = GAMMA[:1].expand(20000, 3)
    state = NoisingState(gamma, torch.ones_like(gamma))
    z0 = torch.randn(1, process.k, 2, 3, generator=generator).double()
    noise = torch.randn(20000, process.k, 2, 3, generator=generator).double()
    z = process.perturb(z0.expand_as(noise), state, noise)
    for i in range(3):
        mean, covariance = moments(process, float(process.clock(state)[0, i]))
        sample = z[..., i].numpy()
        error = np.sqrt(np.diag(covariance) / 20000)[:, None]
        assert (abs(sample.mean(0) - mean @ z0[0, ..., i].numpy()) < 4.5 * error).all()
        for channel in range(2):
            measured = np.cov(sample[:, :, channel].T).reshape(covariance.shape)
            spread = np.outer(np.diag(covariance), np.diag(covariance)) + covariance**2
            assert (abs(measured - covariance) < 4.5 * np.sqrt(spread / 20000)).all()


def test_score_of_the_noise_is_the_gradient_of_the_log_density(process, state, generator):
    z0 = torch.randn(2, process.k, 2, 3, generator=generator).double()
    noise = torch.randn(2, process.k, 2, 3, generator=generator).double()
    z = process.perturb(z0, state, noise).requires_grad_()
    log_prob = torch.zeros(())
    for b in range(2):
        for i in range(3):
            mean, covariance = map(
                torch.from_numpy, moments(process, float(process.clock(state)[b, i]))
            )
            for channel in range(2):
                density = torch.distributions.MultivariateNormal(
                    mean @ z0[b, :, channel, i], covariance
                )
                log_prob = log_prob + density.log_prob(z[b, :, channel, i])
    (gradient,) = torch.autograd.grad(log_prob, z)
    torch.testing.assert_close(process.score(noise, state), gradient, rtol=1e-6, atol=1e-6)


def test_drifts_are_those_of_the_recipe(process, generator):
    z, score = torch.randn(2, 3, process.k, 2, 5, generator=generator).double()
    a = torch.tensor(process.drift, dtype=torch.float64)
    b = torch.tensor(process.diffusion, dtype=torch.float64)

    def times(matrix, states):
        return torch.einsum("ij,bjcn->bicn", matrix, states)

    linear, power = times(a, z), times(b @ b.T, score)
    torch.testing.assert_close(process.reverse_drift(z, score), linear - power)
    torch.testing.assert_close(process.flow(z, score), linear - power / 2)
    torch.testing.assert_close(process.diffuse(z), times(b, z))


def test_the_prior_is_stationary(process):
    a, b, c = (np.array(m) for m in (process.drift, process.diffusion, process.prior))
    np.testing.assert_allclose(a @ c + c @ a.T, -b @ b.T, atol=1e-12)


def test_quantities_of_components_broadcast_over_k_and_channels_in_the_precision_of_states():
    values = torch.arange(6, dtype=torch.float64).view(2, 3)
    z = torch.zeros(2, 2, 4, 3)
    broadcast = per_component(values, z)
    assert broadcast.dtype == torch.float32
    assert torch.equal((z + broadcast)[1, 1, 3], torch.tensor([3.0, 4.0, 5.0]))


@pytest.mark.slow
def test_phase_space_likelihood_of_gaussian_data_is_that_of_its_moment_equation():
    process, n = PSLD, 4
    covariance = image_covariance(1, seed=3)[:n, :n]
    log_variance = torch.from_numpy(np.log(np.diag(covariance)))
    schedule = SoftConditioning(log_variance, -log_variance, 0.8, -3.0, 5.0)
    gamma_min, delta = schedule.gamma_min.numpy(), float(schedule.delta_gamma)

    data = np.zeros((2 * n, 2 * n))
    data[:n, :n] = covariance
    data[n:, n:] = np.eye(n) * process.start[0]
    tau = np.log1p(np.exp(gamma_min))
    start = solve_moments(lambda t: tau, process.drift, process.diffusion, data).end
    flow = solve_moments(
        lambda t: expit(gamma_min + t * delta) * delta, process.drift, process.diffusion, start
    )

    gaussian = Gaussian(covariance, channels=1)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(3, 2, 1, n, generator=generator).double()
    z = process.perturb(gaussian.sample(3, k=2, seed=1), schedule(torch.zeros(3)), noise)
    result = log_likelihood(
        gaussian.denoiser(process),
        schedule,
        process,
        z,
        basis_probes(z),
        method="tsit5",
        rtol=1e-7,
        atol=1e-7,
    )
    exact = flow.log_prob(z.flatten(1).numpy(), np.repeat(np.diag(process.prior), n))
    np.testing.assert_allclose(result.log_prob.mean(1), exact, atol=1e-4)
