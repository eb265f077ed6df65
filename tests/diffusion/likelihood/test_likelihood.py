import itertools
import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from gaussian import (
    BASES,
    PIXELS,
    setting,
)

from gud.diffusion.likelihood import (
    basis_probes,
    bits_per_dim,
    log_likelihood,
)
from gud.diffusion.processes import OrnsteinUhlenbeck
from gud.diffusion.schedules import Line, Reparametrised, Schedule, SoftConditioning

PROCESS = OrnsteinUhlenbeck()
ADAPTIVE = {"method": "tsit5", "rtol": 1e-5, "atol": 1e-5}
ADAMS = {"method": "adams", "rtol": 1e-4, "atol": 1e-4}


def diagonal_log_prob(gaussian, schedule, z):
    """log-density of independent components: each is scaled by s_i(1) / s_i(0)."""
    variance = torch.from_numpy(np.diag(gaussian.covariance).copy())
    start, end = (
        schedule(torch.full((1,), t, dtype=torch.float64)).variance(variance).sqrt() for t in (0, 1)
    )
    scaled = z.flatten(1) * end / start
    normal = torch.distributions.Normal(0.0, 1.0).log_prob(scaled)
    return (normal + (end / start).log()).sum(1)


@pytest.mark.slow
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
    standardised = {"standardise": components.log_variance.exp()}
    adams = {"method": "adams", "rtol": 0.0, "atol": 1e-4}
    ways = {"components": {}, "standardised": standardised, "adams": standardised | adams}
    for way, settings in ways.items():
        result = log_likelihood(
            gaussian.denoiser(PROCESS),
            schedule,
            PROCESS,
            z,
            basis_probes(z),
            **ADAPTIVE | settings,
        )
        error = (bits_per_dim(result.log_prob.mean(1), components) - exact).abs().max()
        assert error < 1e-3
        record_property(f"{way}: largest error, bits/dim", float(error))
        record_property(f"{way}: evaluations", result.evaluations)
    distance = flow.divergence_from(gaussian.covariance)
    assert -1e-12 < distance < 0.01
    record_property("KL(data || flow), bits/dim", float(distance))


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


@pytest.mark.parametrize(("method", "evaluations"), [("rk4", 4), ("adams", 2)])
def test_standardised_coordinates_make_the_flow_of_independent_components_free(method, evaluations):
    components, gaussian, schedule = setting("pca", whitened=False, a=1.3)
    z = gaussian.sample(4, k=1, seed=2)
    result = log_likelihood(
        gaussian.denoiser(PROCESS),
        schedule,
        PROCESS,
        z,
        basis_probes(z),
        method=method,
        steps=1,
        rtol=1.0,
        atol=1.0,
        standardise=components.log_variance.exp(),
    )
    assert result.evaluations == evaluations
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
        return 0.4 * (~first).to(t), 14.0 / 0.6

    def gamma(self, t):
        start, slope = self._slope_and_start(t)
        return (-7 + slope * (t[:, None] - start)).clamp(-7, 7)

    def d_gamma_dt(self, t):
        start, slope = self._slope_and_start(t)
        inside = (t[:, None] > start) & (t[:, None] < start + 0.6)
        return inside.double() * slope

    def between(self, start, end):
        middle = torch.tensor([(start + end) / 2], dtype=torch.float64)
        return Line(float(middle), self.gamma(middle)[0], self.d_gamma_dt(middle)[0])


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
    assert int(result.counts.sum()) == sum(map(len, seen))
    assert torch.cat(seen).abs().max() <= 7 + 1e-12


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


@pytest.mark.parametrize("way", ["components", "standardised", "adams"])
def test_hutchinsons_estimate_is_unbiased(way):
    """On a fixed grid the integral of the trace is linear in the probes' estimates."""
    components, gaussian, schedule = setting("pixel", whitened=False, a=1.0)
    z, standardise = gaussian.sample(2, k=1, seed=0), components.log_variance.exp()
    flow = gaussian.denoiser(PROCESS), schedule, PROCESS, z
    kwargs = RK4 | ({"method": "adams"} if way == "adams" else {})
    kwargs |= {} if way == "components" else {"standardise": standardise}
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


@pytest.mark.parametrize("settings", [ADAPTIVE, ADAMS], ids=["tsit5", "adams"])
def test_likelihood_does_not_depend_on_the_batch(settings):
    components, gaussian, schedule = setting("haar", whitened=False, a=1.0)
    z = gaussian.sample(4, k=1, seed=0) * torch.tensor([1.0, 0.1, 4.0, 1.0]).view(4, 1, 1, 1)
    together, alone = (
        log_likelihood(
            gaussian.denoiser(PROCESS),
            schedule,
            PROCESS,
            part,
            basis_probes(part),
            standardise=components.log_variance.exp(),
            **settings,
        )
        for part in (z, z[2:3])
    )
    assert len(together.counts.unique()) > 1, "images that differ take different steps"
    assert together.counts[2] == alone.counts[0]
    torch.testing.assert_close(together.log_prob[2:3], alone.log_prob, rtol=0, atol=1e-9)
