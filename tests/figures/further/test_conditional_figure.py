import numpy as np
import pytest
import yaml
from figure_tables import drawn, section, texts
from presets import ROOT

from gud.config.preset import load_preset
from gud.data.sources.cifar10 import CLASSES
from gud.data.sources.patches import PHOTOGRAPHS
from gud.errors import InputError
from gud.evaluate.applications.shares import mean_share, share, shares_table
from gud.figures.drawing.images import picture
from gud.figures.further.conditional import Source

SETTINGS = yaml.safe_load((ROOT / "config/demo_psld.yaml").read_text())["figures"]["conditional"]
SIZE, NAMES = 8, ("flower", "rocket", "cat")


def arrays():
    """Five samples of three classes: 4, 5 and 0 of them are taken for their class."""
    levels = np.random.default_rng(0).integers(0, 256, (5, 4, 3, SIZE, SIZE), dtype=np.uint8)
    assigned = np.tile([0, 1, 0], (5, 1))
    assigned[0, 0] = 2
    return {
        "guided": levels[:, :3],
        "unguided": levels[:, 3],
        "assigned": assigned,
        "assigned_unguided": np.array([0, 0, 1, 1, 1]),
        "accuracy": np.array(0.75),
        "tested": np.array(1200),
    }


def test_shares_and_their_errors():
    assert share(np.array([True, True, False, False])) == pytest.approx((0.5, np.sqrt(1 / 12)))
    each = np.array([1, 2, 2, 2, 2]) / 3
    mean = 9 / 15, each.std(ddof=1) / np.sqrt(5)
    assert mean_share(arrays()["assigned"]) == pytest.approx(mean)


def test_the_table_says_what_the_figure_says():
    table = shares_table(arrays(), NAMES, 2.0).set_index("class")
    assert list(table.index) == [*NAMES, "all"]
    flower, whole = table.loc["flower"], table.loc["all"]
    assert (flower.guided_share, flower.unguided_share) == pytest.approx((0.8, 0.4))
    assert (flower.guided_share_stderr, flower.unguided_share_stderr) == pytest.approx(
        (0.2, np.sqrt(0.06))
    )
    assert (whole.guided_share, whole.unguided_share) == pytest.approx((0.6, 1 / 3))
    assert set(table.samples) == {5} and set(table.scale) == {2.0}
    assert set(table.judge_accuracy) == {0.75} and set(table.judge_images) == {1200}


def test_a_row_is_a_class_and_the_first_is_of_none():
    source = arrays()
    figure = drawn("conditional", Source(source, NAMES), **SETTINGS)
    axes = np.array(figure.axes).reshape(4, 5)
    for number, row in enumerate(axes):
        rows = source["unguided"] if number == 0 else source["guided"][:, number - 1]
        for axis, image in zip(row, rows, strict=True):
            np.testing.assert_array_equal(axis.images[0].get_array(), picture(image))
    assert axes[1, 0].get_ylabel() == "flower\n0.80 ± 0.20 (0.40 ± 0.24)"
    assert axes[3, 0].get_ylabel() == "cat\n0.00 ± 0.00 (0.00 ± 0.00)"
    said = texts(figure)
    assert "All classes: 0.600 ± 0.067" in said and "make 0.333" in said
    assert "right on 0.750 of 1,200 test images" in said


def test_names_of_another_number_of_classes_are_refused(tmp_path):
    images = np.zeros((2, 3, SIZE, SIZE), np.uint8)
    labels = {"test_label": np.array([0, 1]), "classes": np.array(["a", "b"])}
    np.savez(tmp_path / "data.npz", train=images, test=images, **labels)
    np.savez(tmp_path / "guided.npz", **arrays())
    with pytest.raises(InputError, match="samples of 3 classes, but .* has 2"):
        section("conditional", **SETTINGS).read([tmp_path / "data.npz", tmp_path / "guided.npz"])


@pytest.mark.parametrize(("name", "number"), [("demo_psld", len(PHOTOGRAPHS)), ("psld", 10)])
def test_presets_know_how_many_classes_their_data_have(name, number):
    preset = load_preset(ROOT / f"config/{name}.yaml")
    experiment = preset.experiments[preset.figures.conditional.experiment]
    assert preset.data[experiment.data].classes == number
    assert len(CLASSES) == 10
