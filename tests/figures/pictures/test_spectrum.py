"""The table and the picture of a fitted basis."""

import numpy as np
import pandas as pd
import pytest
import torch
from commands import gud
from PIL import Image

from gud.config.sections.bases import basis_of
from gud.data.statistics import fit, save
from gud.figures.pictures.spectrum import draw_spectrum, spectrum
from gud.provenance import read_record

PLACES = {
    "pixel": ["column"],
    "pca": [],
    "colour_pca": [],
    "fourier": ["frequency"],
    "haar2": ["column", "group"],
    "db2-2": ["column", "group"],
}


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    pixels = rng.standard_normal((200, 3, 8, 8)).cumsum(-1).cumsum(-2) * 10 + 128
    return torch.from_numpy(pixels.clip(0, 255).astype(np.uint8))


@pytest.fixture(params=PLACES)
def name(request):
    return request.param


@pytest.fixture
def fitted(images, name):
    statistics = fit(images, name)
    return basis_of(name).of(statistics), statistics


def test_the_table_holds_each_component_with_its_place(fitted, name):
    basis, statistics = fitted
    table = spectrum(basis, statistics)
    assert list(table) == ["component", "variance", "share", "rank", *PLACES[name]]
    assert table.variance.tolist() == statistics.variance.tolist()
    assert table.share.sum() == pytest.approx(1)
    ranked = table.sort_values("rank")
    assert ranked["rank"].tolist() == list(range(1, 1 + len(statistics.variance)))
    assert (ranked.variance.diff().dropna() <= 0).all()


def test_the_pictures_are_the_rows_of_the_basis_of_largest_variance(fitted):
    basis, statistics = fitted
    figure = draw_spectrum(basis, spectrum(basis, statistics), "test")
    shown = [axis.images[0].get_array() for axis in figure.axes if axis.images]
    assert len(shown) == 32
    order = statistics.variance.argsort(descending=True, stable=True)
    for image, component in zip(shown, order, strict=False):
        values = np.asarray(image) if image.ndim == 2 else np.moveaxis(2 * image - 1, -1, 0)
        response = basis.forward(torch.from_numpy(values)).flatten()
        expected = torch.nn.functional.one_hot(component, len(order)).double()
        torch.testing.assert_close(response / response.norm(), expected, rtol=0, atol=1e-6)


@pytest.mark.slow
def test_the_command_writes_both(fitted, name, tmp_path):
    _, statistics = fitted
    source, table, picture = (tmp_path / file for file in ("s.safetensors", "t.csv", "p.png"))
    save(source, statistics, basis_of(name))
    words = ["--basis", name, "--statistics", source]
    assert gud("spectrum", *words, "--table", table, "--picture", picture) == 0
    np.testing.assert_allclose(pd.read_csv(table).variance, statistics.variance)
    with Image.open(picture) as opened:
        assert opened.width > 1500
    assert set(read_record(picture)["inputs"]) == {"s.safetensors"}


def test_statistics_of_another_basis_are_one_sentence(images, tmp_path, capfd):
    source = tmp_path / "s.safetensors"
    save(source, fit(images, "pixel"), basis_of("pixel"))
    words = ["--statistics", source, "--table", tmp_path / "t.csv"]
    for name in ("pca", "db2-2"):
        assert gud("spectrum", "--basis", name, *words, "--picture", tmp_path / "p.png") == 2
        assert "are of another basis" in capfd.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["s.safetensors"]
