"""Processes of the recipe against integrated moment equations, exact arithmetic and the tables."""

import mpmath
import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from gud.diffusion.noising import NoisingState
from gud.diffusion.processes import (
    CriticallyDampedLangevin,
    OrnsteinUhlenbeck,
    PhaseSpaceLangevin,
    Recipe,
    ThirdOrderLangevin,
)
from gud.diffusion.processes.matrices import product
from gud.diffusion.processes.moments import moments, moments_by_doubling
from gud.diffusion.schedules import ConstantRate, SoftConditioning
from gud.errors import InputError

CURL = ((0.0, -0.5), (0.5, 0.0))
KINETIC = ((1.0, 0.0), (0.0, 4.0))
UNDERDAMPED = Recipe(((0.02, 0.0), (0.0, 0.2)), CURL, KINETIC, (0.01,))
OVERDAMPED = Recipe(((0.02, 0.0), (0.0, 2.0)), CURL, KINETIC, (0.01,))
COUPLED = Recipe(((0.2, 0.1), (0.1, 0.6)), CURL, ((1.0, 0.3), (0.3, 4.0)), (0.02,))
PROCESSES = {
    "psld": PhaseSpaceLangevin(0.01, 4.01, 0.04),
    "psld, large Gamma": PhaseSpaceLangevin(0.25, 4.25, 0.04),
    "cld": CriticallyDampedLangevin(4.0, 0.04),
    "underdamped": UNDERDAMPED,
    "overdamped": OVERDAMPED,
    "coupled": COUPLED,
    "third order": ThirdOrderLangevin(0.04),
    "psld, snr": PhaseSpaceLangevin(0.01, 4.01, 0.04, clock="snr"),
    "cld, snr": CriticallyDampedLangevin(4.0, 0.04, clock="snr"),
    "third order, snr": ThirdOrderLangevin(0.04, clock="snr"),
}


@pytest.fixture(params=PROCESSES, ids=str)
def process(request):
    return PROCESSES[request.param]


def at_clock(*tau: float) -> NoisingState:
    """The noising state at which the clock `own` shows tau."""
    gamma = torch.tensor([tau], dtype=torch.float64).expm1().log()
    return NoisingState(gamma, torch.ones_like(gamma))


def as_floats(matrix: mpmath.matrix) -> np.ndarray:
    return np.array(matrix.tolist(), dtype=float)


def covariance(process, state):
    factor = process.factor(state)
    return product(factor, factor.transpose(1, 2))


def test_moments_solve_their_equations_along_clocks_that_vary_in_time(process):
    """Each component on a schedule of its own, from t = 0.1 to 0.9."""
    ordering = torch.tensor([0.3, 1.0, 2.2], dtype=torch.float64)
    schedule = SoftConditioning(-ordering, ordering, 0.6, -4.0, 3.0)
    k = process.k
    a, power = np.array(process.drift), np.array(process.power)
    start, end = (schedule(torch.tensor([t], dtype=torch.float64)) for t in (0.1, 0.9))

    def velocity(t, y):
        rate = process.rate(schedule(torch.tensor([t], dtype=torch.float64)))[0].numpy()
        e, s = y.reshape(2, 3, k, k)
        grown = a @ s + s @ a.T + power
        return np.stack([rate[:, None, None] * a @ e, rate[:, None, None] * grown]).ravel()

    initial = covariance(process, start)[0].movedim(-1, 0).numpy() - process.floor * np.eye(k)
    y = np.stack([np.broadcast_to(np.eye(k), (3, k, k)), initial]).ravel()
    y = solve_ivp(velocity, (0.1, 0.9), y, method="DOP853", rtol=1e-12, atol=1e-13).y[:, -1]
    passed, expected = y.reshape(2, 3, k, k)
    first, last = (process.transition(s)[0].movedim(-1, 0).numpy() for s in (start, end))
    np.testing.assert_allclose(passed @ first, last, atol=1e-10)
    found = covariance(process, end)[0].movedim(-1, 0).numpy() - process.floor * np.eye(k)
    np.testing.assert_allclose(found, expected, atol=1e-10)


def test_the_covariance_keeps_its_relative_precision_at_short_clocks(process):
    clocks = (1e-6, 8e-5, 0.02, 0.9, 3.0)
    _, noise = moments(process.drift, process.power, torch.tensor([clocks], dtype=torch.float64))
    with mpmath.workdps(60):
        a, prior = mpmath.matrix(process.drift), mpmath.matrix(process.prior)
        power = -(a * prior + prior * a.T)
        np.testing.assert_allclose(as_floats(power), process.power, atol=1e-14)
        for i, tau in enumerate(clocks):
            e = mpmath.expm(a * mpmath.mpf(tau))
            exact = as_floats(prior - e * prior * e.T)
            for j in range(process.k):
                assert float(noise[0, j, j, i]) == pytest.approx(exact[j, j], rel=2e-9)
            if tau >= 0.02:
                np.testing.assert_allclose(noise[0, :, :, i], exact, atol=1e-13)


