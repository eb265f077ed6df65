"""Components that mix the colours: one channel of them, with all that is defined by component."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

import gud
from gud.data.statistics import fit
from gud.diffusion.dequantisation import DEQUANTISATION_OFFSET, DEQUANTISATION_VARIANCE
from gud.diffusion.likelihood import bits_per_dim, log_likelihood

SIZE = 4
NETWORK = {"width": 8, "multipliers": (1,), "blocks": 1, "attention": (), "gamma_width": 8}


@pytest.fixture(scope="module")
def images():
    """Smooth 4 x 4 images whose colours go together."""
    rng = np.random.default_rng(0)
    grey = rng.standard_normal((400, 1, SIZE, SIZE)).cumsum(-1).cumsum(-2)
    own = rng.standard_normal((400, 3, SIZE, SIZE))
    return torch.from_numpy((128 + 8 * grey + 6 * own).clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def phi(images):
    return images.double() / 128 - 1 + DEQUANTISATION_OFFSET


def untrained(images, **choices):
    """Exact for independent Gaussian components, as its network gives 0."""
    network = gud.ncsnpp(**NETWORK, gamma_blocks=1)
    return gud.build_model(
        images,
        basis="colour_pca",
        preconditioning="gaussian",
        gamma_denoise=-7.0,
        network=network,
        flip=False,
        **choices,
    )


def test_an_untrained_model_has_the_density_of_the_gaussian_of_full_covariance(images, phi):
    model = untrained(images)
    schedule = model.schedule(a=1.0, r=0.0)
    assert model.state_shape == (1, 1, 3 * SIZE**2)
    z = model.representation.encode(phi[:8].float())[:, None]
    found = log_likelihood(
        model.eps,
        schedule,
        model.process,
        z,
        torch.ones(1, *z.shape),
        method="tsit5",
        rtol=1e-5,
        atol=1e-5,
    )
    start = schedule(torch.zeros(1, dtype=torch.float64))
    alpha, sigma = float(start.alpha[0, 0]), float(start.sigma[0, 0])
    flat = phi.flatten(1).numpy()
    covariance = np.cov(flat.T, bias=True) + DEQUANTISATION_VARIANCE * np.eye(3 * SIZE**2)
    covariance = alpha**2 * covariance + sigma**2 * np.eye(3 * SIZE**2)
    log_prob = multivariate_normal(flat.mean(0), covariance).logpdf(flat[:8])
    expected = -log_prob / (3 * SIZE**2 * math.log(2)) + 7
    bits = bits_per_dim(found.log_prob, model.representation)
    np.testing.assert_allclose(bits[:, 0], expected, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("prior", ["isotropic", "variance_matching"])
def test_samples_of_an_untrained_model_have_the_covariance_of_the_colours(images, phi, prior):
    model = untrained(images, prior=prior)
    schedule = model.schedule(a=1.0, r=0.0)
    drawn, _ = gud.draw_images(
        model, schedule, range(4000), method="exponential_ode3", grid="active", steps=20
    )
    made = drawn.double() / 128 - 1 + DEQUANTISATION_OFFSET
    measured, wanted = (np.cov(x.flatten(1).numpy().T) for x in (made, phi))
    scale = np.sqrt(np.outer(np.diag(wanted), np.diag(wanted)))
    assert np.abs((measured - wanted) / scale).max() < 0.1


def test_the_channels_of_a_component_are_what_the_fit_averages_over_in_pca_alone(images):
    grey, colours = fit(images, "pca"), fit(images, "colour_pca")
    assert grey.rotation.shape == (SIZE**2,) * 2 and colours.rotation.shape == (3 * SIZE**2,) * 2
    assert 3 * float(grey.variance.sum()) == pytest.approx(float(colours.variance.sum()))
    assert float(colours.variance.log().sum()) < 3 * float(grey.variance.log().sum())
