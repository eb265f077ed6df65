"""An experiment may evaluate the network of another, which then is trained for both."""

import pytest
from commands import gud, write_preset
from presets import ROOT, tiny_preset

from gud.config import inputs, triggers
from gud.config.jobs import get_evaluation, network_of, training_job
from gud.config.preset import load_preset
from gud.errors import InputError
from gud.networks.cost import Cost
from gud.planning.workload import planned

SOURCE, SHARING = "a_scan_matching", "few_steps"
COMMON = {"gamma_noise": "common"}
COST = Cost(weights=1, forward=1, train=1, backward=1, activations=1)
NARROW = {"a": [0.5, 1.5], "r": [0, 0]}


def sharing(change=lambda experiments: None, seeds=None):
    """The test-sized preset with an experiment that takes the network of another."""
    preset = tiny_preset()
    experiments = preset["experiments"]
    experiments[SHARING] = experiments[SOURCE] | {
        "title": "fewer steps",
        "weights_of": SOURCE,
        "quality": {"sampling": {"steps": 1}},
    }
    if seeds:
        experiments[SOURCE]["seeds"] = experiments[SHARING]["seeds"] = seeds
    preset["figures"]["compared"] = {"experiments": [SOURCE, SHARING]}
    change(experiments)
    return preset


@pytest.fixture
def load(tmp_path):
    return lambda *arguments, **options: load_preset(
        write_preset(tmp_path / "mine.yaml", sharing(*arguments, **options))
    )


def test_it_is_evaluated_from_the_network_of_the_other(load):
    preset = load()
    assert network_of(preset, SHARING) == network_of(preset, SOURCE) == SOURCE
    assert inputs.evaluated(preset, SHARING, "samples") == [f"{SOURCE}/model.safetensors"]
    evaluation = get_evaluation(preset, SHARING, "samples")
    assert (evaluation.experiment, evaluation.model) == (SHARING, f"{SOURCE}/model.safetensors")
    of_source = get_evaluation(preset, SOURCE, "samples").trained
    assert evaluation.trained == of_source | {"group": SHARING}
    wanted = [file for file in inputs.targets(preset, "summary") if file.endswith("training.png")]
    assert f"{SOURCE}/training.png" in wanted and f"{SHARING}/training.png" not in wanted


def test_it_changes_nothing_of_the_experiments_that_train_their_own(load, tmp_path):
    plain = load_preset(write_preset(tmp_path / "plain.yaml"))
    for name in plain.experiments:
        for question in (triggers.training, triggers.scale, triggers.quality):
            assert question(plain, name) == question(load(), name)
        point = name, "nll", "a=1_r=0"
        assert triggers.point(plain, *point) == triggers.point(load(), *point)


def test_networks_of_several_seeds_are_shared_seed_by_seed(load):
    preset = load(seeds=[5, 0])
    assert network_of(preset, SHARING) == SOURCE
    assert network_of(preset, f"{SHARING}_seed0") == f"{SOURCE}_seed0"


def test_the_source_may_be_named_after_what_takes_it(load):
    def move_last(experiments):
        experiments[SOURCE] = experiments.pop(SOURCE)

    assert network_of(load(move_last, seeds=[0, 1]), f"{SHARING}_seed1") == f"{SOURCE}_seed1"


def test_it_is_not_trained(load, tmp_path, capsys):
    preset = load()
    with pytest.raises(InputError, match=f"{SHARING} trains no network: .* of {SOURCE}"):
        training_job(preset, SHARING)
    costs = dict.fromkeys(preset.experiments, COST)
    stages = {(work.experiment, work.stage) for work in planned(preset, costs, 100, tmp_path)}
    assert {(SOURCE, "training"), (SHARING, "sampling")} < stages
    assert (SHARING, "training") not in stages
    assert gud("watch", tmp_path / "mine.yaml", "--results", tmp_path) == 0
    said = capsys.readouterr().out
    assert f"{SOURCE} training" in said and f"{SHARING} samples" in said
    assert f"{SHARING} training" not in said


def settings(**changes):
    return lambda experiments: experiments[SHARING].update(changes)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (settings(weights_of="nowhere"), "names nowhere, which must be one of"),
        (settings(weights_of=3), "= 3 is not allowed"),
        (settings(weights_of=[SOURCE]), "is not allowed"),
        (settings(weights_of=SHARING), f"= {SHARING} trains no network"),
        (settings(seeds=[3]), f"= {SOURCE} has no network of training seed 3"),
        (settings(prior="isotropic"), 'prior is "variance_matching" there, "isotropic" here'),
        (settings(basis={"name": "pixel"}), 'basis.name is "pca" there, "pixel" here'),
        (settings(network_space="whitened"), 'network_space is "image" there, "whitened" here'),
        (settings(preconditioning="none"), 'preconditioning is "gaussian" there, "none" here'),
        (settings(network={"width": 16}), "network.width is 8 there, 16 here"),
        (settings(training={"steps": 7}), "training.steps is 6 there, 7 here"),
        (settings(schedule={"gamma_denoise": -5.0}), "schedule.gamma_denoise is -3.0 there"),
        (settings(schedule={"gamma_noise": 9.0}), 'gamma_noise is "common" there, 9.0 here'),
        (settings(schedule=COMMON | {"time_power": 1.0}), "schedule.time_power is 0.5 there, 1.0"),
        (settings(schedule=COMMON | {"ranges": NARROW}), "schedule.ranges.a is [0.4, 1.6] there"),
    ],
)
def test_what_does_not_fit_the_network_is_refused_before_any_job(load, change, sentence):
    with pytest.raises(InputError) as refused:
        load(change)
    assert sentence in str(refused.value)
    assert f"experiments.{SHARING}." in str(refused.value) and "\n" not in str(refused.value)


def test_a_chain_is_refused(load):
    def chain(experiments):
        experiments["last"] = experiments[SHARING] | {"weights_of": SHARING}

    with pytest.raises(InputError, match=rf"last\.weights_of = {SHARING} trains no network"):
        load(chain)


def test_how_often_a_training_is_saved_may_differ(load):
    load(settings(training={"checkpoint_every": 2, "log_every": 1}))


def test_what_is_wrong_is_named_where_the_file_has_it(load):
    with pytest.raises(InputError, match=rf": experiments\.{SHARING}\.weights_of = {SOURCE} has"):
        load(settings(prior="isotropic"), seeds=[0, 1])


def test_the_study_says_how_many_networks_it_trains():
    file = ROOT / "config/study.yaml"
    experiments = load_preset(file).experiments.values()
    trained = sum(experiment.weights_of is None for experiment in experiments)
    assert f" {trained} trainings" in file.read_text().split("stand_in")[0]
    assert f"`study` ({trained} small networks" in (ROOT / "docs/results.md").read_text()
