"""What a state of several variables says of the data: one number, and what training makes of it."""

import pytest
import torch

from gud.diffusion.noising import NoisingState
from gud.diffusion.processes import (
    CriticallyDampedLangevin,
    OrnsteinUhlenbeck,
    PhaseSpaceLangevin,
    Recipe,
    ThirdOrderLangevin,
)

PROCESSES = {
    "ou": OrnsteinUhlenbeck(),
    "psld": PhaseSpaceLangevin(0.02, 4.02, 0.04),
    "psld, snr": PhaseSpaceLangevin(0.02, 4.02, 0.04, clock="snr"),
    "cld, snr": CriticallyDampedLangevin(4.0, 0.04, clock="snr"),
    "third order, snr": ThirdOrderLangevin(0.04, clock="snr"),
    "one number": Recipe(((1.0,),), ((0.0,),), ((2.0,),)),
}


@pytest.fixture(params=PROCESSES)
def process(request):
    return PROCESSES[request.param]


@pytest.fixture
def state():
    gamma = torch.tensor([[-4.0, 0.3, 2.0], [-2.0, 1.0, 5.0]], dtype=torch.float64)
    return NoisingState(gamma, torch.ones_like(gamma))


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


def perturbed(process, state):
    z0 = torch.zeros(2, process.k, 2, 3).double()
    z0[:, 0] = normal(2, 2, 3, seed=1)
    noise = normal(2, process.k, 2, 3)
    return z0, noise, process.perturb(z0, state, noise)


def test_a_projected_state_is_one_of_ornstein_uhlenbeck_with_the_projected_noise(process, state):
    z0, noise, z = perturbed(process, state)
    projected, reduced = process.project(z, state)
    expected = OrnsteinUhlenbeck().perturb(z0[:, :1], reduced, process.project_noise(noise, state))
    torch.testing.assert_close(projected, expected, rtol=1e-9, atol=1e-9)


def test_the_true_projected_noise_lifts_to_the_true_noise(process, state):
    _, noise, z = perturbed(process, state)
    lifted = process.lift(process.project_noise(noise, state), z, state)
    torch.testing.assert_close(lifted, noise, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", ["psld, snr", "cld, snr", "third order, snr"])
def test_with_the_clock_snr_gamma_means_what_it_does_for_ornstein_uhlenbeck(name, state):
    process = PROCESSES[name]
    _, _, z = perturbed(process, state)
    torch.testing.assert_close(
        process.project(z, state)[1].gamma, state.gamma, rtol=1e-5, atol=1e-5
    )


def test_the_projection_is_sufficient(process, state):
    """E[noise | z] of Gaussian data is the same from all of z and through its projection."""
    _, _, z = perturbed(process, state)
    variance = torch.tensor([0.3, 1.0, 2.5], dtype=torch.float64)
    mean = process.transition(state)[:, :, :1].movedim(-1, 1)
    factor = process.factor(state).movedim(-1, 1)
    covariance = variance[:, None, None] * mean @ mean.mT + factor @ factor.mT
    exact = torch.einsum("bnji,bjcn->bicn", torch.linalg.solve(covariance, factor), z)
    projected, reduced = process.project(z, state)
    weight = reduced.sigma / reduced.variance(variance)
    found = process.lift(weight[:, None, None] * projected, z, state)
    torch.testing.assert_close(found, exact, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("kind", ["psld", "cld", "third order"])
def test_targets_of_denoising_matching_have_the_mean_of_hybrid_ones_and_more_variance(kind):
    """Regressed on z and the data, which determine the hybrid target."""
    build = {
        "psld": lambda matching: PhaseSpaceLangevin(0.25, 4.25, 0.04, matching=matching),
        "cld": lambda matching: CriticallyDampedLangevin(4.0, 0.04, matching=matching),
        "third order": lambda matching: ThirdOrderLangevin(0.04, matching=matching),
    }[kind]
    hybrid, denoising = build("hybrid"), build("denoising")
    assert (hybrid.draws, denoising.draws) == (hybrid.k, 2 * hybrid.k - 1)
    count = 40_000
    gamma = torch.full((count, 1), 0.5, dtype=torch.float64)
    state = NoisingState(gamma, torch.ones_like(gamma))
    z0 = torch.zeros(count, hybrid.k, 1, 1).double()
    z0[:, 0] = normal(count, 1, 1, seed=1)
    z, target = denoising.example(z0, state, normal(count, denoising.draws, 1, 1))
    inverse = hybrid.inverse_factor(state)
    mean = hybrid.transition(state)[:, :, :1, 0] * z0[:, :1, 0]
    marginal = (inverse[..., 0] @ (z[..., 0] - mean))[..., 0]
    torch.testing.assert_close(marginal.T.cov(), torch.eye(hybrid.k).double(), atol=0.05, rtol=0)
    excess = target[:, :, 0, 0] - marginal
    driven = slice(hybrid.silent, None)
    correlation = (excess[:, driven, None] * marginal[:, None]).mean(0)
    error = (excess[:, driven, None] * marginal[:, None]).std(0) / count**0.5
    assert (correlation.abs() < 4.5 * error).all()
    assert (excess[:, driven].square().mean(0) > 1e-3).all()


def test_the_noise_that_lifts_to_a_prediction_is_what_it_drops_to(process, state):
    _, noise, z = perturbed(process, state)
    reduced = process.project_noise(noise, state)
    lifted = process.lift(reduced, z, state)
    torch.testing.assert_close(process.drop(lifted, z, state), reduced, rtol=1e-7, atol=1e-7)


def test_a_carried_state_has_the_projection_asked_for_and_the_other_noise_of_before(process, state):
    z0, noise, z = perturbed(process, state)
    after = NoisingState(state.gamma - 1, state.d_gamma_dt)
    reduced, seen = process.project(z0, after)
    wanted = OrnsteinUhlenbeck().perturb(z0[:, :1], seen, normal(*reduced.shape, seed=2))
    carried = process.carry(z, state, wanted, after)
    torch.testing.assert_close(process.project(carried, after)[0], wanted, rtol=1e-8, atol=1e-8)
    beside, before = (
        process.lift(torch.zeros_like(wanted), one, at).square().sum(1)
        for one, at in ((carried, after), (z, state))
    )
    torch.testing.assert_close(beside, before, rtol=1e-7, atol=1e-7)


def test_a_state_carried_nowhere_stays(process, state):
    _, _, z = perturbed(process, state)
    carried = process.carry(z, state, process.project(z, state)[0], state)
    torch.testing.assert_close(carried, z, rtol=1e-8, atol=1e-8)
