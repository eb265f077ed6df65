import functools

import numpy as np
import pytest
import torch
from gaussian import Gaussian, component_covariance, image_covariance, representation
from gaussian import soft_conditioning as schedule_of

from gud.diffusion.processes import OrnsteinUhlenbeck
from gud.diffusion.samplers import (
    SAMPLERS,
    Ancestral,
    EulerMaruyama,
    Options,
    ReverseProcess,
    noise_of,
    sample_ode,
    sample_sde,
)
from gud.diffusion.samplers.stepwise import Stretch
from gud.diffusion.schedules import Reparametrised, column_schedule
from gud.errors import InputError
from gud.randomness import ImageStreams

PROCESS = OrnsteinUhlenbeck()
sample_euler_maruyama = functools.partial(sample_sde, method=EulerMaruyama())
sample_ancestral = functools.partial(sample_sde, method=Ancestral())


def setting(name: str, whitened: bool, a: float):
    covariance = image_covariance(1, seed=0)
    components = representation(name, covariance, whitened)
    gaussian = Gaussian(component_covariance(covariance, components), channels=1)
    return gaussian, schedule_of(components, a)


def streams(images, name="steps", seed=0):
    return ImageStreams("cpu", seed, name, images)


@pytest.mark.parametrize("name", ["pixel", "pca", "fourier", "haar"])
@pytest.mark.parametrize("whitened", [False, True], ids=["isotropic", "variance_matching"])
def test_ode_samples_have_exactly_the_covariance_of_the_flow(name, whitened, record_property):
    gaussian, schedule = setting(name, whitened, a=1.3)
    unit = torch.eye(16, dtype=torch.float64)[:, None, None]
    z, evaluations = sample_ode(
        gaussian.denoiser(PROCESS), schedule, PROCESS, unit, rtol=1e-7, atol=1e-7
    )
    root = z.flatten(1).numpy().T
    flow = gaussian.flow(schedule)
    expected = np.linalg.inv(flow.matrix)
    np.testing.assert_allclose(root @ root.T, expected @ expected.T, rtol=1e-4, atol=1e-5)
    record_property("evaluations", evaluations)


def test_ode_samples_depend_on_the_path_and_not_on_its_speed():
    gaussian, schedule = setting("haar", whitened=False, a=1.0)
    z = streams(range(3)).normal((1, 1, 16)).double()
    plain, warped = (
        sample_ode(gaussian.denoiser(PROCESS), s, PROCESS, z, rtol=1e-5, atol=1e-5)[0]
        for s in (schedule, Reparametrised(schedule, 0.5))
    )
    assert torch.equal(plain, warped)


def euler_maruyama_covariance(gaussian, schedule, steps, start, noise_free_last_step=True):
    """Covariance of Euler-Maruyama's samples by the recursion of its moments, in NumPy."""
    gamma = schedule.gamma(torch.linspace(1, 0, steps + 1, dtype=torch.float64)).numpy()
    covariance = start
    for i, (now, after) in enumerate(zip(gamma[:-1], gamma[1:], strict=True)):
        alpha, noise = 1 / np.sqrt(1 + np.exp(now)), 1 / (1 + np.exp(-now))
        marginal = alpha[:, None] * gaussian.covariance * alpha + np.diag(noise)
        step = np.log1p(np.exp(now)) - np.log1p(np.exp(after))
        factor = np.eye(16) + step[:, None] * (np.eye(16) / 2 - np.linalg.inv(marginal))
        covariance = factor @ covariance @ factor.T
        if i + 1 < steps or not noise_free_last_step:
            covariance = covariance + np.diag(step)
    return covariance


