"""What ends a training run early, and that the next one resumes: signals, limits, other writers."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
from commands import disk_full_after, gud
from training_runs import (
    arguments,
    losses,
    run,
    run_settings,
    start,
    steps_saved,
    wait_for_checkpoints,
    weights,
)

from gud.training.checkpoint import Checkpoints

pytestmark = pytest.mark.slow

ENDLESS = {"steps": 10**6}


def slurm(folder: Path, *, requeues: bool, seconds: int = 10**6) -> dict[str, str]:
    """The environment of a SLURM job that ends `seconds` after it asks when, and notes requests."""
    folder.mkdir()
    refusal = "echo slurm_requeue error: Requested operation is presently disabled >&2; exit 1"
    commands = {
        "scontrol": f'echo "$@" >> {folder / "calls"}; {"exit 0" if requeues else refusal}',
        "squeue": f"date -d '+{seconds} seconds' +%Y-%m-%dT%H:%M:%S",
    }
    for name, script in commands.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}", "SLURM_JOB_ID": "77"}


def calls(folder: Path) -> list[str]:
    path = folder / "calls"
    return path.read_text().splitlines() if path.exists() else []


def line_with(process: subprocess.Popen, part: str) -> str:
    return next((line for line in process.stderr if part in line), "")


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
    assert f"resumes after step {step}" in errors
    assert process.returncode == 0
    assert weights(tmp_path) == weights(uninterrupted)


def test_a_stderr_that_nobody_reads_changes_neither_the_checkpoint_nor_the_status(files, tmp_path):
    process = start(files, tmp_path, changes=ENDLESS | {"checkpoint_every": 10**5})
    assert "weights" in line_with(process, "weights")
    process.stderr.close()
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 75
    assert len(steps_saved(tmp_path)) == 1


@pytest.mark.parametrize("requeues", [True, False])
def test_near_the_end_of_its_allocation_a_run_goes_back_into_the_queue(files, tmp_path, requeues):
    variables = slurm(tmp_path / "slurm", requeues=requeues, seconds=6)
    out = tmp_path / "out"
    process = start(files, out, "--minutes", "600", variables=variables, changes=ENDLESS)
    if requeues:
        back = line_with(process, "back in the queue")
        assert re.search(r"tiny: time limit after step \d+ of 1000000; checkpoint written", back)
        process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        process.kill()
        process.communicate()
    else:
        _, errors = process.communicate()
        assert process.returncode == 75
        assert "did not requeue job 77: slurm_requeue error: Requested" in errors
    assert calls(tmp_path / "slurm") == ["requeue 77"]
    assert len(steps_saved(out)) > 0


def test_the_limit_in_minutes_holds_outside_of_slurm(files, tmp_path):
    process = start(files, tmp_path, "--minutes", "0.1", changes=ENDLESS)
    _, errors = process.communicate()
    assert process.returncode == 75
    step = int(re.search(r"interrupted: tiny: time limit after step (\d+) of", errors)[1])
    assert steps_saved(tmp_path)[-1] == step


@pytest.mark.parametrize(
    ("number", "expected"),
    [(signal.SIGUSR1, ["requeue 77"]), (signal.SIGTERM, []), (signal.SIGINT, [])],
)
def test_a_warning_asks_for_another_turn_and_an_order_to_end_does_not(
    files, tmp_path, number, expected
):
    variables = slurm(tmp_path / "slurm", requeues=False)
    process = start(files, tmp_path / "out", variables=variables, changes=ENDLESS)
    wait_for_checkpoints(process, tmp_path / "out", 1)
    process.send_signal(number)
    _, errors = process.communicate()
    assert process.returncode == 75, errors
    assert f"{number.name} after step" in errors
    assert calls(tmp_path / "slurm") == expected


def test_a_run_that_has_not_got_on_asks_for_no_other_turn(files, tmp_path):
    variables = slurm(tmp_path / "slurm", requeues=True)
    with Checkpoints(tmp_path / "out" / "checkpoints", {}).locked():
        process = start(files, tmp_path / "out", variables=variables)
        assert f"process {os.getpid()} on" in line_with(process, "waiting for")
        process.send_signal(signal.SIGUSR1)
        _, errors = process.communicate()
    assert process.returncode == 75
    assert f"SIGUSR1 while {tmp_path / 'out' / 'checkpoints'} was being written by" in errors
    assert calls(tmp_path / "slurm") == []


def test_a_second_run_waits_for_the_first_and_goes_on_from_its_checkpoint_to_the_same_bits(
    files, uninterrupted, tmp_path
):
    first = start(files, tmp_path)
    wait_for_checkpoints(first, tmp_path, 1)
    first.send_signal(signal.SIGSTOP)
    second = start(files, tmp_path)
    waiting = line_with(second, "waiting for")
    assert f"process {first.pid} on" in waiting and str(tmp_path / "checkpoints") in waiting
    first.send_signal(signal.SIGTERM)
    first.send_signal(signal.SIGCONT)
    _, errors = first.communicate()
    stopped = re.search(r"SIGTERM after step (\d+) of", errors)[1]
    _, errors = second.communicate()
    assert second.returncode == 0
    assert f"resumes after step {stopped}" in errors
    assert weights(tmp_path) == weights(uninterrupted)
    assert losses(tmp_path) == losses(uninterrupted)


def test_a_second_run_writes_the_model_that_the_first_one_trained(files, tmp_path):
    changes = {"steps": 40}
    first = start(files, tmp_path, changes=changes)
    wait_for_checkpoints(first, tmp_path, 1)
    first.send_signal(signal.SIGSTOP)
    second = start(files, tmp_path, changes=changes)
    assert line_with(second, "waiting for")
    first.send_signal(signal.SIGCONT)
    _, errors = first.communicate()
    assert first.returncode == 0, errors
    expected = weights(tmp_path)
    _, errors = second.communicate()
    assert second.returncode == 0
    assert "resumes after step 40" in errors
    assert weights(tmp_path) == expected


def test_a_full_disk_ends_a_run_in_one_sentence_and_the_last_good_checkpoint_counts(
    files, tmp_path, capfd
):
    assert run(files, tmp_path / "straight", steps=10) == 0
    assert run(files, tmp_path / "full", steps=5) == 0
    good = tmp_path / "full" / "checkpoints" / "step-00000005.safetensors"
    with disk_full_after(good.stat().st_size // 2):
        assert run(files, tmp_path / "full", steps=10) == 2
    errors = capfd.readouterr().err
    assert "Traceback" not in errors
    assert "cannot be written: File too large; step-00000005.safetensors is the last" in errors
    assert steps_saved(tmp_path / "full") == [5]
    assert run(files, tmp_path / "full", steps=10) == 0
    assert weights(tmp_path / "full") == weights(tmp_path / "straight")


def test_a_disk_too_full_for_the_model_ends_a_run_in_one_sentence(files, tmp_path, capfd):
    assert run(files, tmp_path, steps=5) == 0
    size = (tmp_path / "model.safetensors").stat().st_size
    (tmp_path / "model.safetensors").unlink()
    with disk_full_after(size // 2):
        assert run(files, tmp_path, steps=5) == 2
    errors = capfd.readouterr().err
    assert "Traceback" not in errors and "model.safetensors cannot be written" in errors


@pytest.mark.parametrize("minutes", ["0", "-1", "nan"])
def test_a_limit_that_is_no_time_is_refused(files, tmp_path, capfd, minutes):
    line = arguments(files, tmp_path / "model.safetensors", run_settings())
    assert gud(*line, "--minutes", minutes) == 2
    assert f"--minutes {minutes}: expected more than 0" in capfd.readouterr().err
