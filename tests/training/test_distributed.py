"""One training by several processes gives what one process gives."""

import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import status
from pretending import pretending
from safetensors.torch import load_file
from training_runs import (
    environment,
    losses,
    run,
    run_settings,
    start,
    steps_saved,
    wait_for_checkpoints,
)

from gud.config.jobs import TrainingJob
from gud.config.sections.validation import validate
from gud.data import statistics
from gud.devices import check_processes
from gud.errors import InputError
from gud.provenance import read_record
from gud.training import launcher
from gud.training.distributed import Processes
from gud.training.launcher import launch, supervise
from gud.training.step import Training
from gud.training.stopping import STOP_SIGNALS

pytestmark = pytest.mark.slow

TORCHRUN = ("torch.distributed.run", "--nproc-per-node", "2", "--master-port")
FEW = {"steps": 12, "precision": "float32", "checkpoint_every": 5, "log_every": 4}


def free_port() -> str:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return str(server.getsockname()[1])


def start_two(files, folder: Path, changes: dict, **options) -> list[subprocess.Popen]:
    """Two processes by hand."""
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    return [
        start(files, folder, variables=common | {"RANK": rank}, changes=changes, **options)
        for rank in "01"
    ]


def assert_same_model(left: Path, right: Path) -> None:
    one, two = (load_file(folder / "model.safetensors") for folder in (left, right))
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=1e-5, atol=1e-6, msg=name)
    (steps, course), (others, copy) = (
        zip(*losses(folder), strict=True) for folder in (left, right)
    )
    assert steps == others
    np.testing.assert_allclose(np.double(course), np.double(copy), rtol=1e-5)


def test_two_processes_with_micro_batches_train_what_one_process_trains(files, tmp_path):
    assert run(files, tmp_path / "one", **FEW) == 0
    process = start(files, tmp_path / "two", "--processes", "2", changes=FEW | {"micro_batch": 4})
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert errors.count("150 images") == 1
    assert_same_model(tmp_path / "one", tmp_path / "two")
    for folder, count in (("one", 1), ("two", 2)):
        assert read_record(tmp_path / folder / "model.safetensors")["processes"] == count


def test_one_process_goes_on_where_sigterm_stopped_two(files, tmp_path):
    endless = FEW | {"steps": 10**6}
    process = start(files, tmp_path / "two", launcher=(*TORCHRUN, free_port()), changes=endless)
    wait_for_checkpoints(process, tmp_path / "two", 1)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate()
    step = int(re.search(r"interrupted: tiny: SIGTERM after step (\d+) of", errors)[1])
    assert steps_saved(tmp_path / "two")[-1] == step
    for folder in ("one", "two"):
        assert run(files, tmp_path / folder, **FEW | {"steps": step + 4}) == 0
    assert_same_model(tmp_path / "one", tmp_path / "two")


def test_two_processes_go_on_where_one_stopped(files, tmp_path):
    assert run(files, tmp_path / "one", **FEW) == 0
    assert run(files, tmp_path / "two", **FEW | {"steps": 6}) == 0
    for process in start_two(files, tmp_path / "two", FEW):
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    assert_same_model(tmp_path / "one", tmp_path / "two")


def test_an_error_of_the_first_process_ends_both_and_is_told_once(files, tmp_path):
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))

    processes = start_two(files, tmp_path, FEW, preexec_fn=limit)
    told = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [2, 2]
    assert "step-00000005.safetensors cannot be written" in told[0]
    assert "error" not in told[1]


def test_the_end_of_one_process_ends_the_other(files, tmp_path):
    processes = start_two(files, tmp_path, FEW | {"steps": 10**6})
    wait_for_checkpoints(processes[0], tmp_path, 1)
    processes[1].kill()
    for process in processes:
        process.communicate()
        assert process.returncode != 0
    assert not (tmp_path / "model.safetensors").exists()


def test_a_signal_to_one_process_stops_both_after_the_same_step(files, tmp_path):
    processes = start_two(files, tmp_path, FEW | {"steps": 10**6})
    wait_for_checkpoints(processes[0], tmp_path, 1)
    processes[1].send_signal(signal.SIGUSR1)
    told = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [75, 75], told
    steps = {re.search(r"SIGUSR1 after step (\d+) of", text)[1] for text in told}
    assert steps == {str(steps_saved(tmp_path)[-1])}


