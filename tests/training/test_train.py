import json
import logging
import re

import numpy as np
import pytest
import torch
from commands import gud
from safetensors.torch import load_file, save_file
from training_runs import (
    RUN,
    complete,
    forget,
    kill,
    losses,
    run,
    steps_saved,
    weights,
)

from gud.config.sections.bases import PlainBasis
from gud.config.sections.model import ModelSettings
from gud.config.sections.validation import validate
from gud.data import statistics
from gud.data.statistics import fit, save
from gud.model import load
from gud.provenance import read_record, sha256

pytestmark = pytest.mark.slow

PSLD = {
    "name": "psld",
    "Gamma": 0.01,
    "nu": 4.01,
    "kappa": 0.04,
    "clock": "snr",
    "matching": "denoising",
}


def test_a_run_killed_time_and_again_ends_with_the_bits_of_an_uninterrupted_one(
    files, uninterrupted, tmp_path
):
    kill(files, tmp_path, 3, changes={})
    complete(files, tmp_path)
    assert weights(tmp_path) == weights(uninterrupted)
    assert losses(tmp_path) == losses(uninterrupted)


def test_a_run_in_phase_space_goes_on_from_a_checkpoint_to_the_same_bits(files, tmp_path):
    changes = {"model": RUN["model"] | {"process": PSLD}, "steps": 10}
    assert run(files, tmp_path, **changes) == 0
    straight = weights(tmp_path), losses(tmp_path)
    forget(tmp_path, 5)
    assert run(files, tmp_path, **changes) == 0
    assert (weights(tmp_path), losses(tmp_path)) == straight


def test_training_lowers_the_loss(uninterrupted):
    course = [float(loss) for _, loss in losses(uninterrupted)]
    assert np.mean(course[-5:]) < 0.6 * course[0]


def test_the_table_has_one_row_for_each_interval_and_the_rest(uninterrupted):
    assert [int(step) for step, _ in losses(uninterrupted)] == [*range(7, 120, 7), 120]


def test_model_and_table_have_records_of_inputs_precision_and_threads(files, uninterrupted):
    for name in ("model.safetensors", "training.csv"):
        record = read_record(uninterrupted / name)
        assert sorted(record["inputs"].values()) == sorted(map(sha256, files))
        assert record["settings"] == RUN
        assert record["precision"] in ("bfloat16", "float32")
        assert record["threads"] == 1
    assert load(uninterrupted / "model.safetensors").settings == validate(
        ModelSettings, RUN["model"], "RUN"
    )


def test_the_seed_determines_every_bit(files, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert run(files, tmp_path / name, seed=seed, steps=6) == 0
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    assert losses(tmp_path / "a") == losses(tmp_path / "b")
    a, c = weights(tmp_path / "a"), weights(tmp_path / "c")
    assert a["network.body.stem.weight"] != c["network.body.stem.weight"]


@pytest.mark.parametrize("process", ["ou", PSLD], ids=["ou", "psld"])
def test_more_steps_continue_a_finished_run(files, tmp_path, process):
    model = RUN["model"] | {"process": process}
    assert run(files, tmp_path / "straight", model=model, steps=20) == 0
    assert run(files, tmp_path / "extended", model=model, steps=10) == 0
    more = {"model": model, "steps": 20, "checkpoint_every": 3}
    assert run(files, tmp_path / "extended", **more) == 0
    assert weights(tmp_path / "extended") == weights(tmp_path / "straight")
    assert losses(tmp_path / "extended") == losses(tmp_path / "straight")


def test_fewer_steps_than_done_are_refused(files, tmp_path, capsys):
    assert run(files, tmp_path, steps=10) == 0
    assert run(files, tmp_path, steps=8) == 2
    assert "training.steps = 8 lies before the checkpoint of step 10" in capsys.readouterr().err


def test_a_corrupted_newest_checkpoint_changes_no_bit_of_the_result(files, tmp_path, caplog):
    assert run(files, tmp_path, steps=10) == 0
    expected = weights(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    newest = tmp_path / "checkpoints" / "step-00000010.safetensors"
    newest.write_bytes(newest.read_bytes()[:-100])
    with caplog.at_level(logging.INFO):
        assert run(files, tmp_path, steps=10) == 0
    assert [m for m in caplog.messages if "corrupted" in m and str(newest) in m]
    assert "tiny: resumes after step 5" in caplog.messages
    assert weights(tmp_path) == expected


def test_checkpoints_of_other_settings_are_refused_and_kept(files, tmp_path, capsys):
    assert run(files, tmp_path, steps=6) == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("step-*")}
    assert run(files, tmp_path, steps=6, learning_rate=1e-3) == 2
    assert "training.learning_rate = 0.005 (now 0.001)" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in tmp_path.rglob("step-*")} == before


def test_checkpoints_of_other_data_are_refused(files, tmp_path, capsys):
    assert run(files, tmp_path, steps=6) == 0
    images = np.load(files[0])["train"]
    np.savez(tmp_path / "other.npz", train=images[::-1], test=images[:10])
    assert run((tmp_path / "other.npz", files[1]), tmp_path, steps=6) == 2
    assert f"data = {json.dumps(sha256(files[0]))}" in capsys.readouterr().err


def test_a_loss_that_is_not_finite_stops_the_run_and_leaves_finite_checkpoints(
    files, tmp_path, capsys
):
    changes = {"learning_rate": 1e14, "warmup_steps": 0, "gradient_clip": None}
    assert run(files, tmp_path, **changes, steps=20, checkpoint_every=1) == 2
    message = capsys.readouterr().err
    step = int(re.search(r"is not finite at step (\d+) \(learning rate 1e\+14, a = ", message)[1])
    kept = steps_saved(tmp_path)
    assert kept and kept[-1] <= step
    for path in (tmp_path / "checkpoints").glob("step-*"):
        state = {name: x for name, x in load_file(path).items() if "history/" not in name}
        assert state and all(tensor.isfinite().all() for tensor in state.values())
    assert not (tmp_path / "model.safetensors").exists()


@pytest.mark.parametrize(
    "change", ["missing", "not safetensors", "other size", "other basis", "no basis"]
)
def test_wrong_statistics_are_refused_in_one_sentence(files, tmp_path, capsys, change):
    path = tmp_path / "statistics.safetensors"
    if change == "not safetensors":
        path.write_text("mean = 0")
    elif change == "other size":
        images = torch.randint(0, 256, (20, 3, 4, 4), dtype=torch.uint8)
        save(path, fit(images, "fourier"), PlainBasis(name="fourier"))
    elif change == "other basis":
        save(path, statistics.load(files[1]), PlainBasis(name="pixel"))
    elif change == "no basis":
        save_file(statistics.load(files[1]).tensors(), path)
    assert run((files[0], path), tmp_path / "out", steps=1) == 2
    error = capsys.readouterr().err
    assert str(path) in error and error.count("\n") == 1 and error.startswith("error: ")


@pytest.mark.parametrize(("option", "flip"), [("--mirrored", False), (None, True)])
def test_statistics_of_mirror_images_belong_to_a_training_that_flips(
    files, tmp_path, capsys, option, flip
):
    path, words = tmp_path / "statistics.safetensors", ["--basis", "fourier", "--data", files[0]]
    assert gud("statistics", *words, *([option] if option else []), "--out", path) == 0
    assert run((files[0], path), tmp_path / "out", steps=1, flip=flip) == 2
    says = f"training.flip is {str(flip).lower()}: fit them with{'' if flip else 'out'} --mirrored"
    assert says in capsys.readouterr().err
    assert run((files[0], path), tmp_path / "out", steps=1, flip=not flip) == 0