@pytest.mark.slow
@pytest.mark.parametrize(
    ("whitened", "power"), [(False, 1.0), (True, 0.5)], ids=["isotropic", "whitened, warped"]
)
def test_euler_maruyama_samples_have_the_covariance_of_the_flow(whitened, power, record_property):
    """4000 independent channels of 4 images stand for 4000 images of one channel each."""
    gaussian, schedule = setting("fourier", whitened, a=1.0)
    if power != 1:
        schedule = Reparametrised(schedule, power)
    exact = gaussian.denoiser(PROCESS)

    def denoiser(z, state):
        return exact(z.flatten(0, 2)[:, None, None], state).view_as(z)

    z = streams(range(4), "prior").normal((1, 1000, 16)).double()
    z = sample_euler_maruyama(
        denoiser, schedule, PROCESS, z, streams(range(4)), steps=1000, noise_free_last_step=False
    )
    samples = z.flatten(0, 2).numpy()
    expected = euler_maruyama_covariance(gaussian, schedule, 1000, np.eye(16), False)
    variance = np.diag(expected)
    error = np.sqrt((np.outer(variance, variance) + expected**2) / len(samples))
    deviation = abs(np.cov(samples.T) - expected) / error
    assert deviation.max() < 4.5
    flow = np.linalg.inv(gaussian.flow(schedule.path).matrix)
    bias = abs(expected - flow @ flow.T) / error
    assert bias.max() < 4.5
    record_property("largest deviation in standard errors", float(deviation.max()))
    record_property("largest bias in standard errors", float(bias.max()))


def test_euler_maruyama_has_weak_order_1():
    gaussian, schedule = setting("fourier", whitened=False, a=1.0)
    flow = gaussian.flow(schedule)
    errors = [
        np.linalg.norm(
            euler_maruyama_covariance(gaussian, schedule, steps, flow.end, False) - flow.start
        )
        for steps in (1000, 2000, 4000)
    ]
    assert np.log2(np.divide(errors[:-1], errors[1:])) == pytest.approx([1, 1], abs=0.1)


def test_samples_do_not_depend_on_how_images_are_split_into_batches():
    gaussian, schedule = setting("pixel", whitened=False, a=1.0)

    def sample(images):
        z = PROCESS.prior_sample(streams(images, "prior").normal((1, 1, 16))).double()
        return sample_euler_maruyama(
            gaussian.denoiser(PROCESS), schedule, PROCESS, z, streams(images), steps=20
        )

    together = sample(range(5))
    torch.testing.assert_close(torch.cat([sample([0, 1]), sample([2, 3, 4])]), together)
    assert torch.equal(sample(range(5)), together)
    assert not torch.allclose(sample([5]), together[:1])


@pytest.mark.parametrize("draw", ["normal", "uniform", "rademacher"])
def test_streams_of_an_image_depend_on_seed_name_and_image_alone(draw):
    def numbers(images, name="a", seed=0):
        stream = streams(images, name, seed)
        return torch.cat([getattr(stream, draw)((3, 7)) for _ in range(2)], dim=1)

    together = numbers([4, 5, 6])
    assert together.shape == (3, 6, 7)
    assert torch.equal(numbers([6, 4]), together[[2, 0]])
    assert not torch.equal(together[0], together[1])
    assert not torch.equal(together[:, :3], together[:, 3:])
    assert not torch.equal(numbers([4], name="b"), together[:1])
    assert not torch.equal(numbers([4], seed=1), together[:1])


def test_rademacher_draws_are_signs():
    signs = streams(range(10)).rademacher((100,))
    assert set(signs.unique().tolist()) == {-1.0, 1.0}
    assert abs(signs.mean()) < 4 / 1000**0.5


def test_the_last_step_is_noise_free_where_asked():
    gaussian, schedule = setting("pixel", whitened=False, a=1.0)
    z = streams(range(2), "prior").normal((1, 1, 16)).double()

    def sample(seed, noise_free):
        return sample_euler_maruyama(
            gaussian.denoiser(PROCESS),
            schedule,
            PROCESS,
            z,
            streams(range(2), seed=seed),
            steps=1,
            noise_free_last_step=noise_free,
        )

    assert torch.equal(sample(0, True), sample(1, True))
    assert not torch.allclose(sample(0, False), sample(1, False))


def test_every_step_costs_one_evaluation_and_is_reported():
    gaussian, schedule = setting("pixel", whitened=False, a=1.0)
    exact, calls, steps = gaussian.denoiser(PROCESS), [], []

    def denoiser(z, state):
        calls.append(float(state.gamma[0, 0]))
        return exact(z, state)

    def progress(numbers):
        for number in numbers:
            steps.append(number)
            yield number

    z = streams([0]).normal((1, 1, 16)).double()
    sample_euler_maruyama(denoiser, schedule, PROCESS, z, streams([0]), steps=6, progress=progress)
    assert steps == list(range(6))
    first, last = schedule.gamma(torch.tensor([1.0, 1 / 6], dtype=torch.float64))[:, 0].tolist()
    assert (calls[0], calls[-1], len(calls)) == (first, pytest.approx(last), 6)


