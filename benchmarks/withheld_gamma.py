"""What the noising state is worth: a network that sees all of gamma against one that sees its mean.

    python benchmarks/withheld_gamma.py --preset config/demo.yaml --experiment ordering_scan \\
        --data results/demo/data/natural16.npz --out docs/reference/withheld_gamma.csv \\
        [--seed S]... [--steps N]

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

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor, nn

from gud.cli import (
    NamedPreset,
    experiment_option,
    input_option,
    out_option,
    preset_option,
    reported,
)
from gud.config.jobs import TrainingJob, training_job
from gud.data import datasets
from gud.data.statistics import fit
from gud.diffusion.dequantisation import dequantise
from gud.diffusion.representation import Statistics
from gud.errors import InputError
from gud.evaluate.uncertainty import standard_error
from gud.model import Model
from gud.progress import progress
from gud.provenance import atomic, write_record
from gud.randomness import Stream
from gud.training.batches import batch_indices
from gud.training.loss import denoising_loss
from gud.training.step import Training

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


def trained(run: TrainingJob, images: Tensor, statistics: Statistics, condition: str) -> Training:
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
    model = Model(training.run.model, statistics)
    model.network.load_state_dict(training.average.module.state_dict())
    model.network = network = Shown(model.network, condition)
    model.eval().requires_grad_(False)
    size = training.settings.batch_size
    ranges = training.run.model.schedule.ranges
    losses = []
    for number in range(batches):
        stream = Stream("cpu", TEST_SEED, "withheld gamma", number)
        schedule, other = (
            model.schedule(
                **{
                    name: low + (high - low) * float(stream.uniform(()))
                    for name, (low, high) in sorted(ranges.items())
                }
            )
            for _ in range(2)
        )
        indices = batch_indices(len(images), size, number, TEST_SEED)
        phi = dequantise(images[indices], stream)
        t = stream.uniform((size,))
        noise = stream.normal((size, *model.state_shape))
        network.other = other(t).gamma
        losses.append(denoising_loss(model, phi, schedule, t, noise))
    return torch.stack(losses).double()


def compared(
    run: TrainingJob, images: Tensor, test: Tensor, statistics: Statistics, batches: int
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


def settings_of(preset: NamedPreset, name: str, seed: int, steps: int | None) -> TrainingJob:
    """The run of an experiment as the workflow trains it, but for the seed and number of steps."""
    job = training_job(preset.preset, name)
    training = job.training if steps is None else job.training.model_copy(update={"steps": steps})
    return job.model_copy(update={"training": training, "seed": seed})


@click.command()
@preset_option()
@experiment_option()
@input_option("--data", "The experiment's data set, .npz.")
@click.option("--seed", "seeds", type=int, multiple=True, default=[0], help="One or several.")
@click.option("--steps", type=int, help="Of training; default: those of the preset.")
@out_option()
def main(
    preset: NamedPreset,
    experiment: str,
    data: Path,
    seeds: tuple[int, ...],
    steps: int | None,
    out: Path,
) -> None:
    """Compare a network that sees gamma with one that sees its mean over components alone."""
    started = time.time()
    runs = [settings_of(preset, experiment, seed, steps) for seed in seeds]
    images, test = (datasets.load(data, split) for split in ("train", "test"))
    batches = len(test) // runs[0].training.batch_size
    if batches < 2:
        raise InputError(
            f"test of {data} holds {len(test)} images, expected two batches of "
            f"{runs[0].training.batch_size} or more"
        )
    statistics = fit(images, runs[0].model.basis, mirrored=runs[0].training.flip)
    rows = [row for run in runs for row in compared(run, images, test, statistics, batches)]
    with atomic(out) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False)
    write_record(
        out,
        inputs=[data],
        settings=runs[0].model_dump(mode="json", exclude={"seed"}) | {"seeds": seeds},
        started=started,
        threads=torch.get_num_threads(),
    )


if __name__ == "__main__":
    sys.exit(reported(lambda: main(standalone_mode=False)))
