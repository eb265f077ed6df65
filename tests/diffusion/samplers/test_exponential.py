"""The order of exponential integrators on a mixture of Gaussians, whose exact noise is known."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from gud.diffusion.processes import OrnsteinUhlenbeck
from gud.diffusion.samplers import GRIDS, SAMPLERS, Options, ReverseProcess, sample_ode
from gud.diffusion.schedules import Reparametrised, SoftConditioning
from gud.diffusion.schedules.sequential import column_schedule

PROCESS = OrnsteinUhlenbeck()
N = 3
WEIGHTS = torch.tensor([0.5, 0.3, 0.2]).double()
MEANS = torch.tensor([[1.0, -0.5, 0.2], [-1.2, 0.4, 0.1], [-0.7, 0.65, -0.65]]).double()
WITHIN = torch.tensor([0.3, 0.2, 0.1]).double()
CENTRE = WEIGHTS @ MEANS
VARIANCE = WITHIN + WEIGHTS @ (MEANS - CENTRE) ** 2
SOFT = SoftConditioning(VARIANCE.log(), -VARIANCE.log(), 0.6, -6.0, 4.5)
COLUMNS = column_schedule(torch.arange(N), 0.5, -6.0, 4.5)


def denoiser(z, state):
    """E[eps | z] of a mixture of Gaussians, centred, whose components are dependent."""
    alpha, sigma = (x[:, None, None, None, :] for x in (state.alpha, state.sigma))
    variance = alpha**2 * WITHIN + sigma**2
    residual = z[:, :, :, None] - alpha * (MEANS - CENTRE)
    log_weight = WEIGHTS.log() - 0.5 * (residual**2 / variance + variance.log()).sum(-1)
    weight = log_weight.softmax(-1)[..., None]
    return (weight * sigma / variance * residual).sum(3)


def reverse_of(schedule):
    return ReverseProcess(denoiser, schedule, PROCESS, VARIANCE)


def prior(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, 1, count, N, generator=generator, dtype=torch.float64)


@pytest.fixture(scope="module", params=[SOFT, COLUMNS], ids=["soft", "columns with kinks"])
def flow(request):
    """A schedule, noise and what its exact flow makes of it."""
    z = prior(50)
    exact, _ = sample_ode(denoiser, request.param, PROCESS, z, rtol=1e-9, atol=1e-9)
    return request.param, z, exact


@pytest.mark.slow
@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_flow_is_solved_to_its_order(flow, order, record_property):
    """A third value of F makes the error small, and leaves its order to start and kinks."""
    schedule, z, exact = flow
    errors = []
    for steps in (25, 50, 100):
        found, evaluations = SAMPLERS[f"exponential_ode{order}"](
            reverse_of(schedule), z, torch.randn_like, Options(steps, GRIDS["active"])
        )
        assert evaluations == steps
        errors.append(float((found - exact).square().mean().sqrt()))
    record_property("errors", errors)
    assert errors[0] < {1: 0.03, 2: 0.006, 3: 0.003}[order]
    if order == 3 and schedule is SOFT:
        assert errors[0] < 2e-4
    found = np.log2(np.divide(errors[:-1], errors[1:]))
    assert (found > min(order, 2) - 0.4).all()


@pytest.mark.slow
def test_a_corrector_makes_the_flow_of_third_order_and_more_precise(flow, record_property):
    schedule, z, exact = flow

    def errors(method):
        for steps in (25, 50, 100):
            options = Options(steps, GRIDS["active"])
            sampler = SAMPLERS[method]
            found, count = sampler(reverse_of(schedule), z, torch.randn_like, options)
            assert count == steps
            yield float((found - exact).square().mean().sqrt())

    corrected, predicted = [*errors("corrected_ode3")], [*errors("exponential_ode3")]
    record_property("errors", corrected)
    assert all(ours < theirs / 2 for ours, theirs in zip(corrected, predicted, strict=True))
    assert all(np.log2(a / b) > (2.8 if schedule is SOFT else 2.2) for a, b in pairwise(corrected))


def test_a_corrector_bears_networks_that_are_wrong_in_pure_noise():
    """There F is taken as 0, just before the first value that a network gives."""
    schedule = SoftConditioning(VARIANCE.log(), -VARIANCE.log(), 0.6, -6.0, 12.0)

    def wrong(z, state):
        return denoiser(z, state) + 0.3 * state.cosine(VARIANCE)[:, None, None]

    z, options = prior(50), Options(25, GRIDS["active"])
    exact, _ = sample_ode(wrong, schedule, PROCESS, z, rtol=1e-9, atol=1e-9)
    reverse = ReverseProcess(wrong, schedule, PROCESS, VARIANCE)
    corrected, predicted = (
        float((SAMPLERS[method](reverse, z, torch.randn_like, options)[0] - exact).std())
        for method in ("corrected_ode3", "exponential_ode3")
    )
    assert corrected < predicted


class Brownian:
    """Noise of coarse steps made of that of fine ones: strongly coupled runs.

    In y = cos(theta) u the noise of the SDE is that of Brownian motion in the clock cos^2 theta.
    """

    def __init__(self, schedule, steps, count, seed=0):
        times = torch.linspace(1, 0, steps + 1).double()
        clock = schedule(times).angle(VARIANCE).cos().square()
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(steps, count, N, generator=generator, dtype=torch.float64)
        self.motion = torch.cat(
            [torch.zeros(1, count, N), (clock.diff(dim=0).sqrt()[:, None] * noise).cumsum(0)]
        )
        self.clock = clock

    def steps(self, steps):
        """The noise of each of so many equal steps."""
        every = (len(self.clock) - 1) // steps
        motion, clock = self.motion[::every].diff(dim=0), self.clock[::every].diff(dim=0)
        noises = iter(motion / clock.sqrt()[:, None])
        return lambda z: next(noises)[None, None]


def test_the_sde_is_solved_to_weak_order_2(record_property):
    """Second and third moments of runs that share their noise, so that few are needed."""
    count, moments = 40000, []
    brownian, z = Brownian(SOFT, 32, count), prior(count, seed=1)
    for steps in (8, 16, 32):
        options = Options(steps, noise_free_last_step=False)
        x, _ = SAMPLERS["exponential_sde2"](reverse_of(SOFT), z, brownian.steps(steps), options)
        moments.append(torch.cat([x[0, 0] ** 2, x[0, 0] ** 3], 1))
    changes = [a - b for a, b in pairwise(moments)]
    first, second = (float(change.mean(0).norm()) for change in changes)
    record_property("changes", [first, second])
    assert np.log2(first / second) > 1.5
    assert second > 2 * float((changes[1].std(0) / count**0.5).norm())


@pytest.mark.parametrize("schedule", [SOFT, COLUMNS, Reparametrised(SOFT, 0.5)])
def test_steps_of_the_grid_active_are_equally_long_by_the_component_that_moves_most(schedule):
    times = GRIDS["active"](schedule, VARIANCE, 7, 1.0, 0.0)
    assert (times[0], times[-1]) == (1.0, 0.0)
    lengths = []
    for first, last in pairwise(times.tolist()):
        path = schedule(torch.linspace(first, last, 4001).double()).angle(VARIANCE)
        lengths.append(float(path.diff(dim=0).abs().amax(1).sum()))
    assert lengths == pytest.approx([np.mean(lengths)] * 7, rel=0.02)


def test_the_grid_active_passes_over_times_at_which_nothing_moves():
    idle = column_schedule(torch.arange(2), 0.8, -6.0, 4.5)
    times = GRIDS["active"](idle, VARIANCE[:2], 9, 1.0, 0.0)
    assert not ((times > 0.21) & (times < 0.79)).any()


MIXED = SAMPLERS["exponential_mixed2"]


def brought(sampler, z, schedule=SOFT, steps=12, seed=0, **between):
    """Where a sampler takes z; the same seed is the same noise for any sampler of so many steps."""
    generator = torch.Generator().manual_seed(seed)

    def noise(z):
        return torch.randn(z.shape, generator=generator, dtype=z.dtype)

    options = Options(steps, GRIDS["active"], noise_free_last_step=False, **between)
    return sampler(reverse_of(schedule), z, noise, options)[0]


def test_a_mixed_method_is_the_flow_above_its_angle_and_the_sde_below():
    times = torch.linspace(0, 1, 201).double()
    angle = SOFT(times).angle(VARIANCE)
    above = float(times[(angle.amin(1) > MIXED.stochastic_below).nonzero()[0]])
    below = float(times[(angle.amax(1) < MIXED.stochastic_below).nonzero()[-1]])
    assert 0 < below < above < 1
    for method, between in (
        ("exponential_ode2", {"end": above}),
        ("exponential_sde2", {"start": below}),
    ):
        found = brought(MIXED, prior(50), **between)
        assert torch.equal(found, brought(SAMPLERS[method], prior(50), **between))
    whole = brought(MIXED, prior(50))
    for method in ("exponential_ode2", "exponential_sde2"):
        assert not torch.allclose(whole, brought(SAMPLERS[method], prior(50)))


@pytest.mark.parametrize("schedule", [SOFT, COLUMNS], ids=["soft", "columns"])
def test_by_few_steps_a_mixed_method_draws_a_mixture_better_than_the_sde(schedule):
    """In second and third moments, whose values are known."""
    state, count = schedule(torch.zeros(1).double()), 100_000
    centred = MEANS - CENTRE
    second = state.alpha**2 * VARIANCE + state.sigma**2
    third = state.alpha**3 * (WEIGHTS @ (centred**3 + 3 * centred * WITHIN))
    exact = torch.cat([second, third], 1)

    def errors(sampler):
        z = brought(sampler, prior(count), schedule, steps=6)[0, 0]
        return (torch.cat([z**2, z**3], 1) - exact).unflatten(0, (100, -1)).mean(1)

    mixed, sde = errors(MIXED), errors(SAMPLERS["exponential_sde2"])
    gain = sde.mean(0).norm() - mixed.mean(0).norm()
    assert gain > 3 * (mixed - sde).std(0).norm() / len(mixed) ** 0.5
