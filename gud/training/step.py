"""The network of one experiment in training: what each step does, and what it depends on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from gud.config.jobs import TrainingJob
from gud.data import statistics
from gud.devices import InBfloat16, float32_precision, resolve_precision, send
from gud.diffusion.dequantisation import dequantise
from gud.diffusion.processes import Draws
from gud.diffusion.representation import Statistics
from gud.diffusion.schedules import Schedule
from gud.errors import InputError
from gud.model import Model
from gud.networks.layers import Dropout
from gud.provenance import read_record, record_path, sha256
from gud.randomness import Stream, derive
from gud.state_network import N
from gud.training.batches import batch_indices
from gud.training.checkpoint import Tensors, flatten_optimizer, group, restore_optimizer, ungroup
from gud.training.curve import History
from gud.training.distributed import Processes
from gud.training.loss import denoising_loss

ALONE = Processes()
MAY_CHANGE = {"steps", "micro_batch", "checkpoint_every", "log_every"}
"""Training settings that a run may change when it resumes: no step depends on them, but for the
order of its sums."""


def run_identity(
    run: TrainingJob, data_path: Path, statistics: Path, device: torch.device
) -> dict[str, Any]:
    """What determines the state after any number of steps: also the kind of device, which has its
    own masks of dropout, and the precision that `training.precision` comes to there."""
    training = MAY_CHANGE | {"precision"}
    settings = run.model_dump(mode="json", exclude={"experiment": True, "training": training})
    return settings | {
        "data": sha256(data_path),
        "statistics": sha256(statistics),
        "device": device.type,
        "precision": resolve_precision(run.training.precision, device),
    }


def warmed_up(highest: float, warmup: int, step: int) -> float:
    """The learning rate of a step: it rises in proportion to the steps, `warmup` of them."""
    return highest * (min(1, (step + 1) / warmup) if warmup else 1)


def load_statistics(path: Path, images: Tensor, run: TrainingJob) -> Statistics:
    """The statistics of a training set.

    Raises:
        InputError: they are of another basis, of images of another shape or, as their record says,
            of mirror images where the training sees none, or the other way round.
    """
    found = statistics.load(path, run.model.basis)
    if found.mean.shape != images.shape[1:]:
        raise InputError(
            f"statistics {path} are of images of shape {tuple(found.mean.shape)}, "
            f"the data has {tuple(images.shape[1:])}"
        )
    flip = run.training.flip
    if record_path(path).exists() and read_record(path)["settings"].get("mirrored", flip) != flip:
        raise InputError(
            f"statistics {path} are {'not ' if flip else ''}of the mirror images as well, but "
            f"training.flip is {str(flip).lower()}: fit them with{'' if flip else 'out'} --mirrored"
        )
    return found


@dataclass(frozen=True)
class Batch:
    """What a step is taken at: images, their numbers on the host, a time and the noise of each."""

    images: Float[Tensor, "batch channels height width"]
    index: Int64[Tensor, " batch"]
    t: Float[Tensor, " batch"]
    noise: Draws


class NetworkTraining(ABC, Generic[N]):
    """A network in training: its weights, their average, Adam's moments and the history.

    Args:
        run: the settings.
        images: the training set, shape (count, channels, height, width).
        statistics: of the training set.
        device: where the network is trained.
        processes: that train it together, each on its share of every batch.

    Attributes:
        parts: micro-batches of this process's share of a batch, from which it takes the gradient
            one after the other.

    Raises:
        InputError: if batches cannot be shared evenly.
    """

    def __init__(
        self,
        run: TrainingJob,
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
        share = self.settings.batch_size // processes.size
        micro_batch = self.settings.together(processes.size)
        if share % micro_batch:
            raise InputError(
                f"training.micro_batch = {micro_batch} does not divide the {share} images that "
                f"each process takes of a batch; expected one of their divisors, or null"
            )
        self.parts = share // micro_batch
        self.precision = resolve_precision(self.settings.precision, device)
        self.history = History(self.settings.batch_size)
        torch.manual_seed(derive(run.seed, "initialisation"))
        self.model: N = self.build(statistics).to(device).train()
        self.network = self.model.network
        self.ema = get_ema_multi_avg_fn(self.settings.ema)
        self.average = AveragedModel(self.network, multi_avg_fn=self.ema)
        self.optimizer = torch.optim.Adam(self.network.parameters(), self.settings.learning_rate)
        self.dropouts = [m for m in self.network.modules() if isinstance(m, Dropout)]
        trained = InBfloat16(self.network) if self.precision == "bfloat16" else self.network
        self.model.network = processes.parallel(trained, device)

    @abstractmethod
    def build(self, statistics: Statistics) -> N:
        """What is trained, at its beginning."""

    @abstractmethod
    def objective(self, batch: Batch, schedule: Schedule) -> Float[Tensor, ""]:
        """The mean loss of a batch."""

    def learning_rate(self, step: int) -> float:
        return warmed_up(self.settings.learning_rate, self.settings.warmup_steps, step)

    def schedule_parameters(self, step: int) -> dict[str, float]:
        """The parameters of the family, such as a and r, of a step: uniform in their ranges."""
        ranges = self.run.model.schedule.ranges
        draws = Stream("cpu", self.run.seed, "schedule", step).uniform((len(ranges),)).tolist()
        pairs = zip(sorted(ranges.items()), draws, strict=True)
        return {key: low + u * (high - low) for (key, (low, high)), u in pairs}

    def batch(self, step: int) -> Batch:
        """The images of a step, dequantised, and what else is drawn for it."""
        seed, size = self.run.seed, self.settings.batch_size
        draws = Stream(self.device, seed, "train", step)
        indices = batch_indices(len(self.images), size, step, seed)
        batch = send(self.images[indices], self.device)
        if self.settings.flip:
            flipped = draws.uniform((len(batch), 1, 1, 1)) < 0.5
            batch = torch.where(flipped, batch.flip(-1), batch)
        images = dequantise(batch, draws)
        t = draws.uniform((len(batch),))
        noise = draws.normal((len(batch), *self.model.draws_shape))
        return Batch(images, indices, t, noise)

    def loss(self, step: int, batch: Batch, part: int = 0) -> Float[Tensor, ""]:
        """The loss of a micro-batch of a step.

        Of what was drawn for the whole batch, dropout's mask included, the part of the share of
        this process is taken: no split changes it.
        """
        schedule = self.model.schedule(**self.schedule_parameters(step))
        torch.manual_seed(derive(self.run.seed, "dropout") + step)
        for dropout in self.dropouts:
            dropout.share = self.processes.rank * self.parts + part
            dropout.shares = self.processes.size * self.parts

        def own(whole: Tensor) -> Tensor:
            return self.processes.share(whole).chunk(self.parts)[part]

        parts = map(own, (batch.images, batch.index, batch.t, batch.noise))
        return self.objective(Batch(*parts), schedule)

    def gradient(self, step: int) -> Float[Tensor, ""]:
        """Give the weights the gradient of a step's loss; returns the loss of this process's share.

        Micro-batches bound the memory; processes exchange their gradients with the last one.
        """
        self.optimizer.zero_grad()
        batch, losses = self.batch(step), []
        for part in range(self.parts):
            last = part + 1 == self.parts
            with (
                float32_precision(self.precision),
                nullcontext() if last else self.processes.alone(self.model.network),
            ):
                loss = self.loss(step, batch, part) / self.parts
                loss.backward()
            losses.append(loss.detach())
        return torch.stack(losses).sum()

    def update(self, step: int) -> None:
        """One step of Adam and of the moving average."""
        loss, history, clip = self.gradient(step), self.history, self.settings.gradient_clip
        weights, done = list(self.network.parameters()), step + 1
        if clip is not None:
            history.gradient_norm = torch.nn.utils.clip_grad_norm_(weights, clip)
        elif done % self.settings.log_every == 0 or done == self.settings.steps:
            gradients = [weight.grad for weight in weights if weight.grad is not None]
            history.gradient_norm = torch.nn.utils.get_total_norm(gradients)
        history.learning_rate = self.learning_rate(step)
        for parameters in self.optimizer.param_groups:
            parameters["lr"] = history.learning_rate
        self.optimizer.step()
        self.update_average()
        history.losses.append(self.processes.mean(loss))

    @torch.no_grad()
    def update_average(self) -> None:
        """What `AveragedModel.update_parameters` does, without a copy of its count to the GPU."""
        modules = (self.average, self.network)
        averages, weights = ([p.detach() for p in module.parameters()] for module in modules)
        if self.average.n_averaged:
            self.ema(averages, weights, self.average.n_averaged)
        else:
            torch._foreach_copy_(averages, weights)
        self.average.n_averaged += 1

    def check_losses(self, step: int) -> None:
        """Refuse losses since the last row, which ends at `step`, that are not finite."""
        losses = self.history.losses
        finite = torch.stack(losses).isfinite().tolist() if losses else []
        if not all(finite):
            self._diverged("the loss", step - len(losses) + finite.index(False))

    def check_state(self, step: int) -> None:
        """Refuse weights and moments after `step` steps that are not finite."""
        for name, tensor in self.tensors().items():
            if not name.startswith("history/") and not tensor.isfinite().all():
                self._diverged(name, step - 1)

    def _diverged(self, what: str, step: int) -> None:
        parameters = self.schedule_parameters(step)
        at = ", ".join(f"{key} = {value:.4g}" for key, value in parameters.items())
        raise InputError(
            f"{self.run.experiment}: {what} is not finite at step {step + 1} (learning rate "
            f"{self.learning_rate(step):g}, {at}); what was saved before is kept; lower "
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

    def averaged_model(self) -> N:
        """The model with the averaged weights; ends the training."""
        self.network.load_state_dict(self.average.module.state_dict())
        self.model.network = self.network
        return self.model


class Training(NetworkTraining[Model]):
    """A network that predicts noise, in training (equation 11)."""

    def build(self, statistics: Statistics) -> Model:
        return Model(self.run.model, statistics)

    def objective(self, batch: Batch, schedule: Schedule) -> Float[Tensor, ""]:
        return denoising_loss(self.model, batch.images, schedule, batch.t, batch.noise)
