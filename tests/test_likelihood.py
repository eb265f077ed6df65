import itertools
import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from gaussian import (
    BASES,
    PIXELS,
    Gaussian,
    component_covariance,
    image_covariance,
    representation,
    soft_conditioning,
)
from scipy.stats import multivariate_normal

from gud.errors import InputError
from gud.likelihood import (
    basis_probes,
    bits_per_dim,
    log_likelihood,
    noise_data,
    prior_log_prob,
)
from gud.processes import OrnsteinUhlenbeck
from gud.schedules import Reparametrised, Schedule, SoftConditioning

PROCESS = OrnsteinUhlenbeck()
ADAPTIVE = {"method": "tsit5", "rtol": 1e-5, "atol": 1e-5}


def setting(name, whitened, a, channels=1, **schedule):
    covariance = image_covariance(channels, seed=0)
    components = representation(name, covariance, whitened)
    gaussian = Gaussian(component_covariance(covariance, components), channels)
    return components, gaussian, soft_conditioning(components, a, **schedule)


def diagonal_log_prob(gaussian, schedule, z):
    """log-density of independent components: each is scaled by s_i(1) / s_i(0)."""
    variance = torch.from_numpy(np.diag(gaussian.covariance).copy())
    start, end = (
        schedule(torch.full((1,), t, dtype=torch.float64)).variance(variance).sqrt() for t in (0, 1)
    )
    scaled = z.flatten(1) * end / start
    normal = torch.distributions.Normal(0.0, 1.0).log_prob(scaled)
    return (normal + (end / start).log()).sum(1)


@pytest.mark.parametrize("a", [0.4, 1.0, 1.6], ids="a={}".format)
@pytest.mark.parametrize("whitened", [False, True], ids=["isotropic", "variance_matching"])
@pytest.mark.parametrize("name", BASES)
def test_bits_per_dim_of_gaussian_data_are_those_of_the_exact_flow(
    name, whitened, a, record_property
):
    channels = 2 if a == 1.0 else 1
    components, gaussian, schedule = setting(name, whitened, a, channels)
    flow = gaussian.flow(schedule)
    z = gaussian.sample(3, k=1, seed=1)
    exact = bits_per_dim(torch.from_numpy(flow.log_prob(z.flatten(1).numpy())), components)
    coordinates = {"components": None, "standardised": components.log_variance.exp()}
    for coordinate, standardise in coordinates.items():
        result = log_likelihood(
            gaussian.denoiser(PROCESS),
            schedule,
            PROCESS,
            z,
            basis_probes(z),
            standardise=standardise,
            **ADAPTIVE,
        )
        error = (bits_per_dim(result.log_prob.mean(1), components) - exact).abs().max()
        assert error < 1e-3
        record_property(f"{coordinate}: largest error, bits/dim", float(error))
        record_property(f"{coordinate}: evaluations", result.evaluations)
    distance = flow.divergence_from(gaussian.covariance)
    assert -1e-12 < distance < 0.01
    record_property("KL(data || flow), bits/dim", distance)


@pytest.mark.parametrize("whitened", [False, True], ids=["isotropic", "variance_matching"])
def test_the_flow_of_independent_components_scales_each_of_them(whitened):
    _, gaussian, schedule = setting("pca", whitened, a=1.3)
    assert abs(gaussian.covariance - np.diag(np.diag(gaussian.covariance))).max() < 1e-12
    z = gaussian.sample(4, k=1, seed=2)
    result = log_likelihood(
        gaussian.denoiser(PROCESS), schedule, PROCESS, z, basis_probes(z), **ADAPTIVE
    )
    exact = diagonal_log_prob(gaussian, schedule, z)
    torch.testing.assert_close(result.log_prob.mean(1), exact, rtol=0, atol=PIXELS * 1e-4)


def test_standardised_coordinates_make_the_flow_of_independent_components_free():
    components, gaussian, schedule = setting("pca", whitened=False, a=1.3)
    z = gaussian.sample(4, k=1, seed=2)
    result = log_likelihood(
        gaussian.denoiser(PROCESS),
        schedule,
        PROCESS,
        z,
        basis_probes(z),
        method="rk4",
        steps=1,
        rtol=1.0,
        atol=1.0,
        standardise=components.log_variance.exp(),
    )
    assert result.evaluations == 4
    exact = diagonal_log_prob(gaussian, schedule, z)
    torch.testing.assert_close(result.log_prob.mean(1), exact, rtol=0, atol=1e-9)


@pytest.mark.parametrize("whitened", [False, True], ids=["isotropic", "variance_matching"])
@pytest.mark.parametrize("name", BASES)
def test_the_flow_approaches_the_data_as_its_ends_do(name, whitened):
    components, gaussian, schedule = setting(name, whitened, a=0.6, channels=2)
    eigenvalues = np.linalg.eigvalsh(gaussian.covariance)
    spread = float(schedule.log_variance.exp().max()) / eigenvalues.min()
    distances = []
    for end in (3.0, 5.0, 7.0, 9.0):
        ends = SoftConditioning(
            schedule.log_variance, schedule.ordering, 0.6, gamma_denoise=-end, gamma_noise=end
        )
        distances.append(gaussian.flow(ends).divergence_from(gaussian.covariance))
        assert 0 < distances[-1] < (spread * math.exp(-end)) ** 2
    assert all(after < before / 5 for before, after in itertools.pairwise(distances))
    assert distances[3] < distances[2] / 35, "quadratic in exp(-end), so 1 / 55 in the limit"


