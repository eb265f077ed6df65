import csv
import json
import logging
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from gud.checkpoint import Checkpoints
from gud.model import load
from gud.provenance import read_record, sha256
from gud.representation import Statistics, fit
from gud.settings import validate
from gud.train import RunSettings, Training, main

SIZE = 8
KILLS = 10
RUN: dict[str, Any] = {
    "experiment": "tiny",
    "seed": 3,
    "model": {
        "basis": {"name": "fourier"},
        "prior": "isotropic",
        "process": "ou",
        "schedule": {
            "name": "soft_conditioning",
            "gamma_denoise": -5.0,
            "gamma_noise": "auto",
            "time_power": 0.5,
            "ranges": {"a": [0.5, 1.5], "r": [0.0, 1.0]},
        },
        "preconditioning": "none",
        "network": {
            "name": "ncsnpp",
            "width": 8,
            "multipliers": [1],
            "blocks": 1,
            "attention": [],
            "dropout": 0.1,
            "gamma_width": 8,
            "gamma_blocks": 1,
            "time_scale": 10.0,
        },
    },
    "training": {
        "steps": 120,
        "batch_size": 16,
        "learning_rate": 5e-3,
        "warmup_steps": 10,
        "gradient_clip": 1.0,
        "ema": 0.9,
        "flip": True,
        "precision": "auto",
        "checkpoint_every": 5,
        "log_every": 7,
    },
}


def run_settings(**changes) -> dict:
    """RUN with other values; those of `training` by their own names."""
    training = {key: changes.pop(key) for key in list(changes) if key in RUN["training"]}
    return RUN | changes | {"training": RUN["training"] | training}


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> tuple[Path, Path]:
    """A data set of smooth images and its statistics."""
    folder = tmp_path_factory.mktemp("data")
    random_numbers = np.random.default_rng(0)
    coarse = random_numbers.normal(128, 45, (200, 3, 2, 2)).repeat(4, 2).repeat(4, 3)
    images = (coarse + random_numbers.normal(0, 5, coarse.shape)).clip(0, 255).astype(np.uint8)
    np.savez(folder / "data.npz", train=images[:150], test=images[150:])
    statistics = fit(torch.from_numpy(images[:150]), {"name": "fourier"})
    save_file(statistics.tensors(), folder / "statistics.safetensors")
    return folder / "data.npz", folder / "statistics.safetensors"


def arguments(files, out: Path, settings: dict) -> list[str]:
    data, statistics = map(str, files)
    inputs = ["--data", data, "--statistics", statistics]
    return ["--settings", json.dumps(settings), *inputs, "--out", str(out), "--device", "cpu"]


def start(files, folder: Path) -> subprocess.Popen:
    """The real program, in a process of its own."""
    command = [sys.executable, "-m", "gud.train"]
    return subprocess.Popen(
        command + arguments(files, folder / "model.safetensors", RUN),
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )


def run(files, folder: Path, **changes) -> int:
    return main(arguments(files, folder / "model.safetensors", run_settings(**changes)))


def weights(folder: Path) -> dict[str, bytes]:
    tensors = load_file(folder / "model.safetensors")
    return {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}


def losses(folder: Path) -> list[tuple[str, str]]:
    with open(folder / "training.csv") as file:
        return [(row["step"], row["loss"]) for row in csv.DictReader(file)]


def steps_saved(folder: Path) -> list[int]:
    return sorted(int(path.stem[5:]) for path in (folder / "checkpoints").glob("step-*"))


def wait_for_checkpoints(process: subprocess.Popen, folder: Path, count: int) -> None:
    before = max(steps_saved(folder), default=0)
    enough = before + count * RUN["training"]["checkpoint_every"]
    while process.poll() is None and max(steps_saved(folder), default=0) < enough:
        time.sleep(1e-3)


