"""Presets are validated in one sentence before anything runs."""

from pathlib import Path

import pytest
import yaml

from gud.errors import InputError
from gud.preset import load_preset, merge, points
from gud.settings import point_name

CONFIG = Path(__file__).parents[1] / "config"


def changed(tmp_path, *keys, value):
    """The demo preset with one value changed, written to a file."""
    preset = yaml.safe_load((CONFIG / "demo.yaml").read_text())
    section = preset
    for key in keys[:-1]:
        section = section[key]
    section[keys[-1]] = value
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(preset))
    return path


@pytest.mark.parametrize("name", ["demo", "paper"])
def test_the_shipped_presets_are_valid(name):
    preset = load_preset(CONFIG / f"{name}.yaml")
    assert preset.figures.figure3.isotropic in preset.experiments


@pytest.mark.parametrize(
    "keys, value, words",
    [
        (("sed",), 1, ["sed", "not a known key"]),
        (("defaults", "training", "stepz"), 1, ["training.stepz", "not a known key"]),
        (("defaults", "training", "steps"), -5, ["training.steps", "-5", "greater than 0"]),
        (("defaults", "training", "steps"), "many", ["training.steps", '"many"', "integer"]),
        (("defaults", "training", "ema"), 1.5, ["training.ema", "1.5", "less than 1"]),
        (("defaults", "prior"), "white", ["prior", '"white"', "isotropic"]),
        (("defaults", "preconditioning"), "edm", ["preconditioning", '"edm"', "gaussian"]),
        (("defaults", "basis"), {"name": "haar"}, ["basis.levels", "missing"]),
        (("defaults", "basis"), {"name": "dct"}, ["basis", "dct", "pca"]),
        (("defaults", "data"), "cifar", ["data", "cifar", "natural16"]),
        (("defaults", "nll", "grids"), [{"a": [2.0], "r": [0]}], ["a = 2", "[0.4, 1.6]"]),
        (("defaults", "nll", "grids"), [{"a": [0.4], "b": [0]}], ["gives a, b", "has a, r"]),
        (("defaults", "schedule", "ranges", "a"), [-1, 1], ["a = -1", ">= 0"]),
        (("defaults", "schedule", "name"), "columns", ["columns takes b, not a and r"]),
        (("defaults", "nll", "settings", "method"), "rk4", ["steps", "rk4"]),
        (("defaults", "schedule", "ranges", "r"), [0, 0.5], ["ranges.r", "pca"]),
        (("defaults", "schedule", "ranges", "a"), [1.6, 0.4], ["ranges.a", "lowest"]),
        (("data", "natural16", "size"), 4, ["size", "4", "8"]),
        (("figures", "figure2", "experiment"), "nowhere", ["figures.figure2", "nowhere"]),
        (("quick",), ["figure12"], ["quick", "figure12", "figure2"]),
    ],
)
def test_a_wrong_value_is_named_with_its_key_and_what_is_allowed(tmp_path, keys, value, words):
    path = changed(tmp_path, *keys, value=value)
    with pytest.raises(InputError) as error:
        load_preset(path)
    sentence = str(error.value)
    assert "\n" not in sentence
    assert str(path) in sentence
    for word in words:
        assert word in sentence


def test_a_file_that_is_missing_or_not_yaml_is_named(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        load_preset(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("a: [1")
    with pytest.raises(InputError, match="is not YAML"):
        load_preset(tmp_path / "bad.yaml")


def test_defaults_merge_section_by_section_and_another_name_replaces_a_section():
    defaults = {"basis": {"name": "haar", "levels": 3}, "training": {"steps": 5, "ema": 0.9}}
    merged = merge(defaults, {"basis": {"name": "pca"}, "training": {"steps": 7}})
    assert merged == {"basis": {"name": "pca"}, "training": {"steps": 7, "ema": 0.9}}


def test_points_of_overlapping_grids_are_not_repeated():
    experiment = load_preset(CONFIG / "demo.yaml").experiments["ordering_scan"]
    names = list(points(experiment.nll.grids))
    sizes = [len(grid["a"]) * len(grid["r"]) for grid in experiment.nll.grids]
    assert len(names) == len(set(names)) < sum(sizes)
    assert point_name({"a": 0.4, "r": 0.0}) in names
