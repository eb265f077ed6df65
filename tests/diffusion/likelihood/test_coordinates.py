"""Standardised coordinates of the likelihood's flow, for processes of any number of numbers."""

import pytest
import torch
from every_process import PROCESSES

from gud.diffusion.likelihood import basis_probes, log_likelihood
from gud.diffusion.likelihood.coordinates import Standardised
from gud.diffusion.processes import (
    per_component,
)
from gud.diffusion.samplers.gaussian import gaussian_denoiser
from gud.diffusion.schedules import SoftConditioning
from gud.errors import InputError

VARIANCE = torch.tensor([3.0, 0.05], dtype=torch.float64)
SCHEDULE = SoftConditioning(VARIANCE.log(), -VARIANCE.log(), 0.7, -4.0, 5.0)
EVERY = pytest.mark.parametrize("name", PROCESSES)


def states(process, count=5):
    return torch.randn(
        count, process.k, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )


@EVERY
def test_the_flow_of_independent_gaussian_components_turns_and_does_nothing_else(name):
    process, state = PROCESSES[name], SCHEDULE(torch.linspace(0, 1, 5))
    coordinates, u = Standardised(process, VARIANCE), states(process)
    z = coordinates.z(u, state)
    score = process.score(gaussian_denoiser(process, VARIANCE)(z, state), state)
    rate = per_component(process.rate(state), z)
    du = coordinates.velocity(u, rate * process.flow(z, score), state)
    torch.testing.assert_close((u * du).sum(1), torch.zeros_like(u[:, 0]), rtol=0, atol=1e-9)
    turns = float(du.abs().max()) > 0.1
    assert turns == (process.k > 1)


@EVERY
def test_the_coordinates_have_an_inverse_and_its_log_det(name):
    process, state = PROCESSES[name], SCHEDULE(torch.linspace(0, 1, 5))
    coordinates, z = Standardised(process, VARIANCE), states(process)
    torch.testing.assert_close(coordinates.z(coordinates.u(z, state), state), z)
    unit = torch.eye(process.k, dtype=torch.float64)[:, :, None, None].expand(-1, -1, 1, 2)
    for row in range(5):
        one = SCHEDULE(torch.linspace(0, 1, 5)[row].expand(process.k))
        matrices = coordinates.z(unit, one)[:, :, 0].movedim(-1, 0)
        found = coordinates.log_det(state)[row]
        torch.testing.assert_close(found, torch.linalg.slogdet(matrices)[1].sum())


@pytest.mark.slow
@EVERY
def test_the_density_is_the_same_in_both_coordinates(name):
    """The network is wrong by a tenth, so that the flow has a divergence in both."""
    process = PROCESSES[name]
    exact = gaussian_denoiser(process, VARIANCE.flip(0))
    z = states(process, 2) * torch.tensor([1.0, *process.start]).sqrt()[:, None, None]
    found = [
        log_likelihood(
            lambda z, state: 0.9 * exact(z, state),
            SCHEDULE,
            process,
            z,
            basis_probes(z),
            method="tsit5",
            rtol=1e-5,
            atol=1e-5,
            standardise=standardise,
        ).log_prob.mean(1)
        for standardise in (None, VARIANCE)
    ]
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=2e-3)


def test_the_angles_of_adams_method_are_refused_where_a_flow_turns():
    process = PROCESSES["psld"]
    z = states(process, 2)
    with pytest.raises(InputError, match="the method adams needs a process with k = 1, not 2"):
        log_likelihood(
            gaussian_denoiser(process, VARIANCE),
            SCHEDULE,
            process,
            z,
            basis_probes(z),
            method="adams",
            rtol=1e-3,
            atol=1e-3,
            standardise=VARIANCE,
        )
