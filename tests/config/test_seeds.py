"""Experiments of several training seeds become as many experiments, evaluated alike."""

from collections import Counter
from pathlib import Path

import pytest
from commands import gud, write_preset
from presets import ROOT, tiny_preset

from gud.config.figures import labels_of
from gud.config.inputs import galleries, scales, sources
from gud.config.jobs import evaluations_of, get_evaluation, training_job
from gud.config.paths import scale_file
from gud.config.preset import load_preset
from gud.errors import InputError

SCANS = ["a_scan_isotropic", "a_scan_matching"]


def preset_with(tmp_path, seeds, **changes):
    preset = tiny_preset() | changes
    preset["experiments"]["a_scan_isotropic"]["seeds"] = seeds
    preset["figures"]["prior_and_input"] = {"experiments": SCANS}
    return load_preset(write_preset(tmp_path / "mine.yaml", preset))


def test_an_experiment_of_three_seeds_is_three_that_differ_in_the_seed_alone(tmp_path):
    preset = preset_with(tmp_path, [5, 0, 7])
    names = ["a_scan_isotropic", "a_scan_isotropic_seed0", "a_scan_isotropic_seed7"]
    assert [name for name in preset.experiments if name.startswith(names[0])] == names
    assert [training_job(preset, name).seed for name in names] == [5, 0, 7]
    assert {preset.experiments[name].group for name in names} == {names[0]}
    dumps = [preset.experiments[name].model_dump(exclude={"seed"}) for name in names]
    assert dumps[0] == dumps[1] == dumps[2]


def test_without_seeds_training_takes_the_seed_of_the_preset(tmp_path):
    preset = load_preset(write_preset(tmp_path / "mine.yaml", tiny_preset() | {"seed": 11}))
    assert {experiment.seed for experiment in preset.experiments.values()} == {11}
    assert all(name == made.group for name, made in preset.experiments.items())


def test_networks_of_all_seeds_are_evaluated_with_the_random_numbers_of_the_preset(tmp_path):
    preset = preset_with(tmp_path, [5, 0, 3], seed=3)
    for name in preset.experiments:
        assert {evaluation.seed for evaluation in evaluations_of(preset, name)} == {3}
    of_seed = get_evaluation(preset, "a_scan_isotropic_seed0", "nll")
    record = of_seed.record("a=1_r=0")
    assert (record["seed"], record["trained"]["seed"]) == (3, 0)
    assert record["trained"]["group"] == "a_scan_isotropic"


def test_figures_of_seeds_show_them_all_and_other_figures_the_first(tmp_path):
    figures = preset_with(tmp_path, [0, 1]).figures
    assert figures.figure3.shown() == SCANS
    all_of_them = ["a_scan_isotropic", "a_scan_isotropic_seed1", "a_scan_matching"]
    assert figures.prior_and_input.shown() == all_of_them


def test_the_tables_and_figures_of_the_study_are_of_all_its_seeds():
    figures = load_preset(ROOT / "config/study.yaml").figures
    for section, experiments in ((figures.figure5, 1), (figures.wavelets, 1), (figures.columns, 3)):
        assert len(section.shown()) == 3 * experiments


def test_the_scale_of_a_table_is_measured_once_for_all_seeds(tmp_path):
    preset = preset_with(tmp_path, [0, 1])
    assert scales(preset, "prior_and_input") == [scale_file(name) for name in SCANS]


def test_labels_of_a_figure_of_several_experiments_name_their_data(tmp_path):
    preset = preset_with(tmp_path, [0, 1])
    assert labels_of(preset, preset.figures.prior_and_input).dataset == "8x8 patches"


@pytest.mark.parametrize(
    "seeds", [[], [0, 0], 3, [-1], [True], ["1"], [0.5], None, {"first": 1}], ids=str
)
def test_seeds_that_are_no_list_of_different_numbers_are_refused(tmp_path, seeds):
    with pytest.raises(InputError, match=r"experiments\.a_scan_isotropic\.seeds = .* must be"):
        preset_with(tmp_path, seeds)


def test_a_seed_of_its_own_or_a_second_experiment_of_the_name_is_refused(tmp_path):
    preset = tiny_preset()
    preset["experiments"]["a_scan_matching"]["seed"] = 1
    with pytest.raises(InputError, match="a_scan_matching.seed is not a known key"):
        load_preset(write_preset(tmp_path / "mine.yaml", preset))
    preset = tiny_preset()
    preset["experiments"]["a_scan_matching"]["seeds"] = [0, 1]
    preset["experiments"]["a_scan_matching_seed1"] = dict(preset["experiments"]["a_scan_isotropic"])
    with pytest.raises(InputError, match="second experiment a_scan_matching_seed1"):
        load_preset(write_preset(tmp_path / "mine.yaml", preset))


def test_bill_and_watch_know_every_seed(tmp_path, capsys):
    preset = tiny_preset()
    preset["experiments"]["a_scan_isotropic"]["seeds"] = [0, 1]
    file = write_preset(tmp_path / "mine.yaml", preset)
    assert gud("bill", file, "--teraflops", "1") == 0
    assert gud("watch", file, "--results", tmp_path) == 0
    said = capsys.readouterr().out
    assert said.count("a_scan_isotropic_seed1") >= 6
    assert "a_scan_isotropic_seed1 training" in said


def test_what_is_wrong_is_named_where_the_file_has_it(tmp_path):
    preset = tiny_preset()
    preset["defaults"]["seeds"] = [0, 0]
    with pytest.raises(InputError, match=r": defaults\.seeds = \[0, 0\] must be"):
        load_preset(write_preset(tmp_path / "mine.yaml", preset))
    preset["defaults"]["seeds"] = [0, 1]
    preset["figures"]["prior_and_input"] = {"experiments": [*SCANS, "nowhere"]}
    with pytest.raises(InputError, match=r"figures\.prior_and_input names nowhere"):
        load_preset(write_preset(tmp_path / "mine.yaml", preset))


@pytest.mark.parametrize("figure", ["figure3", "prior_and_input"])
def test_curves_that_no_legend_tells_apart_are_refused_before_any_job(tmp_path, figure):
    preset = tiny_preset()
    preset["experiments"]["again"] = dict(preset["experiments"]["a_scan_matching"])
    preset["figures"][figure] = {"experiments": [*SCANS, "again"]}
    with pytest.raises(InputError, match=f"figures.{figure} draws a_scan_matching and again"):
        load_preset(write_preset(tmp_path / "mine.yaml", preset))
    preset["experiments"]["again"]["network_space"] = "whitened"
    load_preset(write_preset(tmp_path / "mine.yaml", preset))


def test_verdicts_read_the_samples_of_every_seed_and_figure_9_those_of_the_first():
    preset = load_preset(ROOT / "config" / "study.yaml")
    drawn, read = sources(preset, "figure9"), galleries(preset, "")
    assert read[: len(drawn)] == drawn
    folders = Counter(Path(file).parts[0] for file in read)
    seeds = ["a_scan_matching", "a_scan_matching_seed1", "a_scan_matching_seed2"]
    assert folders == dict.fromkeys(seeds, len(drawn))
    assert all(get_evaluation(preset, folder, "gallery-ode").points for folder in folders)
    assert galleries(preset, "-quick") == []
