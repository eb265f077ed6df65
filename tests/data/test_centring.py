"""Dequantisation and mean removal, and the check that finds a wrong dequantisation."""

import numpy as np
import pandas as pd
import pytest
import torch
from commands import gud
from PIL import Image
from scipy import stats

from gud.data.centring import CELLS, grey_levels, position, uniformity
from gud.diffusion.dequantisation import dequantise
from gud.provenance import read_record
from gud.randomness import Stream


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    levels = rng.normal([[[100]], [[128]], [[200]]], 30, (400, 3, 16, 16)).clip(0, 255)
    return torch.from_numpy(levels.astype(np.uint8))


def dequantised(images, seed=0):
    return dequantise(images, Stream("cpu", seed, "test"))


@pytest.mark.parametrize("seed", range(5))
def test_dequantised_values_are_uniform_in_the_bins_of_their_levels(images, seed):
    table = uniformity(images, dequantised(images, seed)).set_index("check")
    assert len(table) == 5 and table.p_value.notna().sum() == 4
    assert (table.p_value.dropna() > 1e-4).all()
    assert (table["values"] == images.numel()).all()
    assert table.value["share of grey levels that come back"] == 1


def test_probabilities_of_the_checks_are_those_of_scipy_stats(images):
    phi = dequantised(images)
    table = uniformity(images, phi).set_index("check")
    u = position(images, phi)
    counts, _ = np.histogram(u, CELLS, (0, 1))
    found = table.loc[f"chi-squared of {CELLS} cells of the bin", ["value", "p_value"]]
    assert found.tolist() == pytest.approx(tuple(stats.chisquare(counts)))
    z = (u.mean() - 0.5) / np.sqrt(1 / 12 / len(u))
    assert table.p_value["mean position in the bin"] == pytest.approx(2 * stats.norm.sf(abs(z)))


WRONG = {
    "no noise": lambda images: (images + 0.5) / 128 - 1,
    "half the noise": lambda images: (images + 0.5 * torch.rand(images.shape)) / 128 - 1,
    "noise to 256": lambda images: (images + torch.rand(images.shape)) / 127.5 - 1,
    "centred noise": lambda images: (images + torch.rand(images.shape) - 0.5) / 128 - 1,
    "the sum of two": lambda images: (images + torch.rand(2, *images.shape).mean(0)) / 128 - 1,
    "coarser at higher levels": lambda images: (
        (images + torch.rand(images.shape) ** (1 + images / 2560)) / 128 - 1
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_dequantisation_is_found(images, name):
    torch.manual_seed(0)
    with pytest.raises(ArithmeticError, match="not uniform in the bins of their levels"):
        uniformity(images, WRONG[name](images))


def test_a_single_grey_level_is_no_error():
    flat = torch.full((4, 3, 16, 16), 255, dtype=torch.uint8)
    assert uniformity(flat, dequantised(flat)).value.iloc[-1] == 0


def test_grey_levels_are_counted_in_each_channel(images, monkeypatch):
    monkeypatch.setattr("gud.data.blocks.VALUES", 768 * 9)
    counts = grey_levels(images)
    for channel in range(3):
        expected = np.bincount(images[:, channel].numpy().ravel(), minlength=256)
        assert counts[channel].tolist() == expected.tolist()


def test_the_command_writes_what_can_be_opened(images, tmp_path):
    np.savez(tmp_path / "photos.npz", train=images.numpy(), test=images[:2].numpy())
    files = {"mean": "m.npy", "levels": "l.csv", "checks": "c.csv", "picture": "p.png"}
    words = [word for key, name in files.items() for word in (f"--{key}", tmp_path / name)]
    assert gud("centre", "--data", tmp_path / "photos.npz", *words) == 0
    mean = np.load(tmp_path / "m.npy")
    np.testing.assert_allclose(mean, images.double().mean(0) / 128 - 1 + 1 / 256, atol=1e-14)
    levels = pd.read_csv(tmp_path / "l.csv", index_col="level")
    assert list(levels) == ["red", "green", "blue"] and len(levels) == 256
    assert (levels.sum() == images[:, 0].numel()).all()
    checks = pd.read_csv(tmp_path / "c.csv")
    assert list(checks) == ["check", "value", "expected", "p_value", "values"]
    with Image.open(tmp_path / "p.png") as picture:
        assert picture.width > 1500 and "mean" not in picture.text["Title"]
        assert "chi-squared" in picture.text["Description"]
    for name in files.values():
        assert set(read_record(tmp_path / name)["inputs"]) == {"photos.npz"}