@dataclass(frozen=True)
class Sequential(Schedule):
    """Two groups of components, noised one after the other; each is frozen half of the time."""

    n: int
    kinks = (0.4, 0.6)

    def _slope_and_start(self, t):
        first = torch.arange(self.n) % 2 == 0
        return torch.where(first, 0.0, 0.4).to(t), 14.0 / 0.6

    def gamma(self, t):
        start, slope = self._slope_and_start(t)
        return (-7 + slope * (t[:, None] - start)).clamp(-7, 7)

    def d_gamma_dt(self, t):
        start, slope = self._slope_and_start(t)
        inside = (t[:, None] > start) & (t[:, None] < start + 0.6)
        return inside.double() * slope


def test_kinks_and_frozen_components_leave_the_likelihood_exact():
    _, gaussian, _ = setting("pca", whitened=False, a=1.0)
    exact, seen = gaussian.denoiser(PROCESS), []

    def denoiser(z, state):
        seen.append(state.gamma)
        return exact(z, state)

    z, schedule = gaussian.sample(3, k=1, seed=0), Sequential(PIXELS)
    tight = ADAPTIVE | {"rtol": 1e-7, "atol": 1e-7}
    result = log_likelihood(denoiser, schedule, PROCESS, z, basis_probes(z), **tight)
    expected = diagonal_log_prob(gaussian, schedule, z)
    torch.testing.assert_close(result.log_prob.mean(1), expected, rtol=0, atol=PIXELS * 1e-5)
    assert result.evaluations == len(seen)
    assert torch.stack(seen).abs().max() <= 7


def test_likelihood_depends_on_the_path_and_not_on_its_speed():
    _, gaussian, schedule = setting("haar", whitened=True, a=1.0)
    z = gaussian.sample(2, k=1, seed=0)
    plain, warped = (
        log_likelihood(gaussian.denoiser(PROCESS), s, PROCESS, z, basis_probes(z), **ADAPTIVE)
        for s in (schedule, Reparametrised(schedule, 0.5))
    )
    assert torch.equal(plain.log_prob, warped.log_prob)


def test_single_precision_is_enough():
    components, gaussian, schedule = setting("haar", whitened=False, a=1.6)
    z = gaussian.sample(3, k=1, seed=1)
    exact = gaussian.flow(schedule).log_prob(z.flatten(1).numpy())
    result = log_likelihood(
        gaussian.denoiser(PROCESS),
        schedule,
        PROCESS,
        z.float(),
        basis_probes(z.float()),
        **ADAPTIVE,
    )
    error = bits_per_dim(result.log_prob.mean(1) - torch.from_numpy(exact), components)
    assert (error - bits_per_dim(torch.zeros(3), components)).abs().max() < 1e-3


RK4 = {"method": "rk4", "steps": 3, "rtol": 1.0, "atol": 1.0}


def signs(count, z, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 2, (count, *z.shape), generator=generator).to(z) * 2 - 1


@pytest.mark.parametrize("standardised", [False, True])
def test_hutchinsons_estimate_is_unbiased(standardised):
    """On a fixed grid the integral of the trace is linear in the probes' estimates."""
    components, gaussian, schedule = setting("pixel", whitened=False, a=1.0)
    z, standardise = gaussian.sample(2, k=1, seed=0), components.log_variance.exp()
    flow = gaussian.denoiser(PROCESS), schedule, PROCESS, z
    kwargs = RK4 | {"standardise": standardise if standardised else None}
    exact = log_likelihood(*flow, basis_probes(z), **kwargs).log_prob.mean(1)
    estimates = log_likelihood(*flow, signs(400, z), **kwargs).log_prob
    error = estimates.std(1) / 400**0.5
    assert (error > 0).all()
    assert ((estimates.mean(1) - exact).abs() < 4 * error).all()


def test_hutchinsons_estimate_is_exact_for_independent_components():
    _, gaussian, schedule = setting("pca", whitened=False, a=1.0)
    z = gaussian.sample(2, k=1, seed=0)
    flow = gaussian.denoiser(PROCESS), schedule, PROCESS, z
    exact = log_likelihood(*flow, basis_probes(z), **RK4).log_prob.mean(1)
    estimates = log_likelihood(*flow, signs(3, z), **RK4).log_prob
    torch.testing.assert_close(estimates, exact[:, None].expand(-1, 3), rtol=0, atol=1e-9)


