import logging
import os
import shutil
import subprocess
import sys
import threading

import pytest
import torch
from commands import disk_full_after
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gud.errors import InputError, Interrupted
from gud.training import lock
from gud.training.checkpoint import (
    Checkpoints,
    flatten_optimizer,
    group,
    restore_optimizer,
    ungroup,
)
from gud.training.stopping import Stop

IDENTITY = {"seed": 0, "training": {"learning_rate": 0.1, "multipliers": [1, 2]}, "data": "ab"}


def tensors(seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "network/weight": torch.randn(3, 4, 2, 2, generator=generator),
        "average/count": torch.tensor(7),
        "history/losses": torch.zeros(0),
        "history/rows": torch.randn(2, 4, generator=generator, dtype=torch.float64),
    }


def same_bits(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    def bits(tensor):
        return tensor.dtype, tensor.shape, tensor.contiguous().reshape(-1).view(torch.uint8)

    return left.keys() == right.keys() and all(
        bits(left[name])[:2] == bits(right[name])[:2]
        and torch.equal(bits(left[name])[2], bits(right[name])[2])
        for name in left
    )


@pytest.fixture
def checkpoints(tmp_path):
    store = Checkpoints(tmp_path / "checkpoints", IDENTITY)
    with store.locked():
        yield store


def names(store: Checkpoints) -> list[str]:
    return sorted(path.name for path in store.folder.iterdir() if path.name != "lock")


def test_a_folder_without_checkpoints_has_none(checkpoints):
    assert checkpoints.load() is None


def test_saved_tensors_come_back_to_the_last_bit(checkpoints):
    saved = tensors()
    saved["network/weight"] = saved["network/weight"].to(memory_format=torch.channels_last)
    checkpoints.save(12, saved)
    loaded = checkpoints.load()
    assert loaded.step == 12
    assert same_bits(loaded.tensors, saved)


def test_the_two_latest_checkpoints_are_kept(checkpoints):
    for step in (5, 900, 1000, 12000):
        checkpoints.save(step, tensors(step))
    assert names(checkpoints) == ["step-00001000.safetensors", "step-00012000.safetensors"]
    assert checkpoints.load().step == 12000


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_a_flipped_byte_never_changes_what_is_loaded_and_in_the_data_makes_the_one_before_count(
    checkpoints, data
):
    checkpoints.save(1, tensors(1))
    checkpoints.save(2, tensors(2))
    path = checkpoints.path(2)
    content = bytearray(path.read_bytes())
    payload = 8 + int.from_bytes(content[:8], "little")
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    loaded = checkpoints.load()
    assert loaded.step == 1 or position < payload
    assert same_bits(loaded.tensors, tensors(loaded.step))


@pytest.mark.parametrize("kept", [0, 7, 100, -1])
def test_a_cut_off_checkpoint_is_skipped_with_one_line_in_the_log(checkpoints, caplog, kept):
    checkpoints.save(1, tensors(1))
    checkpoints.save(2, tensors(2))
    path = checkpoints.path(2)
    path.write_bytes(path.read_bytes()[:kept])
    with caplog.at_level(logging.INFO):
        assert checkpoints.load().step == 1
    assert [str(path) in record.getMessage() for record in caplog.records] == [True]
    assert "\n" not in caplog.records[0].getMessage()


def test_a_corrupted_checkpoint_never_takes_the_place_of_a_valid_one(checkpoints):
    for step in (10, 20):
        checkpoints.save(step, tensors(step))
    checkpoints.path(20).write_bytes(b"")
    assert checkpoints.load().step == 10
    checkpoints.save(15, tensors(15))
    assert names(checkpoints) == ["step-00000010.safetensors", "step-00000015.safetensors"]


def test_another_identity_is_refused_naming_what_differs_and_the_way_out(checkpoints):
    checkpoints.save(1, tensors())
    changed = IDENTITY | {"training": IDENTITY["training"] | {"learning_rate": 0.2}}
    with pytest.raises(InputError) as refusal:
        Checkpoints(checkpoints.folder, changed).load()
    message = str(refusal.value)
    assert "training.learning_rate = 0.1 (now 0.2)" in message
    assert f"delete the folder {checkpoints.folder}" in message
    assert "seed" not in message and "multipliers" not in message


@pytest.mark.slow
def test_a_second_writer_waits_until_the_first_has_gone(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(lock, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(lock, "REPEAT_SECONDS", 0.05)
    store = Checkpoints(tmp_path, IDENTITY)
    script = (
        "import sys, time; from gud.training.checkpoint import Checkpoints\n"
        "with Checkpoints(sys.argv[1], {}).locked(): print(flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as holder, caplog.at_level(logging.INFO):
        holder.stdout.readline()
        threading.Timer(0.5, holder.kill).start()
        with store.locked():
            assert holder.wait() != 0
            store.save(1, tensors())
    assert len(caplog.messages) > 1
    for message in caplog.messages:
        assert f"process {holder.pid} on" in message and str(tmp_path) in message


def test_a_request_to_stop_ends_the_wait(tmp_path):
    first, second = (Checkpoints(tmp_path, IDENTITY) for _ in range(2))
    stop = Stop("SIGTERM")
    waits = pytest.raises(
        Interrupted, match=f"SIGTERM while {tmp_path} .* by process {os.getpid()}"
    )
    with first.locked(), waits, second.locked(stop):
        pass
    with second.locked(stop):
        second.save(1, tensors())
    assert second.load().step == 1


def test_the_lock_of_a_deleted_folder_keeps_nobody_out_of_a_new_one(tmp_path):
    store = Checkpoints(tmp_path / "checkpoints", IDENTITY)
    with store.locked():
        shutil.rmtree(store.folder)
        with store.locked(Stop("SIGTERM")):
            store.save(1, tensors())
            with pytest.raises(Interrupted), store.locked(Stop("SIGTERM")):
                pass


def test_a_checkpoint_is_read_by_its_step(checkpoints):
    for step in (1, 2):
        checkpoints.save(step, tensors(step))
    assert same_bits(checkpoints.read(1).tensors, tensors(1))


@pytest.mark.parametrize("content", [None, b"", b"not a checkpoint"])
def test_a_checkpoint_asked_for_by_its_step_must_be_readable(checkpoints, content):
    path = checkpoints.path(3)
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=f"checkpoint {path} cannot be read here"):
        checkpoints.read(3)


def test_what_a_killed_writer_left_behind_is_removed(tmp_path):
    store = Checkpoints(tmp_path, IDENTITY)
    (tmp_path / ".step-00000003.4711.partial.safetensors").write_bytes(b"half")
    with store.locked():
        assert names(store) == []


def test_a_full_disk_leaves_the_last_good_checkpoint(checkpoints):
    checkpoints.save(1, tensors(1))
    told = pytest.raises(InputError, match="cannot be written.*step-00000001.safetensors is")
    with disk_full_after(256), told:
        checkpoints.save(2, tensors(2))
    assert names(checkpoints) == ["step-00000001.safetensors"]
    assert same_bits(checkpoints.load().tensors, tensors(1))


def test_grouped_tensors_are_ungrouped():
    groups = {"network": {"a.weight": torch.ones(2)}, "optimizer": {"a.weight.step": torch.ones(1)}}
    assert ungroup(group(**groups)) == groups


def test_adam_continues_from_its_flattened_state_to_the_last_bit(checkpoints):
    def network_and_adam():
        torch.manual_seed(0)
        network = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Tanh(), torch.nn.Linear(7, 1))
        return network, torch.optim.Adam(network.parameters(), 1e-2)

    def step(network, adam, seed):
        inputs = torch.randn(16, 5, generator=torch.Generator().manual_seed(seed))
        adam.zero_grad()
        (network(inputs) - inputs.sum(1, keepdim=True)).square().mean().backward()
        adam.step()

    network, adam = network_and_adam()
    for seed in range(3):
        step(network, adam, seed)
    state = group(network=network.state_dict(), adam=flatten_optimizer(adam, network))
    checkpoints.save(3, state)

    copy, other = network_and_adam()
    groups = ungroup(checkpoints.load().tensors)
    copy.load_state_dict(groups["network"])
    restore_optimizer(other, copy, groups["adam"])
    assert same_bits(flatten_optimizer(other, copy), flatten_optimizer(adam, network))
    for seed in range(3, 6):
        step(network, adam, seed)
        step(copy, other, seed)
    assert same_bits(copy.state_dict(), network.state_dict())
