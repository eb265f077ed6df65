"""Seconds that a network needs for an image: measured here, or stated."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from gud.config.jobs import TrainingJob
from gud.config.sections.experiments import Experiment
from gud.config.sections.validation import validate
from gud.errors import InputError
from gud.model import Model
from gud.planning.costs import Rates, stand_in_statistics
from gud.randomness import Stream
from gud.training.step import Training

BUDGET = 2.0
"""Seconds that a batch may take while it is measured; one image may take longer."""


def measure(experiment: Experiment, size: int, device: torch.device) -> Rates:
    """Rates of an experiment's network here: few repetitions, of batches that BUDGET allows.

    On a GPU batches are those of the preset. Where no likelihood is asked for, backward is 0.
    """
    statistics = stand_in_statistics(experiment.basis, size)
    training, sampling = experiment.training, experiment.quality.sampling
    # A micro-batch costs an image what a batch does, and fits where that does not.
    together = training.micro_batch or training.batch_size
    training = training.model_copy(update={"batch_size": together, "micro_batch": None})
    run = TrainingJob(experiment="bill", model=experiment.model(), training=training, seed=0)
    shape = (together, 3, size, size)
    images = Stream("cpu", 0, "bill").integers(256, shape).to(torch.uint8)
    rates: dict[str, float] = {"backward": 0.0}
    try:
        rates |= training_rates(Training(run, images, statistics, device), device)
        # Evaluation runs in float32, whatever the training's precision.
        model = Model(experiment.model(), statistics).to(device).eval().requires_grad_(False)
        ranges = experiment.schedule.ranges.items()
        middle = model.schedule(**{key: (low + high) / 2 for key, (low, high) in ranges})

        def forward(batch: int, backward: bool = False) -> None:
            state = middle(torch.full((batch,), 0.5, dtype=torch.float64, device=device))
            z = torch.zeros(batch, *model.state_shape, device=device, requires_grad=backward)
            with torch.set_grad_enabled(backward):
                eps = model.eps(z, state)
            if backward:
                torch.autograd.grad(eps, z, torch.ones_like(eps))

        rates["forward"] = per_image(forward, sampling.batch_size, device)
        if experiment.nll.grids:
            likelihood = experiment.nll.settings.batch_size
            both = per_image(lambda batch: forward(batch, True), likelihood, device)
            rates["backward"] = max(both - rates["forward"], 0.0)
    except torch.OutOfMemoryError:
        raise InputError(
            f"a batch of {experiment.title} in the preset does not fit into the memory of {device}"
        ) from None
    return Rates(**rates)


def training_rates(trained: Training, device: torch.device) -> dict[str, float]:
    """Seconds of `Rates.train` and of `Rates.step`."""
    settings = trained.settings

    def gradient(batch: int) -> None:
        trained.settings = settings.model_copy(update={"batch_size": batch})
        trained.gradient(0)

    def step(_: int) -> None:
        trained.optimizer.step()
        trained.update_average()

    return {
        "train": per_image(gradient, settings.batch_size, device),
        "step": per_image(step, 1, device),
    }


def per_image(work: Callable[[int], None], largest: int, device: torch.device) -> float:
    """Seconds an image of work on a batch, warmed up unless one image exceeds the budget."""

    def clock(batch: int) -> float:
        began = time.perf_counter()
        work(batch)
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - began

    single = clock(1)
    if single > BUDGET:
        return single
    single = clock(1)
    batch = largest if device.type == "cuda" else max(1, min(largest, int(BUDGET / 2 / single)))
    if batch == 1:
        return min(single, clock(1))
    return min(clock(batch), clock(batch)) / batch


def read_rates(path: Path, experiments: Mapping[str, Experiment]) -> dict[str, Rates]:
    """Stated rates of each experiment from a JSON file; `InputError` where some are missing.

    The networks of an experiment's training seeds share what the file states of it.
    """
    try:
        raw = json.loads(path.read_text())
    except OSError as error:
        raise InputError(f"--rates {path} cannot be read: {error.strerror}") from None
    except json.JSONDecodeError as error:
        raise InputError(f"--rates {path} is not JSON: {error}") from None
    named = set(raw) if isinstance(raw, dict) else set()
    groups = list(dict.fromkeys(experiment.group for experiment in experiments.values()))
    if named != set(groups):
        raise InputError(
            f"--rates {path} must give the rates of {', '.join(groups)}, "
            f"not of {', '.join(sorted(named)) or 'nothing'}"
        )
    rates = {name: validate(Rates, raw[name], f"--rates {path}: {name}") for name in groups}
    return {name: rates[experiment.group] for name, experiment in experiments.items()}