def test_likelihood_does_not_depend_on_the_batch_beyond_its_tolerance():
    _, gaussian, schedule = setting("haar", whitened=False, a=1.0)
    z = gaussian.sample(4, k=1, seed=0)
    together, alone = (
        log_likelihood(
            gaussian.denoiser(PROCESS), schedule, PROCESS, part, basis_probes(part), **ADAPTIVE
        ).log_prob.mean(1)
        for part in (z, z[2:3])
    )
    torch.testing.assert_close(together[2:3], alone, rtol=0, atol=PIXELS * 1e-4)


def test_prior_log_prob_is_that_of_scipy():
    z = torch.randn(3, 1, 2, 5, generator=torch.Generator().manual_seed(0))
    expected = multivariate_normal(np.zeros(10)).logpdf(z.flatten(1).double().numpy())
    np.testing.assert_allclose(prior_log_prob(PROCESS, z), expected, rtol=1e-12)


@pytest.mark.parametrize("whitened", [False, True])
def test_uniform_8_bit_noise_has_exactly_8_bits_per_dim(whitened):
    components = representation("haar", image_covariance(3, seed=0), whitened)
    density_of_phi = 3 * PIXELS * math.log(1 / 2)
    log_prob = torch.tensor([density_of_phi - components.log_det], dtype=torch.float64)
    assert float(bits_per_dim(log_prob, components)) == pytest.approx(8, abs=1e-12)


@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize("whitened", [False, True])
def test_bits_per_dim_do_not_depend_on_basis_and_scale(name, whitened):
    """Change of variables for correlated colour images: the density of the pixel levels."""
    covariance = image_covariance(2, seed=4) / 100
    components = representation(name, covariance, whitened)
    images = np.random.default_rng(0).multivariate_normal(np.zeros(2 * PIXELS), covariance, 5)
    levels = multivariate_normal(np.full(2 * PIXELS, 128.0), covariance * 128**2)
    expected = -levels.logpdf(images * 128 + 128) / (2 * PIXELS * math.log(2))
    chi = components.encode(torch.from_numpy(images).view(5, 2, 4, 4)).flatten(1).numpy()
    density = multivariate_normal(
        np.zeros(2 * PIXELS), component_covariance(covariance, components)
    ).logpdf(chi)
    bits = bits_per_dim(torch.from_numpy(density), components)
    np.testing.assert_allclose(bits, expected, atol=1e-6)


@pytest.mark.parametrize("gamma_denoise", [-3.0, -7.0, -12.0])
def test_noising_the_data_gives_a_bound_that_tightens_with_gamma_denoise(gamma_denoise):
    """Mean over data of the bound minus the log-density: sum_i log(1 + exp(gamma_i) / V_i) / 2."""
    _, gaussian, schedule = setting("pca", False, 1.0, gamma_denoise=gamma_denoise)
    variance = torch.from_numpy(np.diag(gaussian.covariance).copy())
    z = gaussian.sample(40000, k=1, seed=0)
    noise = torch.randn(z.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    start, correction = noise_data(schedule, PROCESS, z, noise)

    def log_prob(z, variance):
        return torch.distributions.Normal(0.0, variance.sqrt()).log_prob(z.flatten(1)).sum(1)

    marginal = schedule(torch.zeros(1)).variance(variance)[0]
    difference = log_prob(start, marginal) + correction - log_prob(z, variance)
    error = float(difference.std()) / len(z) ** 0.5
    gap = 0.5 * float((schedule.gamma_min - variance.log()).exp().log1p().sum())
    assert float(difference.mean()) == pytest.approx(-gap, abs=4 * error)
    assert gap <= 0.5 * PIXELS * math.exp(gamma_denoise) * (1 + 1e-9)
    if gamma_denoise <= -7:
        assert 4 * error < 0.2


def test_noising_the_data_bounds_the_density_of_the_extended_model_from_below():
    _, gaussian, schedule = setting("pca", False, 1.0, gamma_denoise=-2.0)
    variance = torch.from_numpy(np.diag(gaussian.covariance).copy())
    state = schedule(torch.zeros(1))
    extended = variance + 2 * state.gamma[0].exp()
    z = gaussian.sample(1, k=1, seed=3).expand(20000, -1, -1, -1)
    noise = torch.randn(z.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    start, correction = noise_data(schedule, PROCESS, z, noise)
    normal = torch.distributions.Normal(0.0, state.variance(variance)[0].sqrt())
    bound = normal.log_prob(start.flatten(1)).sum(1) + correction
    density = torch.distributions.Normal(0.0, extended.sqrt()).log_prob(z[0].flatten()).sum()
    assert bound.mean() + 4 * bound.std() / 20000**0.5 < density


def test_standardised_coordinates_need_one_number_a_component():
    class Phase(OrnsteinUhlenbeck):
        k = 2

    z = torch.zeros(1, 2, 1, 4)
    schedule = SoftConditioning(torch.zeros(4), torch.zeros(4), 1.0, -7.0, 3.0)
    with pytest.raises(InputError, match="k = 1, not 2"):
        log_likelihood(
            lambda z, state: z,
            schedule,
            Phase(),
            z,
            basis_probes(z),
            standardise=torch.ones(4),
            **ADAPTIVE,
        )