def test_a_signal_to_what_was_started_by_hand_stops_its_processes(files, tmp_path):
    process = start(
        files,
        tmp_path,
        "--processes",
        "2",
        changes=FEW | {"steps": 10**6, "checkpoint_every": 10**6},
    )
    line = next(line for line in process.stderr if "150 images" in line)
    assert "processes 2" in line
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate()
    assert process.returncode == 75, errors
    step = re.search(r"SIGTERM after step (\d+) of", errors)[1]
    assert steps_saved(tmp_path) == [int(step)]


def test_the_end_of_a_process_that_was_started_by_hand_ends_all(files, tmp_path):
    process = start(files, tmp_path, "--processes", "2", changes=FEW | {"steps": 10**6})
    wait_for_checkpoints(process, tmp_path, 1)
    tasks = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    children = [int(child) for child in tasks.read_text().split()]
    os.kill(children[1], signal.SIGKILL)
    process.communicate()
    assert process.returncode in (1, 128 + signal.SIGKILL)
    assert not any(Path(f"/proc/{child}").exists() for child in children)


@pytest.fixture
def heeded():
    """Puts back what this process does on signals."""
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_every_signal_to_stop_is_passed_on_to_all_processes(heeded, tmp_path, number):
    def stop() -> None:
        while len(list(tmp_path.iterdir())) < 2:
            time.sleep(0.01)
        os.kill(os.getpid(), number)

    heed = (
        "import pathlib, signal, sys, time\n"
        f"signal.signal({int(number)}, lambda *_: sys.exit(7))\n"
        "pathlib.Path(sys.argv[1]).touch()\n"
        "time.sleep(60)\n"
    )
    workers = [subprocess.Popen([sys.executable, "-c", heed, tmp_path / name]) for name in "ab"]
    threading.Thread(target=stop, daemon=True).start()
    assert supervise(workers) == 7
    assert [worker.returncode for worker in workers] == [7, 7]


def test_a_process_that_never_ends_after_another_failed_is_killed(heeded, monkeypatch):
    monkeypatch.setattr(launcher, "GRACE_SECONDS", 0.5)
    sleep, fail = ["sleep", "1000"], ["sh", "-c", "exit 3"]
    workers = [subprocess.Popen(command) for command in (sleep, fail)]
    assert supervise(workers) == 3
    assert workers[0].returncode == -signal.SIGKILL


def test_more_processes_than_gpus_are_refused_before_any_starts(capsys):
    with pretending():
        assert status(launch, 2, [], None) == 2
        assert capsys.readouterr().err == (
            "error: --processes 2: this machine shows 1 GPU(s); expected at most one process for "
            "each\n"
        )
    check_processes("cpu", 2)


GPUS = """
import sys, torch
from gud import cli
from gud.training.distributed import join, placement
import os
def work():
    with join(placement(os.environ), torch.device("cpu")) as processes:
        for gpu in sys.argv[1:]:
            processes.apart(gpu)
            print(gpu)
        assert torch.distributed.is_initialized()
status = cli.reported(work)
assert not torch.distributed.is_initialized()
sys.exit(status)
"""


def test_two_processes_on_one_gpu_are_refused_in_one_sentence_and_on_two_are_not():
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", GPUS, own, "shared"],
            env=environment(**common, RANK=str(rank)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank, own in enumerate("ab")
    ]
    passed, told = zip(*(process.communicate() for process in processes), strict=True)
    assert [process.returncode for process in processes] == [2, 2], told
    assert passed == ("a\n", "b\n")
    errors = "".join(told)
    assert errors.count("processes 0, 1 of this training would run on one GPU of") == 1
    assert "Traceback" not in errors


def test_a_batch_that_cannot_be_shared_evenly_is_refused(files):
    settings = validate(TrainingJob, run_settings(), "test")
    images = torch.from_numpy(np.load(files[0])["train"])
    with pytest.raises(InputError, match="training.batch_size = 16 .* 3 processes"):
        Training(
            settings,
            images,
            statistics.load(files[1]),
            torch.device("cpu"),
            Processes(0, 3),
        )
