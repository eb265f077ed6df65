"""A batch taken in micro-batches gives what the whole batch gives."""

import numpy as np
import pytest
import torch
from test_distributed import FEW, assert_same_model
from training_runs import run, run_settings, weights

from gud.config.jobs import TrainingJob
from gud.config.sections.validation import validate
from gud.data import statistics
from gud.errors import InputError
from gud.training.distributed import Processes
from gud.training.step import Training

BATCH = 16


def training(files, processes=Processes(), **changes) -> Training:  # noqa: B008
    settings = validate(TrainingJob, run_settings(precision="float32", **changes), "test")
    images = torch.from_numpy(np.load(files[0])["train"])
    device = torch.device("cpu")
    return Training(settings, images, statistics.load(files[1]), device, processes)


def gradients(training: Training) -> dict[str, torch.Tensor]:
    return {name: weight.grad for name, weight in training.network.named_parameters()}


@pytest.mark.parametrize("micro_batch", [1, 2, 8, 16, 50])
def test_micro_batches_give_the_gradient_of_the_batch_dropout_included(files, micro_batch):
    whole, split = training(files), training(files, micro_batch=micro_batch)
    seen = []
    split.network.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    for step in (0, 7):
        loss = whole.gradient(step)
        assert split.gradient(step).item() == pytest.approx(loss.item(), rel=1e-6)
        largest = max(gradient.abs().max() for gradient in gradients(whole).values())
        assert largest > 0.01
        for name, gradient in gradients(split).items():
            expected = gradients(whole)[name]
            torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-6 * float(largest))
    assert set(seen) == {min(micro_batch, BATCH)}
    again = training(files, micro_batch=micro_batch)
    again.gradient(7)
    assert all(torch.equal(gradients(split)[n], g) for n, g in gradients(again).items())


def test_the_shares_of_processes_and_their_micro_batches_make_the_batch(files):
    whole = training(files)
    whole.gradient(0)
    parts = [training(files, Processes(rank, 2), micro_batch=2) for rank in (0, 1)]
    for part in parts:
        part.gradient(0)
    for name, gradient in gradients(whole).items():
        mean = sum(gradients(part)[name] for part in parts) / 2
        torch.testing.assert_close(mean, gradient, rtol=1e-4, atol=1e-7)


@pytest.mark.slow
def test_the_micro_batch_may_change_when_a_run_goes_on(files, tmp_path):
    few = FEW | {"micro_batch": 4}
    assert run(files, tmp_path / "one", **few) == 0
    assert run(files, tmp_path / "two", **few | {"steps": 6}) == 0
    assert run(files, tmp_path / "two", **FEW) == 0
    assert_same_model(tmp_path / "one", tmp_path / "two")
    assert run(files, tmp_path / "again", **few) == 0
    assert weights(tmp_path / "again") == weights(tmp_path / "one")


def test_a_micro_batch_that_does_not_divide_the_batch_is_refused(files):
    with pytest.raises(InputError, match="training.micro_batch = 5 does not divide the 16 images"):
        training(files, micro_batch=5)
    with pytest.raises(InputError, match="training.micro_batch = 5 does not divide the 8 images"):
        training(files, Processes(1, 2), micro_batch=5)
