"""Presets are validated in one sentence before anything runs."""

from typing import get_args

import pytest
import yaml
from presets import ROOT, as_yaml

from gud.config.preset import load_preset, merge
from gud.config.sections.bases import basis_name, basis_of
from gud.config.sections.evaluation import Sampling
from gud.config.sections.points import point_name, points
from gud.diffusion.samplers import GRIDS, SAMPLERS
from gud.errors import InputError

CONFIG = ROOT / "config"


def changed(tmp_path, *keys, value):
    """The demo preset with one value changed, written to a file."""
    preset = yaml.safe_load((CONFIG / "demo.yaml").read_text())
    section = preset
    for key in keys[:-1]:
        section = section[key]
    section[keys[-1]] = value
    path = tmp_path / "mine.yaml"
    path.write_text(as_yaml(preset))
    return path


@pytest.mark.parametrize("name", ["demo", "paper", "paper_fast"])
def test_the_shipped_presets_are_valid(name):
    preset = load_preset(CONFIG / f"{name}.yaml")
    assert set(preset.figures.figure3.experiments) <= set(preset.experiments)


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
        (("defaults", "network_space"), "phi", ["network_space", '"phi"', "whitened"]),
        (("defaults", "schedule", "gamma_noise"), "shared", ["gamma_noise", "shared"]),
        (("defaults", "basis"), {"name": "haar"}, ["basis.levels", "missing"]),
        (("defaults", "basis"), {"name": "dct"}, ["basis", "dct", "pca"]),
        (("defaults", "data"), "cifar", ["data", "cifar", "natural16"]),
        (("defaults", "nll", "grids"), [{"a": [2.0], "r": [0]}], ["a = 2", "[0.4, 1.6]"]),
        (("defaults", "nll", "grids"), [{"a": [0.4], "b": [0]}], ["gives a, b", "has a, r"]),
        (("defaults", "schedule", "ranges", "a"), [-1, 1], ["a = -1", ">= 0"]),
        (("defaults", "schedule", "name"), "columns", ["columns takes b, not a and r"]),
        (("defaults", "nll", "settings", "method"), "tsit5", ["steps = ", "method tsit5", "rk4"]),
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


def test_a_preset_says_only_what_differs_from_the_one_that_it_extends():
    paper, fast = (load_preset(CONFIG / f"{name}.yaml") for name in ("paper", "paper_fast"))
    assert set(fast.experiments) == set(paper.experiments)
    for name, experiment in fast.experiments.items():
        same = paper.experiments[name]
        assert experiment.model() == same.model() and experiment.training == same.training
        for ours, theirs in ((experiment.nll, same.nll), (experiment.quality, same.quality)):
            assert ours.grids == theirs.grids
        ours, theirs = experiment.nll.settings, same.nll.settings
        assert ours.images == theirs.images and theirs.renewals == 0
        assert ours.probes == 1 and ours.renewals == ours.steps, "new signs at every step"
    steps = {name: experiment.nll.settings.steps for name, experiment in fast.experiments.items()}
    assert steps["wavelets"] == 2 * steps["columns_b05"] == 4 * steps["columns_b03"] == 128
    finer = [experiment.nll.settings.finer for experiment in fast.experiments.values()]
    assert {one.images for one in finer} == {512}, "merged with the defaults"


def test_what_stands_in_is_said_by_each_preset_and_never_inherited(tmp_path):
    (tmp_path / "base.yaml").write_text((CONFIG / "demo.yaml").read_text())
    mine = tmp_path / "mine.yaml"
    mine.write_text("extends: base\n")
    with pytest.raises(InputError, match="mine.yaml: stand_in is missing"):
        load_preset(mine)
    mine.write_text("extends: base\nstand_in: mine\n")
    assert load_preset(mine).stand_in == "mine"


def test_a_preset_keeps_of_sections_that_it_extends_what_it_names(tmp_path):
    base, kept = yaml.safe_load((CONFIG / "study.yaml").read_text()), ["columns_b0"]
    (tmp_path / "base.yaml").write_text(as_yaml(base))
    keeps = {"experiments": kept, "figures": [], "data": ["tissue16"], "titles": ["tissue16"]}
    mine = {"extends": "base", "stand_in": "", "keeps": keeps, "quick": []}
    mine["figures"] = {"columns": {"experiments": kept}}
    (tmp_path / "mine.yaml").write_text(as_yaml(mine))
    preset = load_preset(tmp_path / "mine.yaml")
    assert {experiment.group for experiment in preset.experiments.values()} == set(kept)
    assert list(preset.data) == ["tissue16"] and list(preset.figures.named()) == ["columns"]
    whole = load_preset(CONFIG / "study.yaml")
    assert preset.experiments["columns_b0"] == whole.experiments["columns_b0"]


