"""Free paths: monotone, in the trained region, and soft conditioning where knots lie on it."""

import math

import numpy as np
import pytest
import torch
from gaussian import (
    Gaussian,
    component_covariance,
    image_covariance,
    representation,
    soft_conditioning,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from gud.diffusion.likelihood import basis_probes, log_likelihood, variational_bound
from gud.diffusion.processes import OrnsteinUhlenbeck
from gud.diffusion.schedules import Free, Region, Reparametrised, free, region
from gud.errors import InputError

PROCESS = OrnsteinUhlenbeck()
COVARIANCE = image_covariance(1, seed=0)
PRIORS = pytest.mark.parametrize("whitened", [False, True], ids=["isotropic", "matching"])
RANGE, GROUPS, KNOTS = (0.4, 1.6), 3, 5
T = torch.linspace(0, 1, 41, dtype=torch.float64)
slopes = st.lists(
    st.lists(st.floats(*RANGE), min_size=GROUPS, max_size=GROUPS), min_size=KNOTS, max_size=KNOTS
)


def components(whitened=False):
    return representation("fourier", COVARIANCE, whitened)


def within(whitened=False, groups=GROUPS, a=RANGE) -> Region:
    return region(components(whitened), groups, a, -7.0, "auto")


def path(levels, whitened=False) -> Free:
    there = components(whitened)
    return Free(there.log_variance, -there.log_data_variance, within(whitened).limits, levels)


def wild(seed=0) -> torch.Tensor:
    """Slopes at both ends of the range, in no order."""
    signs = torch.randint(2, (KNOTS, GROUPS), generator=torch.Generator().manual_seed(seed))
    return RANGE[0] + (RANGE[1] - RANGE[0]) * signs.double()


@PRIORS
@pytest.mark.parametrize("a", [0.4, 1.0, 1.6])
def test_with_knots_on_soft_conditioning_it_is_soft_conditioning(whitened, a):
    levels = within(whitened).levels(torch.full((KNOTS, GROUPS), a, dtype=torch.float64))
    found, expected = path(levels, whitened)(T), soft_conditioning(components(whitened), a)(T)
    torch.testing.assert_close(found.gamma, expected.gamma, rtol=0, atol=1e-12)
    torch.testing.assert_close(found.d_gamma_dt, expected.d_gamma_dt, rtol=0, atol=1e-11)


@settings(max_examples=30, deadline=None)
@given(slopes)
def test_whatever_the_slopes_paths_are_monotone_and_in_the_region(drawn):
    there = within()
    levels = there.levels(torch.tensor(drawn, dtype=torch.float64))
    assert there.outside(levels) is None
    made = path(levels)
    assert (made.gamma(T).diff(dim=0) >= -1e-12).all() and (made.d_gamma_dt(T) >= 0).all()


@settings(max_examples=30, deadline=None)
@given(slopes)
def test_every_path_meets_both_ends_of_equation_19(drawn):
    gamma = path(within().levels(torch.tensor(drawn, dtype=torch.float64))).gamma(T)
    log_snr = components().log_variance - gamma
    assert float(log_snr[0].min()) == pytest.approx(7.0)
    assert float(log_snr[-1].max()) == pytest.approx(-within().gamma_noise)


def test_between_neighbouring_components_gamma_rises_by_a_slope_of_the_range():
    order = components().log_data_variance.argsort(descending=True)
    ordering = -components().log_data_variance[order]
    levels = (path(within().levels(wild())).gamma(T) - components().log_variance)[:, order]
    found = levels.diff(dim=1) / ordering.diff()
    assert float(found.min()) == pytest.approx(0.4) and float(found.max()) == pytest.approx(1.6)


def test_the_derivative_is_the_limit_of_differences_and_jumps_at_the_kinks_alone():
    made, step = path(within().levels(wild())), 1e-6
    assert made.kinks == pytest.approx([0.25, 0.5, 0.75])
    times = torch.tensor([0.0, 0.1, 0.25, 0.4, 0.5, 0.75, 0.9], dtype=torch.float64)
    difference = (made.gamma(times + step) - made.gamma(times)) / step
    torch.testing.assert_close(made.d_gamma_dt(times), difference, rtol=0, atol=1e-7)
    jumps = made.d_gamma_dt(times) - made.d_gamma_dt((times - 1e-9).clamp(min=0))
    kinked = (jumps.abs() > 1e-6).any(1).tolist()
    assert kinked == [False, False, True, False, True, True, False]


@pytest.mark.parametrize("power", [1.0, 0.5])
def test_pieces_have_the_path_and_its_one_sided_derivatives(power):
    made = path(within().levels(wild()))
    whole = made if power == 1 else Reparametrised(made, power)
    found = list(whole.pieces(1.0, 0.0))
    assert len(found) == KNOTS - 1
    for start, end, piece in found:
        inside = end + (start - end) * torch.tensor([0.2, 0.5, 0.8], dtype=torch.float64)
        torch.testing.assert_close(piece.gamma(inside), whole.gamma(inside))
        torch.testing.assert_close(piece.d_gamma_dt(inside), whole.d_gamma_dt(inside))


def test_the_parameter_leads_from_standard_diffusion_to_the_path_through_the_region():
    there = within()
    levels = there.levels(wild())
    given = {"groups": GROUPS, "knots": KNOTS, "a": RANGE, "levels": levels.tolist()}
    start, half, end = (free(components(), s, **given) for s in (0.0, 0.5, 1.0))
    standard = soft_conditioning(components(), 1.0)
    torch.testing.assert_close(start.gamma(T), standard.gamma(T), rtol=0, atol=1e-12)
    torch.testing.assert_close(end.levels, levels)
    torch.testing.assert_close(half.gamma(T), (start.gamma(T) + end.gamma(T)) / 2)
    assert there.outside(half.levels) is None
    unfound = free(components(), 1.0, **given | {"levels": None})
    torch.testing.assert_close(unfound.gamma(T), start.gamma(T))


def expected_bound(made: Free, variance, believed) -> torch.Tensor:
    """Mean of -bound over independent components, for the denoiser of a covariance."""
    start, end = (made(torch.tensor([float(t)], dtype=torch.float64)) for t in (0, 1))
    noise = end.sigma[0] ** 2
    spread = (1 - noise) * variance + noise - 1 - noise.log()
    known = (spread + 1 + math.log(2 * math.pi) + start.gamma[0]).sum() / 2
    t = (torch.arange(2000, dtype=torch.float64) + 0.5) / 2000
    state = made(t)
    alpha, sigma = state.alpha, state.sigma
    noised = alpha[:, :, None] * believed * alpha[:, None] + torch.diag_embed(sigma**2)
    denoise = sigma[:, :, None] * torch.linalg.inv(noised)
    of_noise = torch.eye(len(variance)) - denoise * sigma[:, None]
    error = of_noise.square().sum(2) + (denoise * alpha[:, None]).square() @ variance
    return known + (state.d_gamma_dt * error).sum(1).mean() / 2


def test_the_bound_has_the_derivatives_of_its_mean_over_gaussian_data():
    """Of a denoiser that believes in correlations: else all paths between two ends are alike."""
    variance = components().log_variance.exp()
    covariance = component_covariance(COVARIANCE, components())
    believed, denoiser = torch.from_numpy(covariance), Gaussian(covariance, 1).denoiser(PROCESS)
    direction = torch.tensor(np.random.default_rng(0).standard_normal((KNOTS, GROUPS)))
    start = torch.linspace(0.8, 1.2, KNOTS * GROUPS, dtype=torch.float64).view(KNOTS, GROUPS)

    def along(step):
        return path(within().levels(start + step * direction))

    ahead, behind = (expected_bound(along(step), variance, believed) for step in (1e-4, -1e-4))
    found = []
    for seed in range(16):
        draws = torch.Generator().manual_seed(seed)
        z = torch.randn(200, 1, 1, len(variance), generator=draws).double() * variance.sqrt()
        step = torch.zeros((), dtype=torch.float64, requires_grad=True)
        bound = variational_bound(
            denoiser,
            along(step),
            PROCESS,
            z,
            variance,
            torch.rand(1, len(z), generator=draws).double(),
            lambda z=z, draws=draws: torch.randn(z.shape, generator=draws).double(),
            times=4,
        )
        (slope,) = torch.autograd.grad(-bound.mean(), step)
        found.append(float(slope))
    error = float(np.std(found, ddof=1)) / 4
    expected = float(ahead - behind) / 2e-4
    assert abs(expected) > 8 * error
    assert np.mean(found) == pytest.approx(expected, abs=4 * error)


@pytest.mark.slow
def test_likelihoods_of_gaussian_data_do_not_depend_on_how_the_path_is_cut():
    covariance = component_covariance(COVARIANCE, components())
    gaussian = Gaussian(covariance, 1)
    z = gaussian.sample(2, k=1, seed=1)
    made = path(within().levels(wild()))

    def log_prob(**settings):
        denoiser = gaussian.denoiser(PROCESS)
        return log_likelihood(denoiser, made, PROCESS, z, basis_probes(z), **settings)

    exact = log_prob(method="tsit5", rtol=1e-7, atol=1e-7).log_prob.mean(1)
    found = log_prob(method="tsit5", rtol=1e-5, atol=1e-5).log_prob.mean(1)
    assert (found - exact).abs().max() < 1e-3
    errors = []
    for steps in (4, 8):
        coarse = log_prob(method="rk4", rtol=1.0, atol=1.0, steps=steps).log_prob.mean(1)
        errors.append(float((coarse - exact).abs().max()))
    assert np.log2(errors[0] / errors[1]) > 3.4


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda levels: levels[:-1], "has shape (4, 4), expected (5, 4)"),
        (lambda levels: levels.flip(0), "falls from one knot to the next"),
        (lambda levels: levels * torch.tensor([1, 1, 1, 2.0]), "has slopes from"),
        (lambda levels: levels + 1, "goes from -6 to"),
    ],
)
def test_levels_that_no_path_of_the_region_has_are_refused(change, sentence):
    levels = change(within().standard(KNOTS)).tolist()
    with pytest.raises(InputError) as refused:
        free(components(), 1.0, groups=GROUPS, knots=KNOTS, a=RANGE, levels=levels)
    assert f"schedule.levels {sentence}" in str(refused.value)


def test_more_groups_than_the_variances_tell_apart_are_refused():
    white = representation("pixel", np.eye(16), whitened=False)
    with pytest.raises(InputError, match="groups = 2 must be less"):
        region(white, 2, RANGE, -7.0, "auto")
