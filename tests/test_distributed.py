"""One training by several processes gives what one process gives."""

import os
import re
import resource
import signal
import socket
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from training_runs import (
    losses,
    run,
    run_settings,
    start,
    steps_saved,
    wait_for_checkpoints,
)

from gud.distributed import Placement, Processes, placement
from gud.errors import InputError
from gud.layers import Dropout
from gud.provenance import read_record
from gud.representation import Statistics
from gud.settings import validate
from gud.training import RunSettings, Training

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


def test_two_processes_train_what_one_process_trains(files, tmp_path):
    assert run(files, tmp_path / "one", **FEW) == 0
    process = start(files, tmp_path / "two", "--processes", "2", changes=FEW)
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


def test_a_batch_that_cannot_be_shared_evenly_is_refused(files):
    settings = validate(RunSettings, run_settings(), "test")
    images = torch.from_numpy(np.load(files[0])["train"])
    with pytest.raises(InputError, match="training.batch_size = 16 .* 3 processes"):
        Training(
            settings,
            images,
            Statistics.load(files[1]),
            torch.device("cpu"),
            Processes(0, 3),
        )


def test_shares_are_contiguous_and_make_the_batch():
    batch = torch.arange(12).reshape(6, 2)
    parts = [Processes(rank, 3).share(batch) for rank in range(3)]
    assert torch.equal(torch.cat(parts), batch)


@pytest.mark.parametrize("shape", [(8, 5), (8, 4, 6, 6)])
@pytest.mark.parametrize("layout", ["contiguous_format", "channels_last"])
def test_dropout_of_one_process_has_the_bits_of_torch_and_shares_have_the_same_mask(shape, layout):
    features = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    if len(shape) == 4:
        features = features.to(memory_format=getattr(torch, layout))
    results = []
    for rank, shares in ((0, 1), (0, 2), (1, 2)):
        layer = Dropout(0.3)
        layer.rank, layer.shares = rank, shares
        torch.manual_seed(7)
        results.append(layer(features.chunk(shares)[rank]))
        assert layer.eval()(features) is features
    torch.manual_seed(7)
    expected = torch.nn.Dropout(0.3)(features)
    assert torch.equal(results[0], expected)
    assert torch.equal(torch.cat(results[1:]), expected)


def test_no_variables_and_a_batch_script_mean_one_process():
    assert placement({}) == Placement()
    assert placement({"SLURM_JOB_ID": "5", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"}).size == 1
    assert placement({"RANK": "0", "WORLD_SIZE": "1"}).size == 1


def test_torchrun_and_a_user_say_where_a_process_stands():
    variables = {"RANK": "5", "WORLD_SIZE": "8", "MASTER_ADDR": "node1", "MASTER_PORT": "1234"}
    assert placement(variables) == Placement(5, 8, 5, "node1", 1234)
    variables |= {"LOCAL_RANK": "1", "SLURM_STEP_NUM_TASKS": "2"}
    assert placement(variables) == Placement(5, 8, 1, "node1", 1234)


def test_the_tasks_of_a_job_step_find_each_other(tmp_path, monkeypatch):
    (tmp_path / "scontrol").write_text(
        f'#!/bin/sh\necho "$@" > {tmp_path}/call; echo n3; echo n5\n'
    )
    (tmp_path / "scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    variables = {"SLURM_JOB_ID": "123456", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "4"}
    variables |= {"SLURM_JOB_NODELIST": "n[1-9]", "SLURM_STEP_NODELIST": "n[3,5]"}
    tasks = [
        placement(variables | {"SLURM_PROCID": f"{rank}", "SLURM_LOCALID": f"{rank % 2}"})
        for rank in range(4)
    ]
    assert [(task.rank, task.size, task.local_rank) for task in tasks] == [
        (rank, 4, rank % 2) for rank in range(4)
    ]
    assert {task.address for task in tasks} == {"n3"}
    assert (tmp_path / "call").read_text() == "show hostnames n[3,5]\n"
    assert len({task.port for task in tasks}) == 1 and 10000 <= tasks[0].port < 30000
    other = placement(variables | {"SLURM_STEP_ID": "1", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"})
    assert other.port != tasks[0].port


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"RANK": None}, "RANK = None"),
        ({"RANK": "two"}, "RANK = 'two'"),
        ({"RANK": "2"}, "process 2 of 2"),
        ({"MASTER_PORT": None}, "MASTER_PORT = None"),
        ({"MASTER_ADDR": None}, "MASTER_ADDR"),
    ],
)
def test_variables_that_make_no_sense_are_refused(change, named):
    variables = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "n", "MASTER_PORT": "1"} | change
    with pytest.raises(InputError, match=named):
        placement({key: value for key, value in variables.items() if value is not None})
