"""What the network sees, and the noise made of what it gives, against closed forms in images."""

import pytest
import torch
from exact_noise import SIZE, statistics
from sections import model_settings
from training_runs import RUN

from gud.diffusion.noising import NoisingState
from gud.model import Model

PRIORS = ("isotropic", "variance_matching")
INPUTS = ("image", "whitened")
SINGLE = {"rtol": 1e-4, "atol": 1e-6}
"""A model holds mean and scale of the images in single precision."""


def model_of(**changes) -> Model:
    schedule = RUN["model"]["schedule"] | {"gamma_noise": "common"}
    torch.manual_seed(0)
    return Model(model_settings(RUN["model"], **{"schedule": schedule} | changes), statistics())


def symmetric_root(matrix):
    values, vectors = torch.linalg.eigh(matrix)
    return vectors @ values.sqrt().diag() @ vectors.T


class ImageDenoiser(torch.nn.Module):
    """E[eps | image] of Gaussian images, by their covariance over the pixels.

    Whitening, and the noise of a state that differs between components, are matrices over the
    pixels of a channel.
    """

    def __init__(self, model: Model):
        super().__init__()
        self.settings = model.settings
        unit = torch.eye(SIZE * SIZE, dtype=torch.float64).unflatten(1, (SIZE, SIZE))
        self.basis = model.representation.basis.forward(unit).T
        self.covariance = self.basis.T @ statistics().variance.diag() @ self.basis

    def forward(self, images, gamma):
        """Exact for a batch that shares one noising state."""
        alpha2, sigma2 = (
            self.basis.T @ torch.sigmoid(g[0]).diag() @ self.basis for g in (-gamma, gamma)
        )
        root = symmetric_root(self.covariance)
        matching = self.settings.prior == "variance_matching"
        # Data and noise as they are diffused, over pixels, and what the network sees of them.
        data = torch.eye(len(root), dtype=root.dtype) if matching else self.covariance
        sees_image = self.settings.network_space == "image"
        scale = torch.eye(len(root), dtype=root.dtype)
        if matching and sees_image:
            scale = root
        if not matching and not sees_image:
            scale = torch.linalg.inv(root)
        total = alpha2 @ data + sigma2
        solved = torch.linalg.solve(total, torch.linalg.inv(scale))
        matrix = scale @ symmetric_root(sigma2) @ solved
        return (images.flatten(2) @ matrix.T).view_as(images)


def gaussian_data(model: Model, count: int = 8):
    """Noised Gaussian data at one state, which has no order, its state and the exact noise."""
    generator = torch.Generator().manual_seed(0)
    shape = (count, *model.state_shape)
    data = torch.randn(shape, generator=generator, dtype=torch.float64)
    noise = torch.randn(shape, generator=generator, dtype=torch.float64)
    gamma = 3 * torch.randn(1, SIZE * SIZE, generator=generator, dtype=torch.float64)
    state = NoisingState(gamma.expand(count, -1), torch.zeros(count, SIZE * SIZE).double())
    variance = model.representation.log_variance.exp()
    z = model.process.perturb(data * variance.sqrt(), state, noise)
    alpha2, sigma2 = torch.sigmoid(-gamma), torch.sigmoid(gamma)
    exact = z * (sigma2.sqrt() / (alpha2 * variance + sigma2))[:, None, None]
    return z, state, exact


class Sees(torch.nn.Module):
    """Keeps what it saw and gives nothing."""

    def forward(self, images, gamma):
        self.seen = images
        return torch.zeros_like(images)


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("network_space", INPUTS)
def test_an_exact_denoiser_of_images_gives_the_exact_noise_of_components(prior, network_space):
    model = model_of(prior=prior, network_space=network_space)
    z, state, exact = gaussian_data(model)
    model.network = ImageDenoiser(model)
    torch.testing.assert_close(model.eps(z, state), exact, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("prior", PRIORS)
def test_without_noise_the_network_sees_the_image_or_the_whitened_image_with_either_prior(prior):
    generator = torch.Generator().manual_seed(2)
    phi = torch.rand(4, 3, SIZE, SIZE, generator=generator, dtype=torch.float64)
    clean = NoisingState(torch.full((4, SIZE * SIZE), -80.0).double(), torch.zeros(4, SIZE**2))
    centred = phi - statistics().mean
    for network_space in INPUTS:
        model = model_of(prior=prior, network_space=network_space)
        model.network = Sees()
        model.eps(model.representation.encode(phi)[:, None], clean)
        basis = model.representation.basis
        whitened = basis.inverse(basis.forward(centred) / statistics().variance.sqrt())
        expected = centred if network_space == "image" else whitened
        torch.testing.assert_close(model.network.seen, expected, **SINGLE)


@pytest.mark.parametrize(
    ("prior", "network_space"), [("isotropic", "image"), ("variance_matching", "whitened")]
)
def test_what_needs_no_scale_is_the_orthogonal_image_of_the_components_to_the_last_bit(
    prior, network_space
):
    model = model_of(prior=prior, network_space=network_space)
    z, state, _ = gaussian_data(model)
    model.network = Sees()
    model.eps(z.float(), state)
    assert torch.equal(model.network.seen, model.representation.basis.inverse(z.float())[:, 0])


class Neighbours(torch.nn.Module):
    """A network that is told nothing of gamma."""

    def forward(self, images, gamma):
        return torch.tanh(images.roll(1, -1) - images.roll(1, -2))


@pytest.mark.parametrize("network_space", INPUTS)
@pytest.mark.parametrize("point", [{"a": 0.5, "r": 0.3}, {"a": 1.4, "r": 0.0}])
def test_with_common_noise_the_priors_differ_in_nothing_but_the_gamma_that_is_told(
    network_space, point
):
    """Same log SNR at every time, same image seen, same loss: a change of variables."""
    t = torch.linspace(0, 1, 5, dtype=torch.float64)
    generator = torch.Generator().manual_seed(3)
    phi = torch.rand(5, 3, SIZE, SIZE, generator=generator, dtype=torch.float64)
    found = []
    for prior in PRIORS:
        model = model_of(prior=prior, network_space=network_space, preconditioning="gaussian")
        state = model.schedule(**point)(t)
        variance = model.representation.log_variance
        noise = torch.randn(5, *model.state_shape, generator=torch.Generator().manual_seed(4))
        data = model.representation.encode(phi)[:, None]
        z = model.process.perturb(data, state, noise.double())
        model.network = Neighbours()
        found.append((state.log_snr(variance), model.eps(z, state) - noise))
    (snr, error), (other_snr, other_error) = found
    torch.testing.assert_close(snr, other_snr, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(error, other_error, **SINGLE)


def test_common_noise_is_enough_for_both_priors():
    ranges = {}
    for prior in PRIORS:
        for gamma_noise in ("auto", "common"):
            schedule = RUN["model"]["schedule"] | {"gamma_noise": gamma_noise}
            model = model_of(prior=prior, schedule=schedule)
            path = model.schedule(a=1.0, r=0.0).path
            ranges[prior, gamma_noise] = path.gamma_noise
    common = ranges["isotropic", "common"]
    assert common == ranges["variance_matching", "common"]
    assert common == max(ranges[prior, "auto"] for prior in PRIORS)
    assert ranges["isotropic", "auto"] > ranges["variance_matching", "auto"]
