"""Wavelets against PyWavelets, which has nothing in common with the transform but its filters."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
import pywt
import torch
from sections import model_settings
from training_runs import RUN

from gud.config.sections.bases import ORTHOGONAL_WAVELETS
from gud.data.statistics import fit
from gud.diffusion.bases.wavelets import HAAR, Wavelet
from gud.errors import InputError
from gud.model import Model


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(5, 16, 16, generator=generator, dtype=torch.float64)


def wavelet(name: str, size: int = 16, levels: int = 3) -> Wavelet:
    return Wavelet(size, levels, tuple(pywt.Wavelet(name).dec_lo))


def test_haar_is_the_default():
    assert tuple(pywt.Wavelet("haar").dec_lo) == HAAR
    assert Wavelet(16, 2) == wavelet("haar", levels=2)


@pytest.mark.parametrize("levels", [1, 2, 3])
@pytest.mark.parametrize("name", ["haar", "db2", "db3", "sym4", "coif1", "coif3"])
def test_the_pyramid_is_that_of_pywavelets_with_the_papers_names(name, levels, images):
    pyramid = wavelet(name, levels=levels).forward(images).unflatten(-1, (16, 16)).numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of filters longer than the image
        low, *details = pywt.wavedec2(
            images.numpy(), name, mode="periodization", level=levels, axes=(-2, -1)
        )
    size = 16 >> levels
    np.testing.assert_allclose(pyramid[:, :size, :size], low, atol=1e-12)
    for horizontal, vertical, diagonal in details:
        first, second = slice(size), slice(size, 2 * size)
        np.testing.assert_allclose(pyramid[:, first, second], vertical, atol=1e-12)
        np.testing.assert_allclose(pyramid[:, second, first], horizontal, atol=1e-12)
        np.testing.assert_allclose(pyramid[:, second, second], diagonal, atol=1e-12)
        size *= 2


def test_every_orthogonal_wavelet_of_pywavelets_has_an_exact_inverse(images):
    discrete = [pywt.Wavelet(name) for name in pywt.wavelist(kind="discrete")]
    assert {one.name for one in discrete if one.orthogonal} - {"dmey"} == ORTHOGONAL_WAVELETS
    for name in ORTHOGONAL_WAVELETS:
        basis = wavelet(name)
        components = basis.forward(images)
        torch.testing.assert_close(basis.inverse(components), images, rtol=0, atol=1e-9)
        energy = images.square().sum((1, 2))
        torch.testing.assert_close(components.square().sum(1), energy, rtol=1e-9, atol=0)


@pytest.mark.parametrize("name", ["haar", "sym4"])
def test_gradients_pass_through_as_through_an_orthogonal_matrix(name, images):
    basis = wavelet(name, levels=2)
    weights = basis.forward(images.flip(0))
    images.requires_grad_(True)
    (basis.forward(images) * weights).sum().backward()
    torch.testing.assert_close(images.grad, basis.inverse(weights))


def test_places_of_components_are_those_of_the_pyramid_whatever_the_wavelet():
    haar, other = wavelet("haar"), wavelet("coif1")
    for places in ("groups", "columns", "labels"):
        assert torch.equal(getattr(haar, places), getattr(other, places))


@pytest.mark.parametrize("name", ["haar", "db2", "sym4", "coif1"])
def test_a_coefficient_lies_over_its_column_of_the_image(name):
    basis, size = wavelet(name, size=32, levels=2), 32
    angles = torch.exp(2j * torch.pi * torch.arange(size) / size)
    for column in range(8):
        unit = torch.zeros(size, size, dtype=torch.float64)
        unit[3, column] = 1  # of the coarsest arrays, each entry of which spans four columns
        power = basis.inverse(unit.flatten()).square().sum(0)
        centre = float((power * angles).sum().angle()) * size / (2 * torch.pi)
        away = (centre - (4 * column + 1.5) + size / 2) % size - size / 2
        assert abs(away) < 4  # one such column: filters that are not symmetric lean


def test_a_filter_that_is_not_orthogonal_is_refused():
    for spoilt in (tuple(pywt.Wavelet("dmey").dec_lo), (1.0, 0.5), (1.0,), (float("nan"), 1.0)):
        with pytest.raises(InputError, match="deviates from an orthogonal one"):
            Wavelet(16, 1, spoilt)


def test_haar_of_one_block_is_equation_26_by_hand():
    image = torch.tensor([[1.0, 2.0], [3.0, 7.0]])
    low, lh, hl, hh = Wavelet(2, 1).forward(image).tolist()
    assert low == pytest.approx((1 + 3 + 2 + 7) / 2)
    assert lh == pytest.approx(((1 + 3) - (2 + 7)) / 2)
    assert hl == pytest.approx(((1 - 3) + (2 - 7)) / 2)
    assert hh == pytest.approx(((1 - 3) - (2 - 7)) / 2)


@pytest.mark.parametrize("levels", [0, 5])
def test_levels_that_do_not_fit_the_image_are_refused(levels):
    with pytest.raises(InputError, match=f"levels = {levels} .* not 16"):
        Wavelet(16, levels)


WITHOUT_PYWAVELETS = """
import sys, torch
sys.modules["pywt"] = None
from gud.model import load
model = load(sys.argv[1])
z = torch.randn(2, *model.state_shape)
state = model.schedule(a=0.5, b=0.5)(torch.full((2,), 0.5))
assert model.eps(z, state).isfinite().all()
print(*model.representation.basis.low_pass)
"""


def test_a_model_in_a_wavelet_basis_needs_no_pywavelets_where_it_runs(tmp_path):
    random_images = torch.randint(0, 256, (20, 3, 8, 8), dtype=torch.uint8)
    basis = {"name": "wavelet", "wavelet": "db2", "levels": 2}
    schedule = RUN["model"]["schedule"] | {
        "name": "wavelet_columns",
        "ranges": {"a": [0.3, 0.7], "b": [0.3, 0.7]},
    }
    settings = RUN["model"] | {"basis": basis, "schedule": schedule}
    settings = model_settings(settings)
    model = Model(settings, fit(random_images, settings.basis))
    model.save(tmp_path / "model.safetensors")
    words = [sys.executable, "-c", WITHOUT_PYWAVELETS, str(tmp_path / "model.safetensors")]
    said = subprocess.check_output(words, text=True)
    assert [float(tap) for tap in said.split()] == pywt.Wavelet("db2").dec_lo