@pytest.mark.parametrize("method", [name for name in SAMPLERS if name != "ode"])
def test_samples_that_are_not_finite_are_refused(method):
    _, schedule = setting("pixel", whitened=False, a=1.0)

    def denoiser(z, state):
        return torch.full_like(z, torch.inf)

    reverse = ReverseProcess(denoiser, schedule, PROCESS, torch.ones(16).double())
    z, noise = streams([0], "prior").normal((1, 1, 16)), noise_of(streams([0]))
    with pytest.raises(InputError, match="values that are not finite"):
        SAMPLERS[method](reverse, z, noise, Options(steps=4))


@pytest.mark.parametrize("now, after", [(0.9, 0.2), (1.0, 0.0), (0.5, 0.45)])
def test_an_ancestral_step_of_any_size_is_exact_for_known_data(now, after):
    _, schedule = setting("haar", whitened=False, a=1.3)
    times = torch.tensor([now, after], dtype=torch.float64)
    states = [schedule(times[i : i + 1]) for i in (0, 1)]
    value = torch.linspace(-2, 2, 16, dtype=torch.float64)

    def denoiser(z, state):
        return (z - state.alpha[:, None, None] * value) / state.sigma[:, None, None]

    stretch = Stretch(
        ReverseProcess(denoiser, schedule, PROCESS, torch.ones(16).double()), times, 0
    )

    def step(z, noise):
        return Ancestral().step(stretch, z[:, None, None], noise, ())[0]

    z = states[0].alpha * value
    mean, shifted = step(z, None), step(z + states[0].sigma, None)
    spread = step(z, torch.ones_like) - mean
    torch.testing.assert_close(mean[0, 0, 0], states[1].alpha[0] * value)
    variance = (shifted - mean) ** 2 + spread**2
    torch.testing.assert_close(variance[0, 0, 0], states[1].sigma[0] ** 2)


def test_ancestral_samples_have_the_covariance_of_the_flow_in_the_limit_of_many_steps():
    """4000 independent channels of 4 images stand for 4000 images of one channel each."""
    gaussian, schedule = setting("fourier", whitened=False, a=0.6)
    exact = gaussian.denoiser(PROCESS)

    def denoiser(z, state):
        return exact(z.flatten(0, 2)[:, None, None], state).view_as(z)

    z = streams(range(4), "prior").normal((1, 1000, 16)).double()
    z = sample_ancestral(denoiser, schedule, PROCESS, z, streams(range(4)), steps=400)
    samples = z.flatten(0, 2).numpy()
    flow = np.linalg.inv(gaussian.flow(schedule).matrix)
    expected = flow @ flow.T
    variance = np.diag(expected)
    error = np.sqrt((np.outer(variance, variance) + expected**2) / len(samples))
    assert (abs(np.cov(samples.T) - expected) / error).max() < 4.5


@pytest.mark.parametrize("method", [name for name in SAMPLERS if name != "ode"])
def test_a_component_whose_clock_stands_still_keeps_its_value_to_the_bit(method):
    schedule = column_schedule(torch.tensor([0, 1, 2]), 0.8, -7.0, 5.0)
    z = torch.randn(2, 1, 1, 3, generator=torch.Generator().manual_seed(0))
    reverse = ReverseProcess(
        lambda z, _: torch.ones_like(z), schedule, PROCESS, torch.ones(3).double()
    )
    # The middle column alone is noised between these times.
    times = torch.tensor([0.57, 0.5, 0.43], dtype=torch.float64)
    moved, memory = z, ()
    for number in range(2):
        moved, memory = SAMPLERS[method].step(
            Stretch(reverse, times, number), moved, torch.ones_like, memory
        )
    assert torch.equal(moved[..., ::2], z[..., ::2])
    assert not torch.isclose(moved[..., 1], z[..., 1]).any()
