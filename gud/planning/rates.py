"""Seconds that a network needs for an image: measured here, or those of stated operations."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.utils.benchmark import Timer

from gud.config.jobs import TrainingJob
from gud.config.sections.experiments import Experiment
from gud.errors import InputError
from gud.model import Model
from gud.networks.cost import Cost
from gud.planning.costs import stand_in_statistics
from gud.randomness import Stream
from gud.training.step import Training

BUDGET = 1.0
"""Seconds that a batch may take on a CPU while it is measured; one image may take longer."""


@dataclass(frozen=True)
class Rates:
    """Seconds: of one image in each pass through the network, and of one step of training.

    Args:
        train: forward and backward to the weights, an image.
        step: Adam and the moving average, a step.
        forward: an image.
        backward: to the image, an image and probe; 0 where no likelihood is asked for.
    """

    train: float
    step: float
    forward: float
    backward: float


def stated(cost: Cost, teraflops: float) -> Rates:
    """The rates of a device that sustains so many 10^12 operations a second."""
    second = teraflops * 1e12
    return Rates(cost.train / second, 0.0, cost.forward / second, cost.backward / second)


def measure(experiment: Experiment, size: int, device: torch.device) -> Rates:
    """Rates of an experiment's network here; on a GPU, of the batches of the preset.

    Args:
        size: height and width of the images.

    Raises:
        InputError: if a batch does not fit into the memory of the device.
    """
    try:
        return _measured(experiment, size, device)
    except torch.OutOfMemoryError:
        raise InputError(
            f"a batch of {experiment.title} in the preset does not fit into the memory of {device}"
        ) from None


def _measured(experiment: Experiment, size: int, device: torch.device) -> Rates:
    statistics = stand_in_statistics(experiment.basis, size)
    # A micro-batch costs an image what a batch does, and fits where that does not.
    together = experiment.training.micro_batch or experiment.training.batch_size
    held = {"batch_size": together, "micro_batch": None}
    settings = experiment.training.model_copy(update=held)
    run = TrainingJob(experiment="bill", model=experiment.model(), training=settings, seed=0)
    images = Stream("cpu", 0, "bill").integers(256, (together, 3, size, size)).to(torch.uint8)
    training = Training(run, images, statistics, device)
    # Evaluation runs in float32, whatever the training's precision.
    model = Model(experiment.model(), statistics).to(device).eval().requires_grad_(False)
    ranges = experiment.schedule.ranges.items()
    middle = model.schedule(**{key: (low + high) / 2 for key, (low, high) in ranges})

    def gradient(batch: int) -> None:
        training.settings = settings.model_copy(update={"batch_size": batch})
        training.gradient(0)

    def update(_: int) -> None:
        training.optimizer.step()
        training.update_average()

    def forward(batch: int, backward: bool = False) -> None:
        state = middle(torch.full((batch,), 0.5, dtype=torch.float64, device=device))
        z = torch.zeros(batch, *model.state_shape, device=device, requires_grad=backward)
        with torch.set_grad_enabled(backward):
            eps = model.eps(z, state)
        if backward:
            torch.autograd.grad(eps, z, torch.ones_like(eps))

    train, step = per_image(gradient, together, device), per_image(update, 1, device)
    once = per_image(forward, experiment.quality.sampling.batch_size, device)
    likelihood = experiment.nll.settings.batch_size
    asked = bool(experiment.nll.grids)
    both = per_image(lambda n: forward(n, True), likelihood, device) if asked else once
    return Rates(train, step, once, max(both - once, 0.0))


def per_image(work: Callable[[int], None], largest: int, device: torch.device) -> float:
    """Seconds an image of work on a batch, on a CPU on as large a one as BUDGET allows."""
    batch = largest
    if device.type == "cpu":
        for _ in range(2):
            began = time.perf_counter()
            work(1)
            if (single := time.perf_counter() - began) > BUDGET:
                return single
        batch = max(1, min(largest, int(BUDGET / single)))
    timer = Timer(
        "work(batch)",
        globals={"work": work, "batch": batch},
        num_threads=torch.get_num_threads(),
    )
    return timer.blocked_autorange().median / batch
