import numpy as np
import pytest
import torch

from gud.config.sections.bases import basis_of
from gud.data.statistics import fit
from gud.diffusion.bases import PCA, ColourPCA, Fourier, Pixel
from gud.diffusion.bases.wavelets import HAAR, Wavelet
from gud.diffusion.dequantisation import (
    DEQUANTISATION_OFFSET,
    DEQUANTISATION_VARIANCE,
    dequantise,
    quantise,
)
from gud.diffusion.representation import Representation
from gud.randomness import Stream

SETTINGS = {
    name: basis_of(name) for name in ("pixel", "pca", "colour_pca", "fourier", "haar2", "db2-2")
}


@pytest.fixture(scope="module")
def images():
    """Smooth random 8 x 8 colour images."""
    rng = np.random.default_rng(0)
    pixels = rng.standard_normal((500, 3, 8, 8)).cumsum(-1).cumsum(-2) * 10 + 128
    return torch.from_numpy(pixels.clip(0, 255).astype(np.uint8))


@pytest.fixture(params=SETTINGS)
def settings(request):
    return SETTINGS[request.param]


def representation(images, settings, whitened):
    statistics = fit(images, settings)
    return Representation(settings.of(statistics), statistics, whitened)


def test_statistics_are_those_of_dequantised_images(images, settings):
    statistics = fit(images, settings)
    copies = images.repeat(40, 1, 1, 1)
    phi = dequantise(copies, Stream("cpu", 0)).double()
    np.testing.assert_allclose(statistics.mean, phi.mean(0), atol=5 * 0.0023 / 20000**0.5)
    basis = settings.of(statistics)
    components = basis.forward(phi - phi.mean(0))
    measured = components.var(0, correction=0).mean(0)
    if settings.name == "fourier":
        measured = (measured + measured[basis.partners]) / 2
    np.testing.assert_allclose(statistics.variance, measured, rtol=5e-3)


def test_whitened_training_components_have_unit_variance_and_no_mean(images, settings):
    whitened = representation(images, settings, whitened=True)
    phi = dequantise(images, Stream("cpu", 0))
    components = whitened.encode(phi)
    measured = components.square().mean((0, 1))
    if (partners := whitened.basis.partners) is not None:
        measured = (measured + measured[partners]) / 2
    np.testing.assert_allclose(measured, np.ones(len(measured)), atol=0.1)
    assert components.mean(0).abs().max() < 0.05
    assert (whitened.log_variance == 0).all()
    torch.testing.assert_close(whitened.log_data_variance.exp(), whitened.statistics.variance)


@pytest.mark.parametrize("whitened", [False, True])
def test_decode_undoes_encode_to_the_grey_level(images, settings, whitened):
    components = representation(images, settings, whitened)
    phi = dequantise(images[:20], Stream("cpu", 0))
    decoded = components.decode(components.encode(phi))
    torch.testing.assert_close(decoded, phi, rtol=0, atol=2e-5)
    centres = images[:20] / 128 - 1 + DEQUANTISATION_OFFSET
    assert torch.equal(quantise(components.decode(components.encode(centres))), images[:20])


def test_log_det_is_that_of_the_jacobian_of_encode(images, settings):
    for whitened in (False, True):
        components = representation(images[:, :2, :4, :4].contiguous(), settings, whitened)
        phi = torch.zeros(1, 2, 4, 4, dtype=torch.float64)
        jacobian = torch.autograd.functional.jacobian(components.encode, phi).view(32, 32)
        assert components.log_det == pytest.approx(float(jacobian.slogdet()[1]), abs=1e-8)


def test_isotropic_components_keep_their_variance(images, settings):
    isotropic = representation(images, settings, whitened=False)
    assert isotropic.log_det == 0
    assert torch.equal(isotropic.log_variance, isotropic.log_data_variance)


def test_total_variance_is_the_same_in_every_basis(images):
    totals = [
        float(fitted.variance.sum()) * representation(images, settings, False).channels
        for settings in SETTINGS.values()
        for fitted in [fit(images, settings)]
    ]
    assert totals == pytest.approx([totals[0]] * len(SETTINGS))


def test_principal_components_of_grey_images_are_sorted_and_uncorrelated(images):
    grey = images[:, :1].expand(-1, 3, -1, -1).contiguous()
    components = representation(grey, SETTINGS["pca"], whitened=True)
    centres = grey.double() / 128 - 1 + DEQUANTISATION_OFFSET
    chi = components.encode(centres)[:, 0] * components.scale
    covariance = np.cov(chi.numpy().T, bias=True)
    expected = components.statistics.variance.numpy() - DEQUANTISATION_VARIANCE
    np.testing.assert_allclose(covariance, np.diag(expected), atol=1e-10)
    assert (np.diff(expected) <= 0).all()


def test_principal_components_of_colour_images_are_uncorrelated_across_channels(images):
    components = representation(images, SETTINGS["colour_pca"], whitened=False)
    centres = images.double() / 128 - 1 + DEQUANTISATION_OFFSET
    chi = components.encode(centres)
    assert chi.shape == (500, 1, 192)
    expected = components.statistics.variance.numpy() - DEQUANTISATION_VARIANCE
    covariance = np.cov(chi[:, 0].numpy().T, bias=True)
    np.testing.assert_allclose(covariance, np.diag(expected), atol=1e-10)
    values = np.cov(centres.flatten(1).numpy().T, bias=True)
    np.testing.assert_allclose(expected, np.linalg.eigvalsh(values)[::-1], atol=1e-10)


def test_settings_choose_the_basis():
    rotation = torch.eye(64, dtype=torch.float64)
    low_pass = torch.tensor(HAAR, dtype=torch.float64)
    kinds = {
        name: type(settings.build(8, rotation, low_pass)) for name, settings in SETTINGS.items()
    }
    wavelets = {"haar2": Wavelet, "db2-2": Wavelet}
    assert kinds == {
        "pixel": Pixel,
        "pca": PCA,
        "colour_pca": ColourPCA,
        "fourier": Fourier,
        **wavelets,
    }
