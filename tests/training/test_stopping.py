import logging
import math
import os
import signal
import time
from pathlib import Path

import pytest

from gud.errors import Interrupted, OutOfTime
from gud.training.distributed import Processes
from gud.training.stopping import TimeLimit, another_turn, stop_signals, time_limit

START = 1_000_000.0


def command(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def path(tmp_path, monkeypatch) -> Path:
    """A folder whose commands come first, outside of any real SLURM job."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    return tmp_path


def test_without_limit_and_allocation_the_end_is_never_near():
    limit = time_limit(None, START, {})
    assert limit.end == math.inf and not limit.near(START + 1e9)


def test_minutes_count_from_the_start():
    assert time_limit(90.0, START, {}).end == START + 5400


def test_slurm_knows_the_end_of_its_allocation_better():
    variables = {"SLURM_JOB_ID": "5", "SLURM_JOB_END_TIME": "1000600"}
    assert time_limit(90.0, START, variables).end == 1_000_600


def test_an_older_slurm_is_asked_for_the_end(path):
    command(path, "squeue", f'echo "$SLURM_TIME_FORMAT $@" > {path}/call; echo 2033-05-18T05:33:20')
    end = time_limit(90.0, START, {"SLURM_JOB_ID": "5"}).end
    assert end == time.mktime((2033, 5, 18, 5, 33, 20, 0, 0, -1))
    assert (path / "call").read_text() == "standard --noheader --jobs 5 --format %e\n"


@pytest.mark.parametrize("script", ["echo N/A", "echo slurm is down >&2; exit 1", "true"])
def test_minutes_count_if_slurm_does_not_tell(path, script):
    command(path, "squeue", script)
    assert time_limit(90.0, START, {"SLURM_JOB_ID": "5"}).end == START + 5400


def test_minutes_count_if_the_end_has_passed():
    variables = {"SLURM_JOB_ID": "5", "SLURM_JOB_END_TIME": "999999"}
    assert time_limit(90.0, START, variables).end == START + 5400


@pytest.mark.parametrize(
    ("seconds", "longest", "margin"),
    [(3600.0, 1.0, 30.0), (3600.0, 100.0, 200.0), (60.0, 1.0, 30.0), (20.0, 1.0, 10.0)],
)
def test_the_margin_fits_the_work_twice_but_is_half_of_the_limit_at_most(seconds, longest, margin):
    limit = TimeLimit(START, START + seconds)
    limit.took(longest)
    limit.took(longest / 2)
    assert not limit.near(START + seconds - margin - 1e-3)
    assert limit.near(START + seconds - margin)


def test_outside_of_slurm_nobody_is_asked_for_another_turn(path):
    command(path, "scontrol", f"touch {path}/called")
    with pytest.raises(OutOfTime), another_turn(Processes()):
        raise OutOfTime("time limit")
    assert not (path / "called").exists()


def test_an_order_to_end_asks_for_no_other_turn(path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "5")
    command(path, "scontrol", f"touch {path}/called")
    with pytest.raises(Interrupted), another_turn(Processes()):
        raise Interrupted("SIGTERM")
    assert not (path / "called").exists()


def test_without_scontrol_the_log_says_so_in_one_line(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("SLURM_JOB_ID", "5")
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    with (
        caplog.at_level(logging.INFO),
        pytest.raises(OutOfTime),
        another_turn(Processes()),
    ):
        raise OutOfTime("time limit")
    (message,) = caplog.messages
    assert "job 5" in message and "scontrol" in message and "\n" not in message


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_is_noted_and_its_handler_restored(number):
    before = signal.getsignal(number)
    with stop_signals() as stop:
        assert stop.signal is None
        os.kill(os.getpid(), number)
        assert stop.signal == number.name
    assert signal.getsignal(number) is before