@pytest.mark.parametrize("name", ["psld", "underdamped", "overdamped", "coupled"])
def test_closed_forms_and_doubling_agree_at_all_clocks(name):
    process, tau = PROCESSES[name], torch.logspace(-7, 2, 50, dtype=torch.float64)[None]
    for closed, doubled in zip(
        moments(process.drift, process.power, tau),
        moments_by_doubling(process.drift, process.power, tau),
        strict=True,
    ):
        torch.testing.assert_close(closed, doubled, rtol=1e-11, atol=1e-12)


def test_closed_forms_pass_continuously_through_critical_damping():
    tau = torch.tensor([[0.01, 0.5, 3.0, 20.0]], dtype=torch.float64)
    critical = moments(PROCESSES["psld"].drift, PROCESSES["psld"].power, tau)
    for nudge in (-1e-7, 1e-7):
        (a, b), (c, d) = PROCESSES["psld"].drift
        nudged = moments(((a, b + nudge), (c, d)), PROCESSES["psld"].power, tau)
        for one, other in zip(critical, nudged, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


def test_psld_has_the_moments_of_its_published_closed_form():
    Gamma, nu, kappa = 0.02, 4.02, 0.04
    process = PhaseSpaceLangevin(Gamma, nu, kappa)
    b = torch.tensor([0.1, 0.5, 1.0, 2.0, 4.0, 8.0], dtype=torch.float64)
    k, lam = (nu - Gamma) / 4, (nu + Gamma) / 4
    mass, grown, decay = 1 / (4 * k**2), torch.expm1(2 * lam * b), torch.exp(-lam * b)
    c, state = kappa * mass, at_clock(*b.tolist())
    mean = decay * torch.stack([1 + k * b, 2 * k**2 * b, -b / 2, 1 - k * b]).view(2, 2, -1)
    torch.testing.assert_close(process.transition(state)[0], mean, rtol=1e-11, atol=1e-13)
    xx = (2 * k**2 * b) ** 2 * c + grown - 2 * k * b - 2 * k**2 * b**2
    xm = 2 * k**2 * b * (1 - k * b) * c + k * b**2
    mm = (1 - k * b) ** 2 * c + mass * grown + 2 * k * mass * b - b**2 / 2
    expected = decay**2 * torch.stack([xx, xm, xm, mm]).view(2, 2, -1)
    floor = process.floor * torch.eye(2, dtype=torch.float64)[:, :, None]
    torch.testing.assert_close(covariance(process, state)[0], expected + floor, atol=1e-13, rtol=0)


def test_signal_to_noise_of_the_position_falls_as_tabled():
    process, state = PROCESSES["psld"], at_clock(0.1, 0.5, 1, 2, 4, 8)
    snr = process.transition(state)[0, 0, 0] ** 2 / covariance(process, state)[0, 0, 0]
    expected = torch.tensor([400, 9.3, 1.6, 0.21, 0.0082, 8e-6], dtype=torch.float64)
    torch.testing.assert_close(snr, expected, rtol=0.06, atol=0)


def test_every_process_forgets_its_start_and_ends_in_its_prior(process):
    transition, noise = moments(
        process.drift, process.power, torch.full((1, 1), 900.0, dtype=torch.float64)
    )
    assert transition.abs().max() < 1e-7
    np.testing.assert_allclose(noise[0, :, :, 0], process.prior, atol=1e-12)


def test_a_recipe_of_one_number_is_ornstein_uhlenbeck():
    recipe, ou = Recipe(((0.5,),), ((0.0,),), ((1.0,),)), OrnsteinUhlenbeck()
    assert (recipe.drift, recipe.diffusion, recipe.prior) == (ou.drift, ou.diffusion, ou.prior)
    state = at_clock(1e-4, 0.3, 2.0, 9.0)
    for name in ("transition", "factor", "inverse_factor", "clock", "rate"):
        torch.testing.assert_close(getattr(recipe, name)(state), getattr(ou, name)(state))
    matched = Recipe(((0.5,),), ((0.0,),), ((1.0,),), clock="snr")
    torch.testing.assert_close(matched.clock(state), state.tau, rtol=1e-8, atol=0)


def test_ornstein_uhlenbeck_computes_what_it_always_did_to_the_bit():
    z, score = torch.randn(2, 3, 1, 2, 5, generator=torch.Generator().manual_seed(0))
    ou = OrnsteinUhlenbeck()
    assert torch.equal(ou.flow(z, score), -0.5 * z - 0.5 * score)
    assert torch.equal(ou.reverse_drift(z, score), -0.5 * z - score)
    assert torch.equal(ou.diffuse(z), z)
    state = at_clock(0.1, 0.5, 1.0, 2.0, 3.0)
    assert torch.equal(ou.clock(state), state.tau)
    assert torch.equal(ou.rate(state), state.beta)


@pytest.mark.parametrize("name", ["psld, snr", "cld, snr", "third order, snr"])
def test_the_matched_clock_gives_each_gamma_its_signal_to_noise_ratio(name):
    process = PROCESSES[name]
    gamma = torch.linspace(-25, 14, 200, dtype=torch.float64)[None]
    state = NoisingState(gamma, torch.ones_like(gamma))
    tau = process.clock(state)
    assert (tau.diff() > 0).all()
    transition, noise = moments(process.drift, process.power, tau)
    for i, variance in enumerate(process.start, 1):
        noise = noise + variance * transition[:, :, None, i] * transition[:, None, :, i]
    mean = transition[0, :, 0].T
    dual = torch.linalg.solve(noise[0].movedim(-1, 0), mean[:, :, None])[..., 0]
    torch.testing.assert_close(-(mean * dual).sum(1).log(), gamma[0], rtol=0, atol=1e-7)
    shift = 1e-4
    late, early = (process.clock(NoisingState(gamma + s, gamma)) for s in (shift, -shift))
    torch.testing.assert_close((late - early) / (2 * shift), process.rate(state), rtol=1e-6, atol=0)


def test_clean_data_have_a_clock_of_zero_and_a_frozen_schedule_no_rate(process):
    clean = NoisingState(torch.full((1, 2), -torch.inf), torch.zeros(1, 2)).gamma.double()
    assert (process.clock(NoisingState(clean, torch.zeros_like(clean))) == 0).all()
    frozen = NoisingState(torch.zeros(1, 2).double(), torch.zeros(1, 2).double())
    assert (process.rate(frozen) == 0).all()


@pytest.mark.parametrize(
    ("matrices", "message"),
    [
        ({"D": ((0.1, 0.0), (0.0, -0.2))}, "D must be positive semidefinite, .* eigenvalue -0.2"),
        (
            {"D": ((0.1, 1.0), (0.0, 1.0))},
            r"D must be symmetric, .* \(1, 2\) and \(2, 1\) are 1 and 0",
        ),
        ({"Q": ((0.0, 1.0), (1.0, 0.0))}, "Q must be skew-symmetric"),
        ({"Q": ((0.5, 1.0), (-1.0, 0.0))}, "Q must be skew-symmetric"),
        (
            {"H": ((1.0, 0.0), (0.0, 0.0))},
            "H must be positive definite, .* eigenvalue 0; all must be > 0",
        ),
        ({"H": ((1.0, 2.0), (2.0, 1.0))}, "H must be positive definite, .* eigenvalue -1"),
        ({"H": ((1.0,),)}, r"H has shape \(1, 1\), expected .* size of D, 2"),
        ({"Q": ((0.0, float("nan")), (0.0, 0.0))}, "Q holds values that are not finite"),
        ({"D": ((0.0, 0.0), (0.0, 0.0))}, "does not forget its start"),
        (
            {"D": ((0.0, 0.0), (0.0, 1.0)), "Q": ((0.0, 0.0), (0.0, 0.0))},
            "real part 0; all must be < 0",
        ),
        ({"start": ()}, "start = .* must be the 1 variances"),
        ({"start": (-1.0,)}, "none of them negative"),
    ],
)
def test_matrices_that_are_not_of_their_kind_are_refused_by_name(matrices, message):
    sound = {"D": ((0.0, 0.0), (0.0, 0.5)), "Q": CURL, "H": KINETIC, "start": (0.01,)}
    with pytest.raises(InputError, match=message):
        Recipe(**(sound | matrices))


def test_more_friction_of_the_position_than_of_the_momentum_is_refused():
    with pytest.raises(InputError, match="Gamma = 5 and nu = 4 must satisfy 0 <= Gamma < nu"):
        PhaseSpaceLangevin(5.0, 4.0, 0.04)


def test_a_clock_of_constant_rate_is_the_published_one():
    schedule = ConstantRate(components=3, start=8e-5, beta=8.0)
    t = torch.linspace(0, 1, 5, dtype=torch.float64)
    process = PhaseSpaceLangevin(0.01, 4.01, 0.04)
    state = schedule(t)
    expected = (8e-5 + 8 * t)[:, None].expand(-1, 3)
    torch.testing.assert_close(process.clock(state), expected, rtol=1e-10, atol=0)
    torch.testing.assert_close(process.rate(state), torch.full_like(expected, 8.0))
