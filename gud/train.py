r"""Train the score network of one experiment (App. B).

python -m gud.train --settings JSON --data DATA.npz --statistics STATS.safetensors \
    --out DIR/model.safetensors [--device cpu|cuda]

Beside the model lie `training.csv` (one row per `log_every` steps) and `checkpoints/`. Everything
that is random in step n is a function of the seed and n alone, so that a run that was interrupted,
even by SIGKILL, and started again by the same command ends with the same weights to the last bit.
This holds on one kind of machine and with one number of threads (OMP_NUM_THREADS), which the record
states: other kernels add in another order. On a GPU the draws are the same, the sums need not be.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, UInt8
from safetensors import SafetensorError
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from gud import data
from gud.checkpoint import (
    Checkpoints,
    Tensors,
    flatten_optimizer,
    group,
    restore_optimizer,
    ungroup,
)
from gud.devices import resolve_device, resolve_precision
from gud.errors import InputError, Interrupted, command_line
from gud.history import History
from gud.losses import denoising_loss
from gud.model import Model
from gud.progress import Stop, progress, stop_signals
from gud.provenance import sha256, write_record
from gud.randomness import derive, generator
from gud.representation import Statistics
from gud.settings import ModelSettings, Name, Section, TrainingSettings, validate

MAY_CHANGE = {"steps", "checkpoint_every", "log_every"}
"""Training settings that a run may change when it goes on: they determine no step."""

log = logging.getLogger(__name__)


class RunSettings(Section):
    experiment: Name
    model: ModelSettings
    training: TrainingSettings
    seed: int


class Training:
    """A network in training: its weights, their average, Adam's moments and the history.

    Args:
        run: the settings.
        images: the training set, shape (count, channels, height, width).
        statistics: of the training set.
        device: where the network is trained.
    """

    def __init__(
        self,
        run: RunSettings,
        images: UInt8[Tensor, "count channels height width"],
        statistics: Statistics,
        device: torch.device,
    ):
        self.run, self.settings = run, run.training
        self.images, self.device = images, device
        self.precision = resolve_precision(self.settings.precision, device)
        self.history = History(self.settings.batch_size)
        torch.manual_seed(derive(run.seed, "initialisation"))
        self.model = Model(run.model.model_dump(mode="json"), statistics).to(device).train()
        self.network = self.model.network
        ema = get_ema_multi_avg_fn(self.settings.ema)
        self.average = AveragedModel(self.network, multi_avg_fn=ema)
        self.optimizer = torch.optim.Adam(self.network.parameters(), self.settings.learning_rate)
        if self.precision == "bfloat16":
            # The network alone: processes and bases keep their precision.
            autocast = torch.autocast(device.type, torch.bfloat16)
            self.network.forward = autocast(self.network.forward)  # type: ignore[method-assign]

    def learning_rate(self, step: int) -> float:
        warmup = self.settings.warmup_steps
        return self.settings.learning_rate * (min(1, (step + 1) / warmup) if warmup else 1)

    def schedule_parameters(self, step: int) -> dict[str, float]:
        """The inverse softness a and ordering parameter r of a step, uniform in their ranges."""
        ranges = self.run.model.schedule.ranges
        stream = generator("cpu", self.run.seed, "schedule", step)
        draws = torch.rand(len(ranges), generator=stream, dtype=torch.float64).tolist()
        pairs = zip(sorted(ranges.items()), draws, strict=True)
        return {key: low + u * (high - low) for (key, (low, high)), u in pairs}

    def loss(self, step: int) -> Float[Tensor, ""]:
        """The loss (equation 11) of one step's batch, at times and noise drawn for that step."""
        seed, size = self.run.seed, self.settings.batch_size
        stream = generator(self.device, seed, "train", step)
        draws: dict[str, Any] = {"generator": stream, "device": self.device}
        indices = data.batch_indices(len(self.images), size, step, seed)
        batch = self.images[indices].to(self.device)
        if self.settings.flip:
            flipped = torch.rand(len(batch), 1, 1, 1, **draws) < 0.5
            batch = torch.where(flipped, batch.flip(-1), batch)
        images = data.dequantise(batch, stream)
        t = torch.rand(len(batch), dtype=torch.float64, **draws)
        noise = torch.randn(len(batch), *self.model.state_shape, **draws)
        schedule = self.model.schedule(**self.schedule_parameters(step))
        torch.manual_seed(derive(seed, "dropout", step))
        return denoising_loss(self.model, images, schedule, t, noise)

    def update(self, step: int) -> None:
        """One step of Adam and of the moving average."""
        loss = self.loss(step)
        self.optimizer.zero_grad()
        loss.backward()
        if self.settings.gradient_clip is not None:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.gradient_clip)
        for parameters in self.optimizer.param_groups:
            parameters["lr"] = self.learning_rate(step)
        self.optimizer.step()
        self.average.update_parameters(self.network)
        self.history.losses.append(loss.detach())

    def check_losses(self, step: int) -> None:
        """Refuse losses since the last row, which ends at `step`, that are not finite."""
        losses = self.history.losses
        finite = torch.stack(losses).isfinite().tolist() if losses else []
        if not all(finite):
            self._diverged("the loss", step - len(losses) + finite.index(False))

    def check_state(self, step: int) -> None:
        """Refuse weights and moments after `step` steps that are not finite."""
        for name, tensor in self.tensors().items():
            if not tensor.isfinite().all():
                self._diverged(name, step - 1)

    def _diverged(self, what: str, step: int) -> None:
        parameters = self.schedule_parameters(step)
        at = ", ".join(f"{key} = {value:.4g}" for key, value in parameters.items())
        raise InputError(
            f"{self.run.experiment}: {what} is not finite at step {step + 1} (learning rate "
            f"{self.learning_rate(step):g}, {at}); the last checkpoint is kept; lower "
            f"training.learning_rate or set training.gradient_clip"
        )

    def tensors(self) -> Tensors:
        """Everything that the steps to come depend on."""
        return group(
            network=self.network.state_dict(),
            average=self.average.state_dict(),
            optimizer=flatten_optimizer(self.optimizer, self.network),
            history=self.history.tensors(),
        )

    def restore(self, tensors: Tensors) -> None:
        groups = ungroup(tensors)
        self.network.load_state_dict(groups["network"])
        self.average.load_state_dict(groups["average"])
        restore_optimizer(self.optimizer, self.network, groups["optimizer"])
        self.history.restore(groups["history"], self.device)

    def averaged_model(self) -> Model:
        """The model with the averaged weights; ends the training."""
        self.network.load_state_dict(self.average.module.state_dict())
        return self.model


