"""What the noising state is worth: a network that sees all of gamma against one that sees its mean.

    python benchmarks/withheld_gamma.py --preset config/demo.yaml --experiment ordering_scan \\
        --data results/demo/data/natural16.npz --out docs/reference/withheld_gamma.csv \\
        [--seeds S...] [--steps N]

Trains the network of an experiment twice from each seed, hence on the same images, times, schedules
and noise: as it is, and with gamma withheld, each component's replaced by the mean over components,
so that how much noise there is stays known but not where. Both are then judged by the denoising
loss (equation 11) on the same test images, times, schedules and noise, which are the same for all
seeds, and each also under what the other was trained on and under gamma exchanged for that of
another schedule of the family, shifted to the right mean.

Writes one row for each seed, training and test condition: the loss, and the loss less that of the
network trained and tested with gamma, both with the standard error over batches; each batch has its
own schedule. Patches of one photograph are alike: the errors hold for these photographs alone.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor, nn

from gud import data
from gud.errors import InputError, command_line
from gud.losses import denoising_loss
from gud.model import Model
from gud.points import standard_error
from gud.preset import load_preset
from gud.progress import progress
from gud.provenance import atomic, write_record
from gud.randomness import generator
from gud.representation import Statistics, fit
from gud.settings import validate
from gud.training import RunSettings, Training

Gamma = Float[Tensor, "batch components"]


def mean(gamma: Gamma) -> Gamma:
    """The mean over components, for every component."""
    return gamma.mean(1, keepdim=True).expand_as(gamma)


CONDITIONS: dict[str, Callable[[Gamma, Gamma], Gamma]] = {
    "gamma": lambda gamma, other: gamma,
    "mean": lambda gamma, other: mean(gamma),
    "exchanged": lambda gamma, other: other + mean(gamma) - mean(other),
}
"""What a network is shown of its gamma and of that of another schedule."""
TEST_SEED = 0


class Shown(nn.Module):
    """A network that is shown what a condition makes of gamma.

    Attributes:
        other: gamma of another schedule; gamma itself if None.
    """

    def __init__(self, network: nn.Module, condition: str):
        super().__init__()
        self.network, self.condition = network, CONDITIONS[condition]
        self.other: Gamma | None = None

    def forward(self, images: Tensor, gamma: Gamma) -> Tensor:
        other = gamma if self.other is None else self.other.to(gamma)
        return self.network(images, self.condition(gamma, other))


def trained(run: RunSettings, images: Tensor, statistics: Statistics, condition: str) -> Training:
    """A finished training whose network was shown gamma under a condition."""
    training = Training(run, images, statistics, torch.device("cpu"))
    training.model.network = Shown(training.network, condition)
    for step in progress(range(run.training.steps), unit="step", label=f"trained with {condition}"):
        training.update(step)
    training.check_losses(run.training.steps)
    return training


def judged(
    training: Training, images: Tensor, statistics: Statistics, condition: str, batches: int
) -> Float[Tensor, " batches"]:
    """The loss of the averaged weights on each batch of test images, in single precision."""
    model = Model(training.run.model.model_dump(mode="json"), statistics)
    model.network.load_state_dict(training.average.module.state_dict())
    model.network = network = Shown(model.network, condition)
    model.eval().requires_grad_(False)
    size = training.settings.batch_size
    ranges = training.run.model.schedule.ranges
    losses = []
    for number in range(batches):
        stream = generator("cpu", TEST_SEED, "withheld gamma", number)
        schedule, other = (
            model.schedule(
                **{
                    name: low + (high - low) * torch.rand((), generator=stream).item()
                    for name, (low, high) in sorted(ranges.items())
                }
            )
            for _ in range(2)
        )
        indices = data.batch_indices(len(images), size, number, TEST_SEED)
        phi = data.dequantise(images[indices], stream)
        t = torch.rand(size, generator=stream, dtype=torch.float64)
        noise = torch.randn(size, *model.state_shape, generator=stream)
        network.other = other(t).gamma
        losses.append(denoising_loss(model, phi, schedule, t, noise))
    return torch.stack(losses).double()


def compared(
    run: RunSettings, images: Tensor, test: Tensor, statistics: Statistics, batches: int
) -> list[dict[str, Any]]:
    """The rows of one seed."""
    losses = {}
    for shown in ("gamma", "mean"):
        training = trained(run, images, statistics, shown)
        for condition in CONDITIONS:
            loss = judged(training, test, statistics, condition, batches)
            losses[shown, condition] = loss.numpy()
    return [
        {
            "experiment": run.experiment,
            "seed": run.seed,
            "trained_with": shown,
            "tested_with": condition,
            "loss": loss.mean(),
            "loss_stderr": standard_error(loss),
            "loss_minus_gamma": (loss - losses["gamma", "gamma"]).mean(),
            "loss_minus_gamma_stderr": standard_error(loss - losses["gamma", "gamma"]),
            "steps": run.training.steps,
            "images": batches * run.training.batch_size,
            "batches": batches,
        }
        for (shown, condition), loss in losses.items()
    ]


def settings_of(preset: Path, name: str, seed: int, steps: int | None) -> RunSettings:
    """The run of an experiment as the workflow trains it, but for the seed and number of steps."""
    loaded = load_preset(preset)
    if name not in loaded.experiments:
        raise InputError(f"--experiment {name} must be one of {', '.join(loaded.experiments)}")
    experiment = loaded.experiments[name]
    raw: dict[str, Any] = {
        "experiment": name,
        "model": experiment.model(),
        "training": experiment.training.model_dump(),
        "seed": seed,
    }
    raw["training"] |= {} if steps is None else {"steps": steps}
    return validate(RunSettings, raw, str(preset))


@command_line
def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--preset", type=Path, required=True)
    parser.add_argument("--experiment", required=True)
    parser.add_argument("--data", type=Path, required=True, help="the experiment's data set, npz")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, help="of training; default: those of the preset")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args(argv)
    started = time.time()
    runs = [
        settings_of(arguments.preset, arguments.experiment, seed, arguments.steps)
        for seed in arguments.seeds
    ]
    images, test = (data.load(arguments.data, split) for split in ("train", "test"))
    batches = len(test) // runs[0].training.batch_size
    if batches < 2:
        raise InputError(
            f"test of {arguments.data} holds {len(test)} images, expected two batches of "
            f"{runs[0].training.batch_size} or more"
        )
    statistics = fit(images, runs[0].model.basis.model_dump())
    rows = [row for run in runs for row in compared(run, images, test, statistics, batches)]
    with atomic(arguments.out) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False)
    write_record(
        arguments.out,
        inputs=[arguments.data],
        settings=runs[0].model_dump(mode="json", exclude={"seed"}) | {"seeds": arguments.seeds},
        started=started,
        threads=torch.get_num_threads(),
    )


if __name__ == "__main__":
    sys.exit(main())
