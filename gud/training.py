"""The network of one experiment in training: what each step does, and what it depends on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, UInt8
from safetensors import SafetensorError
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from gud import data
from gud.checkpoint import Tensors, flatten_optimizer, group, restore_optimizer, ungroup
from gud.devices import resolve_precision
from gud.distributed import Processes
from gud.errors import InputError
from gud.history import History
from gud.layers import Dropout
from gud.losses import denoising_loss
from gud.model import Model
from gud.provenance import sha256
from gud.randomness import derive, generator
from gud.representation import Statistics
from gud.settings import ModelSettings, Name, Section, TrainingSettings

ALONE = Processes()
MAY_CHANGE = {"steps", "checkpoint_every", "log_every"}
"""Training settings that a run may change when it goes on: they determine no step."""


class RunSettings(Section):
    experiment: Name
    model: ModelSettings
    training: TrainingSettings
    seed: int


def run_identity(run: RunSettings, data_path: Path, statistics: Path) -> dict[str, Any]:
    """What determines the state after any number of steps."""
    settings = run.model_dump(mode="json", exclude={"experiment": True, "training": MAY_CHANGE})
    return settings | {"data": sha256(data_path), "statistics": sha256(statistics)}


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


class Training:
    """A network in training: its weights, their average, Adam's moments and the history.

    Args:
        run: the settings.
        images: the training set, shape (count, channels, height, width).
        statistics: of the training set.
        device: where the network is trained.
        processes: that train it together, each on its share of every batch.

    Raises:
        InputError: if batches cannot be shared evenly.
    """

    def __init__(
        self,
        run: RunSettings,
        images: UInt8[Tensor, "count channels height width"],
        statistics: Statistics,
        device: torch.device,
        processes: Processes = ALONE,
    ):
        self.run, self.settings = run, run.training
        self.images, self.device, self.processes = images, device, processes
        if self.settings.batch_size % processes.size:
            raise InputError(
                f"training.batch_size = {self.settings.batch_size} cannot be shared evenly by the "
                f"{processes.size} processes of this run; expected a multiple of their number"
            )
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
        for module in self.network.modules():
            if isinstance(module, Dropout):
                module.rank, module.shares = processes.rank, processes.size
        self.model.network = processes.parallel(self.network, device)

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
        """The loss (equation 11) of one step's batch, at times and noise drawn for that step.

        Each process makes all draws of the batch and takes the loss of its share.
        """
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
        share = self.processes.share
        return denoising_loss(self.model, share(images), schedule, share(t), share(noise))

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
        self.history.losses.append(self.processes.mean(loss.detach()))

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
        self.model.network = self.network
        return self.model
