"""Shares of a batch, and where a process stands among others."""

import os

import pytest
import torch

from gud.errors import InputError
from gud.networks.layers import Dropout
from gud.training.distributed import Placement, Processes, placement


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
        layer.share, layer.shares = rank, shares
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
