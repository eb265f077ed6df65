"""The scale for bits/dim: against SciPy's densities, and files that hold the images."""

import io

import numpy as np
import pandas as pd
import pytest
import torch
from commands import data_section, gud, write_preset
from PIL import Image
from scipy.stats import multivariate_normal, norm

from gud.config.sections.bases import basis_of
from gud.data import datasets, statistics
from gud.diffusion.bases import Pixel
from gud.diffusion.dequantisation import dequantise
from gud.diffusion.representation import Representation
from gud.evaluate.scale import FORMATS, file_bits, gaussian_bits, independent_gaussian_bits
from gud.provenance import read_record
from gud.randomness import Stream

SIDE = 4
SIZE = 3 * SIDE**2


@pytest.fixture(scope="module")
def images():
    """Correlated 8-bit images: 3000 to fit, 500 to test."""
    random = np.random.default_rng(0)
    mixing = random.standard_normal((SIZE, SIZE)) / SIZE**0.5 + 0.5
    levels = 128 + 8 * random.standard_normal((3500, SIZE)) @ mixing
    images = torch.from_numpy(levels.round().clip(0, 255).astype(np.uint8))
    images = images.reshape(-1, 3, SIDE, SIDE)
    return images[:3000], images[3000:]


def phi_of(images):
    return dequantise(images, Stream("cpu", 0))


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_full_gaussian_is_that_of_mean_and_covariance_of_dequantised_images(images, mirrored):
    train, test = images
    fitted = (
        phi_of(torch.cat([train, train.flip(3)]) if mirrored else train).double().flatten(1).numpy()
    )
    nats = multivariate_normal(fitted.mean(0), np.cov(fitted.T)).logpdf(
        phi_of(test).double().flatten(1).numpy()
    )
    found = gaussian_bits(train, phi_of(test), mirrored=mirrored).numpy()
    np.testing.assert_allclose(found, 7 - nats / (SIZE * np.log(2)), atol=0.03)


@pytest.mark.parametrize("name", ["pixel", "fourier"])
def test_the_independent_gaussian_has_the_variances_of_the_components(images, name):
    train, test = images
    fitted = statistics.fit(train, name)
    basis = basis_of(name).of(fitted)
    representation = Representation(basis, fitted, whitened=True)
    chi = basis.forward(phi_of(test).double() - fitted.mean).numpy()
    nats = norm.logpdf(chi, scale=fitted.variance.sqrt().numpy()).sum((1, 2))
    found = independent_gaussian_bits(representation, phi_of(test)).numpy()
    np.testing.assert_allclose(found, 7 - nats / (SIZE * np.log(2)))


def test_a_model_that_knows_more_needs_fewer_bits(images):
    train, test = images
    fitted = statistics.fit(train, "pixel")
    representation = Representation(Pixel(SIDE), fitted, False)
    independent = independent_gaussian_bits(representation, phi_of(test)).mean()
    assert gaussian_bits(train, phi_of(test), mirrored=False).mean() < independent - 0.5


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_is_counted_whole_and_gives_the_image_back(images, name):
    image = images[1][0].permute(1, 2, 0).numpy()
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, **FORMATS[name])
    assert np.array_equal(np.asarray(Image.open(buffer)), image)
    assert file_bits(images[1][:1], **FORMATS[name])[0] == 8 * len(buffer.getvalue()) / SIZE


def test_command_measures_the_test_images_of_the_experiment(tmp_path):
    preset, data, fitted = (tmp_path / name for name in ("p.yaml", "d.npz", "s.safetensors"))
    write_preset(preset)
    datasets.make(data_section({"source": "natural_patches", "size": 8, "stride": 24}), [], data)
    assert gud("statistics", "--basis", "pca", "--data", data, "--out", fitted) == 0
    out = tmp_path / "scale.csv"
    options = ["--preset", preset, "--experiment", "a_scan_isotropic", "--data", data]
    assert gud("scale", *options, "--statistics", fitted, "--out", out) == 0
    table = pd.read_csv(out).set_index("model")
    assert list(table.index) == ["gaussian_independent", "gaussian", "png", "webp"]
    assert (table.images == 4).all() and (table.stderr > 0).all()
    assert table.bits_per_dim.between(1, 24).all()
    assert table.bits_per_dim.gaussian < table.bits_per_dim.gaussian_independent
    assert read_record(out)["settings"] == {
        "experiment": "a_scan_isotropic",
        "basis": {"name": "pca"},
        "images": 4,
        "mirrored": True,
    }