@pytest.fixture(scope="module")
def uninterrupted(files, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("uninterrupted")
    process = start(files, folder)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    return folder


@pytest.fixture
def training(files) -> Training:
    images = torch.from_numpy(np.load(files[0])["train"])
    settings = validate(RunSettings, run_settings(precision="float32"), "test")
    return Training(settings, images, Statistics.load(files[1]), torch.device("cpu"))


def test_a_run_killed_ten_times_ends_with_the_bits_of_an_uninterrupted_one(
    files, uninterrupted, tmp_path
):
    moments = random.Random(0)
    killed = 0
    for _ in range(KILLS):
        process = start(files, tmp_path)
        wait_for_checkpoints(process, tmp_path, moments.randint(0, 2))
        time.sleep(moments.uniform(0, 0.05))
        process.kill()
        process.communicate()
        killed += process.returncode == -signal.SIGKILL
    assert killed > KILLS // 2
    process = start(files, tmp_path)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert weights(tmp_path) == weights(uninterrupted)
    assert losses(tmp_path) == losses(uninterrupted)


def test_sigterm_writes_a_checkpoint_of_the_last_step_and_the_run_goes_on_to_the_same_bits(
    files, uninterrupted, tmp_path
):
    process = start(files, tmp_path)
    wait_for_checkpoints(process, tmp_path, 2)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate()
    assert process.returncode == 75
    step = int(re.search(r"interrupted: tiny: SIGTERM after step (\d+) of 120;", errors)[1])
    assert steps_saved(tmp_path)[-1] == step
    assert not (tmp_path / "model.safetensors").exists()
    process = start(files, tmp_path)
    _, errors = process.communicate()
    assert f"goes on after step {step}" in errors
    assert process.returncode == 0
    assert weights(tmp_path) == weights(uninterrupted)


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
    assert load(uninterrupted / "model.safetensors").settings == RUN["model"]


def test_the_seed_determines_every_bit(files, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert run(files, tmp_path / name, seed=seed, steps=6) == 0
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    assert losses(tmp_path / "a") == losses(tmp_path / "b")
    a, c = weights(tmp_path / "a"), weights(tmp_path / "c")
    assert a["network.body.stem.weight"] != c["network.body.stem.weight"]


def test_more_steps_continue_a_finished_run(files, tmp_path):
    assert run(files, tmp_path / "straight", steps=20) == 0
    assert run(files, tmp_path / "extended", steps=10) == 0
    assert run(files, tmp_path / "extended", steps=20, checkpoint_every=3) == 0
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
    assert "tiny: goes on after step 5" in caplog.messages
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


def test_a_second_run_into_the_same_folder_is_refused(files, tmp_path, capsys):
    with Checkpoints(tmp_path / "checkpoints", {}).locked():
        assert run(files, tmp_path, steps=6) == 2
    assert "are being written by another run" in capsys.readouterr().err
    assert not (tmp_path / "model.safetensors").exists()


def test_a_loss_that_is_not_finite_stops_the_run_and_leaves_finite_checkpoints(
    files, tmp_path, capsys
):
    changes = {"learning_rate": 1e30, "warmup_steps": 0, "gradient_clip": None}
    assert run(files, tmp_path, **changes, steps=20, checkpoint_every=1) == 2
    message = capsys.readouterr().err
    step = int(re.search(r"is not finite at step (\d+) \(learning rate 1e\+30, a = ", message)[1])
    kept = steps_saved(tmp_path)
    assert kept and kept[-1] <= step
    for path in (tmp_path / "checkpoints").glob("step-*"):
        assert all(tensor.isfinite().all() for tensor in load_file(path).values())
    assert not (tmp_path / "model.safetensors").exists()


@pytest.mark.parametrize("change", ["missing", "not safetensors", "other size"])
def test_wrong_statistics_are_refused_in_one_sentence(files, tmp_path, capsys, change):
    path = tmp_path / "statistics.safetensors"
    if change == "not safetensors":
        path.write_text("mean = 0")
    elif change == "other size":
        images = torch.randint(0, 256, (20, 3, 4, 4), dtype=torch.uint8)
        save_file(fit(images, {"name": "fourier"}).tensors(), path)
    assert run((files[0], path), tmp_path / "out", steps=1) == 2
    error = capsys.readouterr().err
    assert str(path) in error and error.count("\n") == 1 and error.startswith("error: ")


def test_the_average_follows_the_weights_by_its_definition(training):
    expected = None
    for step in range(5):
        training.update(step)
        now = torch.nn.utils.parameters_to_vector(training.network.parameters()).detach().clone()
        expected = now if expected is None else 0.9 * expected + 0.1 * now
    model = training.averaged_model()
    result = torch.nn.utils.parameters_to_vector(model.network.parameters())
    torch.testing.assert_close(result, expected)


def test_the_learning_rate_rises_linearly_to_its_value(training):
    rates = [training.learning_rate(step) for step in range(12)]
    expected = [5e-3 * fraction for fraction in (*np.arange(1, 11) / 10, 1, 1)]
    assert rates == pytest.approx(expected)


def test_schedule_parameters_are_uniform_in_their_ranges(training):
    draws = [training.schedule_parameters(step) for step in range(2000)]
    for key, low, high in (("a", 0.5, 1.5), ("r", 0.0, 1.0)):
        values = np.array([draw[key] for draw in draws])
        assert low <= values.min() and values.max() <= high
        # Kolmogorov-Smirnov distance, exceeded with a probability of about 1e-6.
        uniform = (np.sort(values) - low) / (high - low)
        assert np.abs(uniform - (np.arange(2000) + 0.5) / 2000).max() < 2.7 / 2000**0.5
    a, r = (np.array([draw[key] for draw in draws]) for key in "ar")
    assert abs(np.corrcoef(a, r)[0, 1]) < 5 / 2000**0.5


def test_bfloat16_changes_the_loss_little_and_the_weights_stay_float32(files, training):
    settings = validate(RunSettings, run_settings(precision="bfloat16"), "test")
    arguments = (training.images, Statistics.load(files[1]), torch.device("cpu"))
    reduced = Training(settings, *arguments)
    assert reduced.loss(0).item() == pytest.approx(training.loss(0).item(), rel=0.02)
    reduced.update(0)
    assert {tensor.dtype for tensor in reduced.network.state_dict().values()} == {torch.float32}
