import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from gud.config.sections.bases import PrincipalComponents
from gud.data.blocks import mean_image
from gud.data.principal_components import principal_components
from gud.errors import InputError

SOLVERS = ("full", "covariance_eigh", "randomized", "incremental")


def fitted(images, solver, components=None, mirrored=False):
    settings = PrincipalComponents(solver=solver, components=components)
    mean = mean_image(images)
    mean = (mean + mean.flip(-1)) / 2 if mirrored else mean
    return principal_components(images, mean, mirrored, settings)


def grey(images):
    return images.double().mean(1).flatten(1).numpy() / 128


@pytest.fixture(scope="module")
def images():
    """Colour images of 4 x 4 pixels, correlated and of well separated variances."""
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((16, 16)) * np.exp(-np.arange(16) / 4)
    pixels = rng.standard_normal((400, 3, 16)) @ mixing.T * 10 + 128
    return torch.from_numpy(pixels.clip(0, 255).astype(np.uint8)).unflatten(2, (4, 4))


@pytest.mark.parametrize("solver", SOLVERS)
def test_all_solvers_give_the_eigenvectors_of_the_grey_covariance(images, solver, monkeypatch):
    monkeypatch.setattr("gud.data.blocks.VALUES", 48 * 30)
    values, vectors = np.linalg.eigh(np.cov(grey(images).T))
    rotation = fitted(images, solver).numpy()
    np.testing.assert_allclose(np.abs(rotation @ vectors[:, ::-1]), np.eye(16), atol=1e-6)
    variance = (grey(images) @ rotation.T).var(0, ddof=1)
    np.testing.assert_allclose(variance, values[::-1], rtol=1e-8)
    assert (rotation[np.arange(16), np.abs(rotation).argmax(1)] > 0).all()


@pytest.mark.parametrize("solver", SOLVERS)
def test_of_mirror_images_they_are_even_or_odd_and_those_of_the_doubled_set(images, solver):
    rotation = fitted(images, solver, mirrored=True)
    doubled = np.concatenate([grey(images), grey(images.flip(-1))])
    reference = PCA(svd_solver="full").fit(doubled).components_
    np.testing.assert_allclose(np.abs(rotation.numpy() @ reference.T), np.eye(16), atol=1e-6)
    mirrored = rotation.unflatten(1, (4, 4)).flip(-1).flatten(1)
    sign = (rotation * mirrored).sum(1, keepdim=True)
    torch.testing.assert_close(mirrored, sign.round() * rotation, rtol=0, atol=1e-6)


@pytest.mark.parametrize("solver", ["randomized", "full", "covariance_eigh"])
def test_leading_components_are_completed_to_an_orthogonal_basis(images, solver):
    rotation = fitted(images, solver, components=5)
    assert rotation.shape == (16, 16)
    torch.testing.assert_close(rotation @ rotation.T, torch.eye(16).double())
    leading = PCA(5, svd_solver="full").fit(grey(images)).components_
    np.testing.assert_allclose(np.abs(rotation[:5].numpy() @ leading.T), np.eye(5), atol=1e-6)


@pytest.mark.parametrize("solver", SOLVERS)
def test_those_of_few_images_are_a_complete_basis(solver):
    images = torch.randint(0, 256, (3, 3, 4, 4), dtype=torch.uint8)
    rotation = fitted(images, solver)
    torch.testing.assert_close(rotation @ rotation.T, torch.eye(16).double())


def test_more_components_than_there_are_say_so(images):
    with pytest.raises(InputError, match="components = 17 is more than 400 images of 16 pixels"):
        fitted(images, "randomized", components=17)
