"""What one image costs a network: operations, memory, and seconds here or in finished results."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from gud.errors import InputError
from gud.model import Model
from gud.networks import NETWORKS
from gud.plan import Evaluation
from gud.preset import Experiment
from gud.provenance import read_record
from gud.randomness import generator
from gud.representation import Representation, Statistics, basis_from_settings
from gud.settings import Section, validate
from gud.training import RunSettings, Training

NonNegativeFloat = Annotated[float, Field(ge=0)]
BUDGET = 2.0
"""Seconds that a batch may take while it is measured; one image may take longer."""
BYTES = torch.float32.itemsize


class Rates(Section):
    """Seconds: of one image in each pass through the network, and of one step of training.

    Args:
        train: forward and backward to the weights, an image.
        step: Adam and the moving average, a step.
        forward: an image.
        backward: to the image, an image and probe.
    """

    train: NonNegativeFloat
    step: NonNegativeFloat
    forward: NonNegativeFloat
    backward: NonNegativeFloat


@dataclass(frozen=True)
class Cost:
    """Of one image, as counted and not measured.

    Args:
        weights: number of them.
        forward: floating-point operations of convolutions and matrix products.
        train: those of forward and backward to the weights.
        backward: those of backward to the image.
        activations: bytes kept for a backward pass, in float32.
    """

    weights: int
    forward: int
    train: int
    backward: int
    activations: int

    def at(self, teraflops: float) -> Rates:
        """The rates of a device that sustains so many 10^12 operations a second."""
        second = teraflops * 1e12
        return Rates(
            train=self.train / second,
            step=0.0,
            forward=self.forward / second,
            backward=self.backward / second,
        )


def count(network: torch.nn.Module, channels: int, size: int) -> Cost:
    """The cost of a network on one image, without computing anything.

    Args:
        network: takes images (batch, channels, size, size) and gamma (batch, size size).
    """
    weights = sum(parameter.numel() for parameter in network.parameters())
    forward, to_weights, activations = _passes(network, channels, size)
    network.requires_grad_(False)
    _, to_image, _ = _passes(network, channels, size, wanted=True)
    network.requires_grad_(True)
    return Cost(weights, forward, forward + to_weights, to_image, activations)


def _passes(
    network: torch.nn.Module, channels: int, size: int, wanted: bool = False
) -> tuple[int, int, int]:
    """Operations of the forward and the backward pass, and bytes kept in between."""
    weights = {t.untyped_storage()._cdata for t in (*network.parameters(), *network.buffers())}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage.nbytes()
        return tensor

    with FakeTensorMode(allow_non_fake_inputs=True):
        images = torch.zeros(1, channels, size, size).requires_grad_(wanted)
        with FlopCounterMode(display=False) as counter:
            with saved_tensors_hooks(keep, lambda tensor: tensor):
                out = network(images, torch.zeros(1, size * size))
            forward = counter.get_total_flops()
            out.backward(torch.ones_like(out))
            total = counter.get_total_flops()
    activations = sum(size for storage, size in kept.items() if storage not in weights)
    return forward, total - forward, activations


def stand_in_statistics(basis: Mapping[str, Any], size: int) -> Statistics:
    """Statistics of no data: enough to build a model and its schedules for images of a size."""
    pixels = size * size
    variance = 1 / torch.arange(1, pixels + 1, dtype=torch.float64)
    rotation = torch.eye(pixels, dtype=torch.float64) if basis["name"] == "pca" else None
    return Statistics(torch.zeros(3, size, size, dtype=torch.float64), variance, rotation)


def stand_in_representation(experiment: Experiment, size: int) -> Representation:
    settings = experiment.basis.model_dump()
    statistics = stand_in_statistics(settings, size)
    basis = basis_from_settings(settings, size, statistics.rotation)
    return Representation(basis, statistics, experiment.prior == "variance_matching")


def build_network(experiment: Experiment, size: int) -> torch.nn.Module:
    """The untrained network of an experiment."""
    settings = experiment.network.model_dump()
    labels = stand_in_representation(experiment, size).labels
    build = NETWORKS[settings.pop("name")]
    return build(image_size=size, in_channels=3, out_channels=3, labels=labels, **settings)


def measure(experiment: Experiment, size: int, device: torch.device) -> Rates:
    """Rates of an experiment's network here: few repetitions, of batches that BUDGET allows.

    On a GPU batches are those of the preset. Where no likelihood is asked for, backward is 0.
    """
    settings = experiment.model()
    statistics = stand_in_statistics(settings["basis"], size)
    training, sampling = experiment.training, experiment.quality.sampling
    values = {
        "experiment": "bill",
        "model": settings,
        "training": training.model_dump(),
        "seed": 0,
    }
    run = validate(RunSettings, values, "the preset")
    shape = (training.batch_size, 3, size, size)
    images = torch.randint(256, shape, generator=generator("cpu", 0, "bill"), dtype=torch.uint8)
    rates: dict[str, float] = {"backward": 0.0}
    try:
        trained = Training(run, images, statistics, device)

        def gradient(batch: int) -> None:
            trained.settings = training.model_copy(update={"batch_size": batch})
            trained.optimizer.zero_grad()
            trained.loss(0).backward()

        def step(_: int) -> None:
            trained.optimizer.step()
            trained.average.update_parameters(trained.network)

        rates["train"] = per_image(gradient, training.batch_size, device)
        rates["step"] = per_image(step, 1, device)
        del trained
        # Evaluation runs in float32, whatever the training's precision.
        model = Model(settings, statistics).to(device).eval().requires_grad_(False)
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
    """Stated rates of each experiment from a JSON file; `InputError` where some are missing."""
    try:
        raw = json.loads(path.read_text())
    except OSError as error:
        raise InputError(f"--rates {path} cannot be read: {error.strerror}") from None
    except json.JSONDecodeError as error:
        raise InputError(f"--rates {path} is not JSON: {error}") from None
    named = set(raw) if isinstance(raw, dict) else set()
    if named != set(experiments):
        raise InputError(
            f"--rates {path} must give the rates of {', '.join(experiments)}, "
            f"not of {', '.join(sorted(named)) or 'nothing'}"
        )
    return {name: validate(Rates, raw[name], f"--rates {path}: {name}") for name in experiments}


@dataclass(frozen=True)
class Finished:
    """What finished work took.

    Args:
        seconds: of an image.
        evaluations: of the network, an image.
        source: which work that was.
    """

    seconds: float
    evaluations: float
    source: str


def finished_training(folder: Path, experiment: Experiment) -> Finished | None:
    """What the finished training in the folder of an experiment took, if it was of this one."""
    table = folder / "training.csv"
    try:
        settings, device = (read_record(table)[key] for key in ("settings", "device"))
        with open(table) as file:
            *_, last = csv.DictReader(file)
        step, seconds = int(last["step"]), float(last["seconds"])
    except (OSError, ValueError, KeyError):
        return None
    batch = experiment.training.batch_size
    if settings["model"] != experiment.model() or settings["training"]["batch_size"] != batch:
        return None
    return Finished(seconds / (step * batch), 1.0, f"results ({step} steps on {device})")


def finished_shards(folder: Path, evaluation: Evaluation) -> Finished | None:
    """What the shards of finished jobs took that evaluate the model in the folder as asked."""
    images, seconds, evaluations, devices = 0, 0.0, 0.0, set()
    for receipt in sorted((folder / evaluation.name / "jobs").glob("*.json")):
        if not receipt.stem.isdigit():
            continue
        try:
            record = read_record(receipt)
            same = all(record["settings"].get(k) == v for k, v in evaluation.common.items())
            model = read_record(folder / "model.safetensors")["sha256"]
            if not same or model not in record["inputs"].values():
                continue
            for name in json.loads(receipt.read_text()):
                with np.load(receipt.parent.parent / name, allow_pickle=False) as arrays:
                    made, each = json.loads(str(arrays["made"])), int(arrays["evaluations"][0])
                    held = len(arrays["bits_per_dim" if "bits_per_dim" in arrays else "images"])
                images, seconds = images + held, seconds + made["seconds"]
                evaluations += each * held
                devices.add(made["device"])
        except (OSError, ValueError, KeyError):
            continue
    if not images:
        return None
    source = f"results ({images} images on {' and '.join(sorted(devices))})"
    return Finished(seconds / images, evaluations / images, source)
