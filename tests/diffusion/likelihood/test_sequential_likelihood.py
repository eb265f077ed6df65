"""Sequential schedules give the likelihood and the samples of their own exact flow."""

import math

import numpy as np
import pytest
import torch
from gaussian import Gaussian, component_covariance, image_covariance, ramp_flow, representation
from scipy.linalg import toeplitz

from gud.diffusion.likelihood import basis_probes, bits_per_dim, log_likelihood
from gud.diffusion.processes import OrnsteinUhlenbeck
from gud.diffusion.samplers import EulerMaruyama, sample_sde
from gud.diffusion.schedules import FAMILIES, column_schedule
from gud.planning.workload import LEAST_EVALUATIONS
from gud.randomness import ImageStreams

PROCESS = OrnsteinUhlenbeck()
CASES = [
    *(("pixel", "columns", {"b": b}) for b in (0.3, 0.5, 0.9)),
    *(("haar", "wavelet_columns", {"a": a, "b": b}) for a in (0.3, 0.7) for b in (0.3, 0.7)),
]


def setting(basis, family, parameters):
    covariance = image_covariance(1, seed=0)
    components = representation(basis, covariance, whitened=False)
    gaussian = Gaussian(component_covariance(covariance, components), 1)
    return components, gaussian, FAMILIES[family](components, **parameters)


def start_by_hand(family, parameters):
    """Where each ramp begins on a 4x4 image, written out from equations 21 and 22."""
    b = parameters["b"]
    if family == "columns":
        return [b * (4 - i) / 3 for _ in range(4) for i in (1, 2, 3, 4)], 1 - b
    a = parameters["a"]
    start = []
    for row in range(4):
        for column in range(4):
            if row < 2 and column < 2:
                group, j, width = (1 if row == column == 0 else 2), 1, 1
            else:
                group, j, width = 3, column % 2 + 1, 2
            c_i = a * (3 - group) / 2
            c_ij = b * (width - j) / (width - 1) if width > 1 else 0.0
            start.append(c_i + (1 - a) * c_ij)
    return start, (1 - a) * (1 - b)


@pytest.mark.slow
@pytest.mark.parametrize("basis, family, parameters", CASES, ids=str)
def test_bits_per_dim_of_gaussian_data_are_those_of_the_exact_flow(
    basis, family, parameters, record_property
):
    components, gaussian, schedule = setting(basis, family, parameters)
    start, width = start_by_hand(family, parameters)
    flow = ramp_flow(gaussian, start, width, schedule.gamma_min, schedule.gamma_max)
    z = gaussian.sample(3, k=1, seed=1)
    exact = bits_per_dim(torch.from_numpy(flow.log_prob(z.flatten(1).numpy())), components)
    for standardise in (None, components.log_variance.exp()):
        result = log_likelihood(
            gaussian.denoiser(PROCESS),
            schedule,
            PROCESS,
            z,
            basis_probes(z),
            method="tsit5",
            rtol=1e-5,
            atol=1e-5,
            standardise=standardise,
        )
        found = bits_per_dim(result.log_prob.mean(1), components)
        assert (found - exact).abs().max() < 1e-3
        record_property("evaluations", result.evaluations)


def bits_of_columns(gaussian, schedule, z, **settings):
    denoiser = gaussian.denoiser(PROCESS)
    result = log_likelihood(denoiser, schedule, PROCESS, z, basis_probes(z), **settings)
    return -result.log_prob.mean(1) / (z[0].numel() * math.log(2)), result.evaluations


def columns_of_a_row(count):
    """Neighbouring pixels of one row correlate by 0.9."""
    gaussian = Gaussian(0.25 * toeplitz(0.9 ** np.arange(count)), 1)
    schedule = column_schedule(torch.arange(count), 0.5, -7.0, 4.0)
    return gaussian, schedule, gaussian.sample(2, k=1, seed=1)


@pytest.mark.slow
def test_runge_kutta_keeps_order_4_on_the_column_schedule():
    gaussian, schedule, z = columns_of_a_row(8)
    fixed = {"method": "rk4", "rtol": 1.0, "atol": 1.0}
    exact, _ = bits_of_columns(gaussian, schedule, z, steps=32, **fixed)
    errors = []
    for steps in (2, 4, 8):
        found, _ = bits_of_columns(gaussian, schedule, z, steps=steps, **fixed)
        errors.append(float((found - exact).abs().max()))
    assert errors[-1] > 1e-8, "not yet rounding"
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    assert orders == pytest.approx([4.0, 4.0], abs=0.3)


@pytest.mark.slow
def test_tsit5_takes_one_step_of_each_piece_of_32_columns_and_is_right(record_property):
    gaussian, schedule, z = columns_of_a_row(32)
    flow = ramp_flow(gaussian, schedule.start.numpy(), 0.5, -7.0, 4.0)
    exact = -flow.log_prob(z.flatten(1).numpy()) / (32 * np.log(2))
    found, evaluations = bits_of_columns(
        gaussian, schedule, z, method="tsit5", rtol=1e-4, atol=1e-4
    )
    assert np.abs(found.numpy() - exact).max() < 1e-6
    assert evaluations == LEAST_EVALUATIONS * (len(schedule.kinks) + 1)
    record_property("evaluations", evaluations)


def test_a_frozen_component_does_not_change_by_a_bit():
    components, gaussian, schedule = setting("pixel", "columns", {"b": 0.9})
    streams = ImageStreams("cpu", 0, "steps", range(3))
    z = gaussian.sample(3, k=1, seed=2).float()
    seen = []

    def denoiser(state_z, state):
        seen.append(state_z.clone())
        return gaussian.denoiser(PROCESS)(state_z, state)

    sample_sde(denoiser, schedule, PROCESS, z, streams, method=EulerMaruyama(), steps=10)
    # The first five of ten steps lead from t = 1 to 0.5.
    frozen = schedule.start + schedule.width <= 0.5
    assert frozen.any()
    assert not frozen.all()
    for visited in seen[:6]:
        assert torch.equal(visited[..., frozen], z[..., frozen])
    assert not torch.equal(seen[5][..., ~frozen], z[..., ~frozen])
