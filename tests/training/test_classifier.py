"""Classifiers of noised states are trained as networks are: by the same loop, to the same bits."""

import numpy as np
import pytest
import torch
from commands import gud
from every_process import PSLD_SECTION
from training_runs import RUN, arguments, complete, kill, losses, run_settings, weights

from gud.classifier import load_classifier
from gud.data import datasets
from gud.evaluate.applications.guide import assigned
from gud.provenance import read_record

POINT = {"a": 1.0, "r": 0.0}
SAMPLING = {
    "images": 8,
    "batch_size": 4,
    "method": "euler_maruyama",
    "grid": "uniform",
    "steps": 4,
    "rtol": 0.1,
    "atol": 0.1,
    "noise_free_last_step": True,
    "denoise": True,
    "precision": "float32",
}
GUIDANCE = {"scale": 1.0, "sampling": SAMPLING}


def changes(steps=120):
    """A preset whose figure asks for classifiers of states in phase space."""
    network = RUN["model"]["network"] | {"multipliers": [1, 2]}
    settings = {
        "classifier": {"network": network, "training": RUN["training"] | {"steps": steps}},
        "guidance": GUIDANCE,
    }
    figure = {"experiment": "tiny", "grids": [{"a": [1.0], "r": [0]}], "settings": settings}
    model = RUN["model"] | {"process": PSLD_SECTION}
    return {"model": model, "figures": {"conditional": figure}}


def train(files, folder, name="guide", **settings) -> int:
    out = folder / "model.safetensors"
    line = arguments(files, out, run_settings(**changes(**settings)))
    return gud(*line, "--classifier", name)


@pytest.mark.slow
def test_a_classifier_killed_twice_ends_with_the_bits_of_an_uninterrupted_one(files, tmp_path):
    guide = ("--classifier", "guide")
    assert train(files, tmp_path / "straight", steps=60) == 0
    kill(files, tmp_path / "killed", 2, *guide, changes=changes(60))
    complete(files, tmp_path / "killed", *guide, changes=changes(60))
    assert weights(tmp_path / "killed") == weights(tmp_path / "straight")
    assert losses(tmp_path / "killed") == losses(tmp_path / "straight")


@pytest.mark.slow
def test_a_classifier_learns_the_classes_and_falls_below_chance_in_its_loss(files, tmp_path):
    assert train(files, tmp_path) == 0
    course = [float(loss) for _, loss in losses(tmp_path)]
    assert np.mean(course[-3:]) < 0.8 * np.log(2) < course[0] + 0.1
    found = load_classifier(tmp_path / "model.safetensors")
    test = datasets.load(files[0], "test")
    labels, classes = datasets.load_labels(files[0], "test", len(test))
    assert found.classes == classes == ("dark", "light")
    told = assigned(found, POINT, test, range(len(test)), seed=0)
    assert (told == labels).double().mean() > 0.8
    record = read_record(tmp_path / "model.safetensors")
    assert record["settings"]["classifier"] == "guide" and record["seed"] == RUN["seed"]


def test_more_steps_continue_a_finished_classifier(files, tmp_path):
    for folder, course in (("straight", [8]), ("extended", [4, 8])):
        for steps in course:
            assert train(files, tmp_path / folder, steps=steps) == 0
    assert weights(tmp_path / "extended") == weights(tmp_path / "straight")


def test_the_judge_has_another_seed_than_the_guide(files, tmp_path):
    for name in ("guide", "judge"):
        assert train(files, tmp_path / name, name, steps=2) == 0
    guide, judge = (load_classifier(tmp_path / n / "model.safetensors") for n in ("guide", "judge"))
    pairs = zip(guide.network.parameters(), judge.network.parameters(), strict=True)
    assert not any(torch.equal(one, other) for one, other in pairs if one.ndim > 1)


def test_a_data_set_without_classes_is_refused_in_one_sentence(files, tmp_path, capsys):
    with np.load(files[0]) as arrays:
        np.savez(tmp_path / "data.npz", train=arrays["train"], test=arrays["test"])
    assert train((tmp_path / "data.npz", files[1]), tmp_path / "out", steps=2) == 2
    error = capsys.readouterr().err
    assert "data.npz must hold train_label, classes" in error and error.count("\n") == 1


def test_an_experiment_whose_preset_asks_for_no_classifier_has_none(files, tmp_path, capsys):
    line = arguments(files, tmp_path / "model.safetensors", run_settings())
    assert gud(*line, "--classifier", "judge") == 2
    assert "the preset does not ask for guided of experiment tiny" in capsys.readouterr().err
