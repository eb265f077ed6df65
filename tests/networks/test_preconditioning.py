"""The Gaussian preconditioning against closed forms for independent Gaussian components."""

import pytest
import torch
from exact_noise import SIZE, ExactNoise, statistics
from sections import model_settings
from training_runs import RUN

from gud.diffusion.noising import NoisingState
from gud.model import Model

PRIORS = ("isotropic", "variance_matching")
INPUTS = ("image", "whitened")
COUNT = 2000


class Given(torch.nn.Module):
    """A network that gives a fixed image and keeps what it saw."""

    def __init__(self, image):
        super().__init__()
        self.image = image

    def forward(self, images, gamma):
        self.seen = images
        return self.image


def setting(prior: str, network_space: str):
    """A model, its data's standard deviations, Gaussian data, noise, and a state for each image."""
    choices = {"prior": prior, "preconditioning": "gaussian", "network_space": network_space}
    settings = model_settings(RUN["model"], **choices)
    model = Model(settings, statistics())
    root = (model.representation.log_variance / 2).exp()
    generator = torch.Generator().manual_seed(0)
    shape = (COUNT, *model.state_shape)
    data = torch.randn(shape, generator=generator, dtype=torch.float64) * root
    noise = torch.randn(shape, generator=generator, dtype=torch.float64)
    gamma = 6 * torch.randn(COUNT, SIZE * SIZE, generator=generator, dtype=torch.float64)
    return model, root, data, noise, NoisingState(gamma, torch.zeros_like(gamma))


@pytest.mark.parametrize("network_space", INPUTS)
@pytest.mark.parametrize("prior", PRIORS)
def test_a_network_that_gives_nothing_predicts_the_noise_of_gaussian_data_exactly(
    prior, network_space
):
    model, _, data, noise, state = setting(prior, network_space)
    z = model.process.perturb(data, state, noise)
    exact = Model(model_settings(model.settings, preconditioning="none"), statistics())
    exact.network = ExactNoise(exact)
    model.network = Given(torch.zeros(COUNT, 3, SIZE, SIZE, dtype=torch.float64))
    torch.testing.assert_close(model.eps(z, state), exact.eps(z, state))


@pytest.mark.parametrize("network_space", INPUTS)
@pytest.mark.parametrize("prior", PRIORS)
def test_the_rotation_of_data_and_noise_gives_the_noise_to_the_last_digits(prior, network_space):
    model, root, data, noise, state = setting(prior, network_space)
    theta = torch.atan2(state.sigma, state.alpha * root)[:, None, None]
    velocity = theta.cos() * noise - theta.sin() * data / root
    model.network = Given(model.representation.basis.inverse(velocity[:, 0]))
    z = model.process.perturb(data, state, noise)
    torch.testing.assert_close(model.eps(z, state), noise, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("network_space", INPUTS)
@pytest.mark.parametrize("prior", PRIORS)
def test_the_network_sees_the_expected_data_at_unit_variance_whatever_the_noise(
    prior, network_space
):
    model, root, data, noise, state = setting(prior, network_space)
    model.network = Given(torch.zeros(COUNT, 3, SIZE, SIZE, dtype=torch.float64))
    z = model.process.perturb(data, state, noise)
    model.eps(z, state)
    seen = model.representation.basis.forward(model.network.seen)
    gain = root**2 * state.alpha / (root**2 * state.alpha**2 + state.sigma**2)
    posterior_mean = gain[:, None] * z[:, 0] / root
    expected = posterior_mean * (statistics().variance.sqrt() if network_space == "image" else 1)
    ratio = seen / expected
    torch.testing.assert_close(ratio, ratio[:, :1, :1].expand_as(ratio))
    # The variance of an image's mean square is at most that of one component of three colours.
    mean = seen.square().mean((1, 2))
    assert mean.mean().item() == pytest.approx(1, abs=5 * (2 / 3 / COUNT) ** 0.5)
