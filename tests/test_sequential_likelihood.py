"""Sequential schedules give the likelihood and the samples of their own exact flow."""

import pytest
import torch
from gaussian import Gaussian, component_covariance, image_covariance, ramp_flow, representation

from gud.families import schedule_from_settings
from gud.likelihood import basis_probes, bits_per_dim, log_likelihood
from gud.processes import OrnsteinUhlenbeck
from gud.randomness import ImageStreams
from gud.samplers import sample_euler_maruyama

PROCESS = OrnsteinUhlenbeck()
SETTINGS = {"gamma_denoise": -7.0, "gamma_noise": "auto", "time_power": 1.0}
CASES = [
    *(("pixel", "columns", {"b": b}) for b in (0.3, 0.5, 0.9)),
    *(("haar", "wavelet_columns", {"a": a, "b": b}) for a in (0.3, 0.7) for b in (0.3, 0.7)),
]


def setting(basis, family, parameters):
    covariance = image_covariance(1, seed=0)
    components = representation(basis, covariance, whitened=False)
    gaussian = Gaussian(component_covariance(covariance, components), 1)
    settings = SETTINGS | {"name": family}
    return components, gaussian, schedule_from_settings(settings, components, parameters)


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


def test_a_frozen_component_does_not_change_by_a_bit():
    components, gaussian, schedule = setting("pixel", "columns", {"b": 0.9})
    streams = ImageStreams("cpu", 0, "steps", range(3))
    z = gaussian.sample(3, k=1, seed=2).float()
    seen = []

    def denoiser(state_z, state):
        seen.append(state_z.clone())
        return gaussian.denoiser(PROCESS)(state_z, state)

    sample_euler_maruyama(denoiser, schedule, PROCESS, z, streams, steps=10)
    # The first five of ten steps lead from t = 1 to 0.5.
    frozen = schedule.start + schedule.width <= 0.5
    assert frozen.any()
    assert not frozen.all()
    for visited in seen[:6]:
        assert torch.equal(visited[..., frozen], z[..., frozen])
    assert not torch.equal(seen[5][..., ~frozen], z[..., ~frozen])