@pytest.mark.parametrize(
    ("keeps", "words"),
    [
        (["figures"], "mine.yaml: keeps must give keys by section, .* not keeps: \\['figures'"),
        ({"figures": "figure3"}, "by section, .* not figures: figure3"),
        ({"figurs": []}, "by section, .* not figurs: "),
        ({"seed": [0]}, "by section, .* not seed: "),
        ({"figures": ["figure4"]}, "keeps.figures names figure4, .* only figure3, figure5,"),
        ({"figures": [["figure3"]]}, "keeps.figures names \\['figure3'\\], "),
    ],
    ids=str,
)
def test_what_a_preset_keeps_must_be_there_by_section(tmp_path, keeps, words):
    (tmp_path / "study.yaml").write_text((CONFIG / "study.yaml").read_text())
    mine = {"extends": "study", "keeps": keeps}
    (tmp_path / "mine.yaml").write_text(as_yaml(mine))
    with pytest.raises(InputError, match=words):
        load_preset(tmp_path / "mine.yaml")


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"a": "nobody"}, "a.yaml: extends must name a preset beside it, \\['b'\\], not nobody"),
        ({"a": "../b"}, "must name a preset beside it"),
        ({"a": ["b"]}, "must name a preset beside it"),
        ({"a": "a"}, "a.yaml: extends a, which extends it in turn"),
        ({"a": "b", "b": "a"}, "b.yaml: extends a, which extends it in turn"),
    ],
)
def test_a_preset_that_extends_nothing_or_itself_is_refused(tmp_path, files, words):
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(as_yaml({"extends": files.get(name, name)}))
    if "b" not in files:
        (tmp_path / "b.yaml").write_text("seed: 0")
    with pytest.raises(InputError, match=words):
        load_preset(tmp_path / "a.yaml")


def test_points_of_overlapping_grids_are_not_repeated():
    experiment = load_preset(CONFIG / "demo.yaml").experiments["ordering_scan"]
    names = list(points(experiment.nll.grids))
    sizes = [len(grid["a"]) * len(grid["r"]) for grid in experiment.nll.grids]
    assert len(names) == len(set(names)) < sum(sizes)
    assert point_name({"a": 0.4, "r": 0.0}) in names


@pytest.mark.parametrize("schedule", ["columns", "wavelet_columns"])
def test_sequential_schedules_go_with_any_wavelet(tmp_path, schedule):
    raw = yaml.safe_load((CONFIG / "demo.yaml").read_text())
    experiment = {"columns": "columns_b05", "wavelet_columns": "wavelets"}[schedule]
    basis = {"name": "wavelet", "wavelet": "sym4", "levels": 2}
    raw["experiments"][experiment]["basis"] = basis
    raw["figures"] = {"wavelets": raw["figures"]["wavelets"]}
    raw["quick"] = []
    path = tmp_path / "mine.yaml"
    path.write_text(as_yaml(raw))
    read = load_preset(path).experiments[experiment]
    assert read.basis.model_dump() == basis
    assert basis_name(read.basis) == "sym4-2"


@pytest.mark.parametrize("name", ["pixel", "pca", "fourier", "haar3", "db2-3", "coif17-1"])
def test_names_of_bases_in_files_can_be_read_back(name):
    assert basis_name(basis_of(name)) == name


@pytest.mark.parametrize(("key", "registry"), [("method", SAMPLERS), ("grid", GRIDS)])
def test_presets_may_name_exactly_the_samplers_and_grids_that_there_are(key, registry):
    assert set(get_args(Sampling.model_fields[key].annotation)) == registry.keys()


def test_what_the_demo_says_of_its_evaluation_is_what_it_does():
    preset = load_preset(CONFIG / "demo.yaml")
    usual, wavelets = (preset.experiments[name] for name in ("a_scan_isotropic", "wavelets"))
    likelihood, sampling = usual.nll.settings, usual.quality.sampling
    for settings in (likelihood, wavelets.nll.settings):
        assert (settings.method, settings.probes) == ("adams", 1)
        assert settings.renewals == settings.steps, "new signs at every step"
    assert sampling.method.startswith("exponential_mixed")
    said = (
        f"{likelihood.steps} steps of an Adams method (wavelets: {wavelets.nll.settings.steps})",
        "one probe, with new signs at each, in place of Tsitouras and three",
        f"{sampling.steps} steps of an exponential integrator of the ODE, then the SDE",
    )
    assert all(words in preset.stand_in for words in said)


def test_what_presets_that_extend_others_say_of_their_evaluation_is_what_they_do():
    again, study, fast = (
        load_preset(CONFIG / f"{n}.yaml") for n in ("study_again", "study", "paper_fast")
    )
    assert again.stand_in == study.stand_in
    for experiment in fast.experiments.values():
        likelihood, sampling = experiment.nll.settings, experiment.quality.sampling
        assert (likelihood.method, likelihood.probes) == ("adams", 1)
        assert (sampling.method, sampling.steps) == ("exponential_mixed2", 50)
    assert "Adams method and one probe" in fast.stand_in
    assert "50 steps of an exponential integrator of the ODE, then the SDE" in fast.stand_in