def load_statistics(path: Path, images: Tensor) -> Statistics:
    """The statistics of a training set; `InputError` if they are not of images of its shape."""
    try:
        statistics = Statistics.load(path)
    except FileNotFoundError:
        raise InputError(f"statistics {path} do not exist") from None
    except (SafetensorError, TypeError) as error:
        raise InputError(f"{path} is no file of statistics: {error}") from None
    if statistics.mean.shape != images.shape[1:]:
        raise InputError(
            f"statistics {path} are of images of shape {tuple(statistics.mean.shape)}, "
            f"the data has {tuple(images.shape[1:])}"
        )
    return statistics


def run_identity(run: RunSettings, data_path: Path, statistics: Path) -> dict[str, Any]:
    """What determines the state after any number of steps."""
    settings = run.model_dump(mode="json", exclude={"experiment": True, "training": MAY_CHANGE})
    return settings | {"data": sha256(data_path), "statistics": sha256(statistics)}


def train(training: Training, checkpoints: Checkpoints, table: Path, stop: Stop) -> None:
    """Do the steps that are still to do, writing checkpoints and the table.

    Raises:
        Interrupted: on a signal to stop, with a checkpoint of the last step.
        InputError: if the loss is not finite, if checkpoints are another run's or past the end.
    """
    run, settings, history = training.run, training.settings, training.history
    start = 0
    if checkpoint := checkpoints.load():
        start = checkpoint.step
        training.restore(checkpoint.tensors)
        log.info("%s: goes on after step %d", run.experiment, start)
    if start > settings.steps:
        raise InputError(
            f"training.steps = {settings.steps} lies before the checkpoint of step {start}; "
            f"delete the folder {checkpoints.folder} to start afresh"
        )
    bar = progress(
        range(start, settings.steps), unit="step", label=run.experiment, total=settings.steps
    )
    clock = time.monotonic() - history.seconds
    for step in bar:
        training.update(step)
        done = step + 1
        last = done == settings.steps
        signal = stop.signal
        save = last or signal is not None or done % settings.checkpoint_every == 0
        if save or done % settings.log_every == 0:
            training.check_losses(done)
            history.seconds = time.monotonic() - clock
        if done % settings.log_every == 0:
            history.close_row(done)
            history.write(table, done)
            bar.set_postfix_str(f"loss {history.rows[-1, 1]:.4f}", refresh=False)
        if save:
            training.check_state(done)
            checkpoints.save(done, training.tensors())
        if signal is not None and not last:
            raise Interrupted(
                f"{run.experiment}: {signal} after step {done} of {settings.steps}; "
                f"checkpoint written, the same command goes on from there"
            )
    history.write(table, settings.steps)


@command_line
def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--settings", type=json.loads, required=True, help="experiment, model, training, seed"
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--statistics", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="the model, .safetensors")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: a GPU if there is one")
    arguments = parser.parse_args(argv)
    started = time.time()
    run = validate(RunSettings, arguments.settings, "--settings")
    device = resolve_device(arguments.device)
    images = data.load(arguments.data, "train")
    statistics = load_statistics(arguments.statistics, images)
    table = arguments.out.with_name("training.csv")
    identity = run_identity(run, arguments.data, arguments.statistics)
    checkpoints = Checkpoints(arguments.out.parent / "checkpoints", identity)
    with stop_signals() as stop, checkpoints.locked():
        training = Training(run, images, statistics, device)
        resolved = {"precision": training.precision, "threads": torch.get_num_threads()}
        log.info(
            "%s: %d images, %d weights, %s on %s, %d threads",
            run.experiment,
            len(images),
            sum(weight.numel() for weight in training.network.parameters()),
            training.precision,
            device,
            resolved["threads"],
        )
        train(training, checkpoints, table, stop)
        training.averaged_model().save(arguments.out)
        for artefact in (table, arguments.out):
            write_record(
                artefact,
                inputs=[arguments.data, arguments.statistics],
                settings=run.model_dump(mode="json"),
                seed=run.seed,
                started=started,
                device=torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
                training_seconds=round(training.history.seconds, 3),
                **resolved,
            )


if __name__ == "__main__":
    sys.exit(main())
