"""Checkpoints: the whole state of a training run in one safetensors file.

`FOLDER/step-00001500.safetensors` holds named tensors and, as metadata, the number of steps done,
the identity of the run (whatever must not change when it resumes) and a sha256 over all of it.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from gud.config.leaves import differing
from gud.errors import InputError
from gud.provenance import read_tensors, write_tensors
from gud.training.lock import locked
from gud.training.stopping import Stop

KEPT = 2
UNREADABLE = (OSError, KeyError, TypeError, ValueError)

log = logging.getLogger(__name__)

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run after `step` steps."""

    step: int
    tensors: Tensors
    identity: dict[str, object]


class Checkpoints:
    """The checkpoints of one run in a folder; written and read inside `with checkpoints.locked():`.

    Args:
        folder: of this run alone.
        identity: JSON values that determine every bit of the run; a checkpoint with another
            identity is refused.
    """

    def __init__(self, folder: str | Path, identity: Mapping[str, object]):
        self.folder = Path(folder)
        self.identity = json.loads(json.dumps(identity))

    @contextmanager
    def locked(self, stop: Stop | None = None) -> Iterator[None]:
        """Be the only writer, once the one before has ended; raises `Interrupted` on `stop`."""
        with locked(self.folder, stop):
            for partial in self.folder.glob(".*.partial.safetensors"):
                partial.unlink()
            yield

    def path(self, step: int) -> Path:
        return self.folder / f"step-{step:08d}.safetensors"

    def save(self, step: int, tensors: Tensors) -> None:
        """Write the state after `step` steps, then drop all but the two latest checkpoints.

        Raises:
            InputError: if it cannot be written; the checkpoints before it stay.
        """
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        metadata = {"step": str(step), "identity": json.dumps(self.identity, sort_keys=True)}
        metadata["sha256"] = _digest(tensors, metadata)
        path = self.path(step)
        try:
            write_tensors(path, tensors, metadata)
        except OSError as error:
            left = self._paths()
            raise InputError(
                f"checkpoint {path} cannot be written: {error.strerror}; "
                + (f"{left[0].name} is the last good one" if left else "there is none before it")
            ) from None
        # One with a higher step was found corrupted when this run began.
        older = [other for other in self._paths() if other.name < path.name]
        for other in set(self._paths()) - {path, *older[: KEPT - 1]}:
            other.unlink()

    def load(self) -> Checkpoint | None:
        """The latest valid checkpoint, or None if there is none; says so if it skips one.

        Raises:
            InputError: if it belongs to a run with another identity.
        """
        for path in self._paths():
            try:
                found = _read(path)
            except UNREADABLE as error:
                log.warning("checkpoint %s is corrupted (%s): trying the one before", path, error)
                continue
            self._check(path, found.identity)
            return found
        return None

    def read(self, step: int) -> Checkpoint:
        """The checkpoint after `step` steps; raises `InputError` if it is not to be used."""
        path = self.path(step)
        try:
            found = _read(path)
        except UNREADABLE as error:
            raise InputError(f"checkpoint {path} cannot be read here: {error}") from None
        self._check(path, found.identity)
        return found

    def _check(self, path: Path, identity: Mapping[str, object]) -> None:
        differences = [
            f"{key} = {json.dumps(then)} (now {json.dumps(now)})"
            for key, (then, now) in sorted(differing(identity, self.identity).items())
        ]
        if differences:
            raise InputError(
                f"checkpoint {path} belongs to another run, with {', '.join(differences)}; resume "
                f"with what it was begun with, or delete the folder {self.folder} to start afresh"
            )

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob("step-*.safetensors"), reverse=True)


def flatten_optimizer(optimizer: torch.optim.Optimizer, network: nn.Module) -> Tensors:
    """The state of an optimizer of all of a network's parameters as `PARAMETER.KEY` tensors."""
    names = [name for name, _ in network.named_parameters()]
    states = optimizer.state_dict()["state"]
    return group(".", **{names[index]: state for index, state in states.items()})


def restore_optimizer(
    optimizer: torch.optim.Optimizer, network: nn.Module, tensors: Tensors
) -> None:
    """Give an optimizer the state that `flatten_optimizer` took, to the last bit."""
    indices = {name: index for index, (name, _) in enumerate(network.named_parameters())}
    state = {indices[name]: values for name, values in ungroup(tensors, ".").items()}
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def group(mark: str = "/", /, **groups: Tensors) -> Tensors:
    """Join groups of tensors, each name prefixed by its group's and a `mark`."""
    return {
        f"{name}{mark}{key}": t for name, tensors in groups.items() for key, t in tensors.items()
    }


def ungroup(tensors: Tensors, mark: str = "/") -> dict[str, Tensors]:
    """The inverse of `group`, for names that hold no `mark` within their groups."""
    groups: dict[str, Tensors] = {}
    for name, tensor in tensors.items():
        first, key = name.rsplit(mark, 1)
        groups.setdefault(first, {})[key] = tensor
    return groups


def read_checkpoint(path: Path) -> Checkpoint:
    """A checkpoint of any run; raises `InputError` if it is damaged."""
    try:
        return _read(path)
    except UNREADABLE as error:
        raise InputError(f"checkpoint {path} is corrupted: {error}") from None


def _read(path: Path) -> Checkpoint:
    tensors, metadata = read_tensors(path)
    if metadata.pop("sha256") != _digest(tensors, metadata):
        raise ValueError("its sha256 does not match")
    return Checkpoint(int(metadata["step"]), tensors, json.loads(metadata["identity"]))


def _digest(tensors: Tensors, metadata: dict[str, str]) -> str:
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
