"""What is fitted to a training set, against numpy; the images are neither periodic nor even."""

import subprocess
import sys

import numpy as np
import pytest
import pywt
import torch
from commands import gud

from gud.config.sections.bases import basis_of
from gud.data.blocks import blocks, mean_image
from gud.data.statistics import fit, load
from gud.diffusion.dequantisation import DEQUANTISATION_OFFSET, DEQUANTISATION_VARIANCE
from gud.diffusion.schedules import ordering_by_frequency
from gud.provenance import read_record

BASES = ("pixel", "pca", "colour_pca", "fourier", "haar2", "db2-2")


def drawn(covariance: np.ndarray, count: int) -> torch.Tensor:
    """8-bit images, different in each channel, of a covariance over the pixels of a row."""
    rng = np.random.default_rng(0)
    size = len(covariance)
    root = np.linalg.cholesky(covariance)
    noise = rng.standard_normal((count, 3, size, size))
    pixels = np.einsum("ij,kl,ncjl->ncik", root, root, noise)
    ramp = np.linspace(-20, 30, size)
    levels = 128 + ramp + 20 * pixels * np.linspace(0.5, 1.5, size)
    return torch.from_numpy(levels.clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def images():
    """Exponential covariance of length 20, as of a cut-out: opposite edges are not neighbours."""
    place = np.arange(16)
    return drawn(np.exp(-np.abs(place[:, None] - place) / 20), 300)


def phi(images) -> np.ndarray:
    return images.double().numpy() / 128 - 1 + DEQUANTISATION_OFFSET


def test_fourier_variances_are_those_of_the_fft_on_data_that_are_not_periodic(images):
    fitted = fit(images, "fourier")
    centred = phi(images) - phi(images).mean(0)
    power = (np.abs(np.fft.fft2(centred, norm="ortho")) ** 2).mean((0, 1)).flatten()
    np.testing.assert_allclose(fitted.variance, power + DEQUANTISATION_VARIANCE, rtol=1e-10)
    basis = basis_of("fourier").of(fitted)
    apart = basis.forward(torch.from_numpy(centred)).square().mean((0, 1)).numpy()
    assert (apart / power).max() > 1.5  # so that the two would differ without the average
    assert torch.equal(fitted.variance, fitted.variance[basis.partners])
    ordering = ordering_by_frequency(fitted.variance.log(), basis.frequency, 0.5)
    assert torch.equal(ordering, ordering[basis.partners])


@pytest.mark.parametrize("name", BASES)
def test_mirrored_statistics_are_those_of_the_images_and_their_mirror_images(images, name):
    fitted = fit(images, name, mirrored=True)
    doubled = fit(torch.cat([images, images.flip(-1)]), name)
    torch.testing.assert_close(fitted.mean, doubled.mean)
    torch.testing.assert_close(fitted.variance, doubled.variance)
    assert torch.equal(fitted.mean, fitted.mean.flip(-1))
    assert not torch.allclose(fitted.variance, fit(images, name).variance, rtol=1e-3)


@pytest.mark.parametrize("name", BASES)
def test_the_size_of_blocks_changes_only_rounding(images, name, monkeypatch):
    whole = fit(images, name)
    monkeypatch.setattr("gud.data.blocks.VALUES", 3 * 256 * 7)
    assert len(list(blocks(images))) == 43
    cut = fit(images, name)
    assert torch.equal(cut.mean, whole.mean)
    torch.testing.assert_close(cut.variance, whole.variance, rtol=1e-9, atol=0)


def test_the_mean_is_exact(images):
    np.testing.assert_allclose(mean_image(images), phi(images).mean(0), rtol=0, atol=1e-14)


def test_the_statistics_of_wavelets_carry_their_filter(images):
    assert fit(images, "db2-2").low_pass.tolist() == pywt.Wavelet("db2").dec_lo
    assert fit(images, "haar2").low_pass is None


@pytest.mark.parametrize("name", BASES)
def test_the_command_writes_statistics_that_load_again(images, name, tmp_path):
    data, mean, out = (tmp_path / file for file in ("data.npz", "mean.npy", "fit.safetensors"))
    np.savez(data, train=images.numpy(), test=images[:10].numpy())
    np.save(mean, mean_image(images).numpy())
    words = ["--basis", name, "--mirrored", "--data", data, "--mean", mean]
    assert gud("statistics", *words, "--out", out) == 0
    loaded, fitted = load(out).tensors(), fit(images, name, mirrored=True).tensors()
    assert loaded.keys() == fitted.keys()
    assert all(torch.equal(loaded[key], fitted[key]) for key in fitted)
    record = read_record(out)
    assert set(record["inputs"]) == {"data.npz", "mean.npy"}
    assert (
        record["settings"]["basis"] == basis_of(name).model_dump()
        and record["settings"]["mirrored"]
    )


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--basis", "db99-3"], "db99 is not allowed: it must be haar, db1 to db38"),
        (["--basis", "haar"], "basis 'haar': basis.levels is missing"),
        (["--basis", "haar5"], "wavelets with levels = 5"),
        (["--basis", "pca", "--solver", "arpack"], 'solver = "arpack" is not allowed'),
        (["--basis", "pca", "--components", "0"], "components = 0 is not allowed"),
        (["--basis", "pca", "--components", "257"], "components = 257 is more than"),
        (
            ["--basis", "pixel", "--mean", "other.npy"],
            "other.npy is float64 of shape (3, 8, 8), expected",
        ),
        (["--basis", "pixel", "--mean", "data.npz"], "data.npz is no array, expected"),
        (["--basis", "pixel", "--mean", "absent.npy"], "mean image absent.npy cannot be read"),
    ],
)
def test_what_cannot_be_fitted_is_one_sentence(
    images, words, sentence, tmp_path, monkeypatch, capfd
):
    monkeypatch.chdir(tmp_path)
    np.savez("data.npz", train=images.numpy(), test=images[:10].numpy())
    np.save("other.npy", np.zeros((3, 8, 8)))
    assert gud("statistics", *words, "--data", "data.npz", "--out", "fit.safetensors") == 2
    errors = capfd.readouterr().err
    assert sentence in errors and "Traceback" not in errors
    assert not (tmp_path / "fit.safetensors").exists()


PEAK = """
import resource, sys, numpy as np, torch
from gud.data.statistics import fit
count, basis = int(sys.argv[1]), sys.argv[2]
size = 256
pool = np.random.default_rng(0).integers(0, 256, 3 * size * size + 997 * count, dtype=np.uint8)
# Overlapping windows: images that all differ and of which no more than the pool is in memory.
images = torch.from_numpy(pool).as_strided(
    (count, 3, size, size), (997, size * size, size, 1)
)
fit(images[:2], basis)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
fit(images, basis, mirrored=True)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize("basis", ["fourier", "pixel"])
def test_memory_does_not_grow_with_the_number_of_large_images(basis):
    def peak(count: int) -> float:
        words = [sys.executable, "-c", PEAK, str(count), basis]
        return int(subprocess.check_output(words)) / 1024

    few, many = peak(60), peak(300)
    widened = 300 * 3 * 256 * 256 * 8 / 2**20
    assert many < widened / 1.5  # MiB; 450 in double precision, of which a sum takes copies
    assert many < few + 80
