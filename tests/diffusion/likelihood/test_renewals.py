"""Probes that take new signs along the path."""

import pytest
import torch
from gaussian import setting

from gud.diffusion.likelihood import basis_probes, log_likelihood
from gud.diffusion.processes import OrnsteinUhlenbeck
from gud.errors import InputError

PROCESS = OrnsteinUhlenbeck()
COLUMNS = 200


def signs(count, z):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 2, (count, *z.shape), generator=generator).to(z) * 2 - 1


@pytest.fixture
def estimates():
    """log p of three images of correlated Gaussian components, by any probes."""
    components, gaussian, schedule = setting("haar", whitened=False, a=1.0)
    z = gaussian.sample(3, k=1, seed=0)

    def of(probes, renewals=0, steps=16, method="adams"):
        result = log_likelihood(
            gaussian.denoiser(PROCESS),
            schedule,
            PROCESS,
            z,
            probes(z),
            method=method,
            rtol=0.0,
            atol=1e-2,
            steps=steps,
            renewals=renewals,
            standardise=components.log_variance.exp(),
        )
        return result.log_prob

    return of


def test_renewed_probes_do_not_change_an_exact_divergence(estimates):
    renewed = estimates(lambda z: basis_probes(z).repeat(6, 1, 1, 1, 1), renewals=5)
    torch.testing.assert_close(renewed, estimates(basis_probes), rtol=0, atol=1e-9)


def test_new_signs_at_every_step_are_unbiased_and_divide_the_variance(estimates):
    exact = estimates(basis_probes).mean(1)
    kept = estimates(lambda z: signs(COLUMNS, z))
    renewed = estimates(lambda z: signs(17 * COLUMNS, z), renewals=16)
    assert renewed.shape == kept.shape
    error = renewed.std(1) / COLUMNS**0.5
    assert ((renewed.mean(1) - exact).abs() < 4 * error).all()
    assert (renewed.var(1) < kept.var(1) / 6).all()


@pytest.mark.slow
def test_finer_steps_keep_the_probes_of_coarser_ones(estimates):
    """So that a few images tell what finer steps change in the mean of all."""
    exact = estimates(basis_probes, steps=48).mean(1) - estimates(basis_probes).mean(1)

    def change(renewals):
        finer = estimates(lambda z: signs((renewals + 1) * COLUMNS, z), renewals, steps=48)
        return finer - estimates(lambda z: signs(17 * COLUMNS, z), renewals=16)

    kept = change(16)
    assert ((kept.mean(1) - exact).abs() < 4 * kept.std(1) / COLUMNS**0.5).all()
    assert (kept.var(1) < change(48).var(1) / 10).all()


@pytest.mark.parametrize(
    ("method", "steps", "renewals", "told"),
    [
        ("adams", None, 2, "renewals = 2 must be 0 to 0, the number of equal steps"),
        ("adams", 16, 17, "renewals = 17 must be 0 to 16"),
        ("adams", 16, -1, "renewals = -1 must be 0 to 16"),
        ("adams", 16, 1, "3 probes cannot be those of 2 stretches"),
        ("rk4", 16, 2, "the method rk4 keeps its probes"),
    ],
)
def test_renewals_that_no_steps_of_adams_can_have_are_refused(
    estimates, method, steps, renewals, told
):
    with pytest.raises(InputError, match=told):
        estimates(lambda z: signs(3, z), renewals=renewals, steps=steps, method=method)
