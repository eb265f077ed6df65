import numpy as np
import pytest
import torch
from training_runs import run_settings

from gud.config.jobs import TrainingJob
from gud.config.sections.validation import validate
from gud.data import statistics
from gud.training.step import Training


@pytest.fixture
def training(files) -> Training:
    images = torch.from_numpy(np.load(files[0])["train"])
    settings = validate(TrainingJob, run_settings(precision="float32"), "test")
    return Training(settings, images, statistics.load(files[1]), torch.device("cpu"))


def test_the_average_follows_the_weights_by_its_definition(training):
    expected = None
    for step in range(5):
        training.update(step)
        now = torch.nn.utils.parameters_to_vector(training.network.parameters()).detach().clone()
        expected = now if expected is None else 0.9 * expected + 0.1 * now
    model = training.averaged_model()
    result = torch.nn.utils.parameters_to_vector(model.network.parameters())
    torch.testing.assert_close(result, expected)


@pytest.mark.parametrize("clip", [1e-3, None])
def test_what_is_logged_is_the_norm_before_clipping_and_the_rate_of_the_last_step(
    files, training, clip
):
    arguments = (training.images, statistics.load(files[1]), torch.device("cpu"))
    changes = {"gradient_clip": clip, "log_every": 1, "precision": "float32"}
    logged = Training(validate(TrainingJob, run_settings(**changes), "test"), *arguments)
    training.gradient(0)
    squares = [(weight.grad**2).sum() for weight in training.network.parameters()]
    logged.update(0)
    logged.history.close_row(1)
    *_, rate, norm = logged.history.rows[0].tolist()
    assert norm == pytest.approx(float(sum(squares)) ** 0.5, rel=1e-5) and norm > 1e-3
    assert rate == pytest.approx(5e-4)


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
    settings = validate(TrainingJob, run_settings(precision="bfloat16"), "test")
    arguments = (training.images, statistics.load(files[1]), torch.device("cpu"))
    reduced = Training(settings, *arguments)
    assert reduced.gradient(0).item() == pytest.approx(training.gradient(0).item(), rel=0.02)
    rounded, exact = (
        torch.cat([weight.grad.flatten() for weight in one.network.parameters()])
        for one in (reduced, training)
    )
    assert 0 < (rounded - exact).norm() < 0.1 * exact.norm()
    reduced.update(0)
    assert {tensor.dtype for tensor in reduced.network.state_dict().values()} == {torch.float32}


def test_steps_whose_hashes_end_in_the_same_32_bits_drop_out_differently(training):
    states = []
    for step in (27258, 51077):
        training.gradient(step)
        states.append(torch.initial_seed() % 2**32)
    assert states[0] != states[1], "a CPU's generator sees no other bits"
