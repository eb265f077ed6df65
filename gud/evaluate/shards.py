"""Evaluation in shards: batches of images that are computed together, each once, and kept.

The shards of FOLDER/POINT.npz are FOLDER/shards/POINT/FIRST.npz, FIRST being the first of their
images. A job computes any number of them, of one point or of several; `gud join`
joins those of a point. They are independent, so that no split into jobs changes a number, and a
finished one is never computed again. Once the point is there they serve only jobs whose
points change, and may be deleted.
"""

from __future__ import annotations

import hashlib
import json
import logging
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NotRequired

import numpy as np
from typing_extensions import TypedDict

from gud.config.jobs import Evaluation
from gud.config.paths import shard_file
from gud.config.sections.section import Parameters
from gud.config.sections.validation import validate
from gud.data.arrays import FINER, NOT_NPZ, Arrays
from gud.errors import InputError
from gud.progress import progress
from gud.provenance import (
    FORMAT,
    OPEN,
    Code,
    code_version,
    input_names,
    package_versions,
    write_arrays,
)

Evaluate = Callable[[Parameters, np.ndarray], Arrays]
"""Maps the parameters of a point and the numbers of a shard's images to the shard's arrays."""

OF_SHARD = ("evaluations", "variance_bias", "variance_rms")
"""Arrays that have one row for a shard, and not for each of its images."""

log = logging.getLogger(__name__)


class Made(TypedDict):
    """How a shard was made, as far as it is checked.

    Args:
        key: the work that it is part of, and
        chosen: the settings that a pilot chose for it.
        start: number of its first image.
        sha256: of its arrays.
        seconds, device, code, packages, machine: for the record of what it becomes part of.
    """

    __pydantic_config__ = OPEN  # type: ignore[misc]

    key: str
    chosen: NotRequired[dict[str, Any] | None]
    start: int
    sha256: str
    seconds: float
    device: str
    code: Code
    packages: NotRequired[Any]
    machine: NotRequired[Any]


def digest(arrays: Arrays) -> str:
    """sha256 over names, types, shapes and values of arrays."""
    found = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        found.update(f"{name} {array.dtype} {array.shape}".encode())
        found.update(array.data)
    return found.hexdigest()


def fingerprint(settings: dict[str, Any], inputs: Sequence[str]) -> str:
    """Names the work of exactly these settings and input files, given by their sha256."""
    text = json.dumps([settings, list(inputs)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Shards:
    """The shards of one artefact.

    Args:
        out: the artefact.
        settings: that it is made with, and
        inputs: that it is made from: a shard made otherwise is never taken.
        images: how many there are.
        batch_size: images in a shard.
        open: whether there may be fewer, the first of them.
        chosen: the settings that a pilot chose; None takes shards of any, of all the same.
    """

    out: Path
    settings: dict[str, Any]
    inputs: tuple[Path, ...]
    images: int
    batch_size: int
    open: bool = False
    chosen: dict[str, Any] | None = None

    @classmethod
    def of(cls, evaluation: Evaluation, point: str, out: Path, inputs: Sequence[Path]) -> Shards:
        """The shards of one point of an evaluation."""
        evaluation.point(point)
        if out.name != f"{point}.npz":
            raise InputError(f"--out {out} must be called {point}.npz, as its point is")
        settings = evaluation.settings
        return cls(
            out,
            evaluation.record(point),
            tuple(inputs),
            settings.images,
            settings.batch_size,
            evaluation.requested,
        )

    @cached_property
    def key(self) -> str:
        return fingerprint(self.settings, list(self.made_from["inputs"].values()))

    @cached_property
    def made_from(self) -> dict[str, dict[str, str]]:
        """The inputs as the records of the shards name them."""
        return input_names(self.inputs, self.path(0).parent)

    def path(self, start: int) -> Path:
        return self.out.parent / shard_file(self.out.stem, start)

    @property
    def paths(self) -> list[Path]:
        return [self.path(start) for start in self.starts()]

    def starts(self, first: int = 0, last: int | None = None) -> range:
        """The first images of the shards between two images."""
        last = self.images if last is None else last
        if first % self.batch_size or not first < last <= self.images:
            raise InputError(
                f"the images {first} to {last} of {self.out.stem} must start at a multiple of the "
                f"batch_size {self.batch_size} and end after that, by image {self.images}"
            )
        return range(first, last, self.batch_size)

    def numbers(self, start: int) -> np.ndarray:
        """The numbers of a shard's images."""
        return np.arange(start, min(start + self.batch_size, self.images))

    def read(self, start: int) -> tuple[Arrays, Made] | None:
        """The arrays of a shard and how it was made.

        None if it is not there, is of other work, is damaged or was altered.
        """
        try:
            with np.load(self.path(start), allow_pickle=False) as file:
                arrays = dict(file)
            made: Made = json.loads(str(arrays.pop("made")))
            validate(Made, made, "its array made")
            if made["key"] != self.key or self.chosen not in (None, made.get("chosen")):
                return None
            if made["start"] != start or made["sha256"] != digest(arrays):
                raise InputError("its arrays are not those that were computed")
            self.check(arrays, start)
            return arrays, made
        except FileNotFoundError:
            return None
        except NOT_NPZ as error:
            log.warning("shard %s cannot be read: %s", self.path(start), error)
            return None

    def check(self, arrays: Arrays, start: int) -> None:
        """Refuse arrays without a finite row for each image of a shard, or one for the shard."""
        numbers = self.numbers(start)
        for name, array in arrays.items():
            rows = 1 if name in OF_SHARD else len(numbers)
            if array.shape[:1] != (rows,):
                raise InputError(f"{name} has shape {array.shape}, expected {rows} rows")
            if array.dtype.kind not in "biuf":
                raise InputError(f"{name} is {array.dtype}, expected numbers")
            if not np.isfinite(array).all():
                raise InputError(f"{name} holds values that are not finite")

    def write(self, start: int, arrays: Arrays, seconds: float, device: str) -> None:
        made = {
            "format": FORMAT,
            "key": self.key,
            "chosen": self.chosen,
            "start": start,
            "sha256": digest(arrays),
            "settings": self.settings,
            **self.made_from,
            "seconds": seconds,
            "device": device,
            "machine": platform.platform(),
            "code": code_version(),
            "packages": package_versions(),
        }
        write_arrays(self.path(start), made=np.array(json.dumps(made)), **arrays)

    def merge(self, images: int | None = None) -> tuple[Arrays, list[Made]]:
        """The arrays of shards, joined along their first axis, and how each was made.

        Args:
            images: the first of them; by default all that there must be.
        """
        found: list[tuple[Arrays, Made]] = []
        for start in self.starts(0, images):
            shard = self.read(start)
            if shard is None or shard[1].get("chosen") != (found or [shard])[0][1].get("chosen"):
                if self.open and images is None and found:
                    break
                raise InputError(
                    f"{self.out.name} lacks the shard {self.path(start)} of its settings and "
                    f"inputs; delete the job in {self.out.parent / 'jobs'} that computes it"
                )
            found.append(shard)
        parts = [arrays for arrays, _ in found]
        for start, part in zip(self.starts(), parts, strict=False):
            if (kinds := _kinds(part)) != _kinds(parts[0], part):
                raise InputError(
                    f"shard {self.path(start)} holds {kinds}, the first one {_kinds(parts[0])}"
                )
        return joined(parts), [made for _, made in found]


def joined(parts: Sequence[Arrays]) -> Arrays:
    """The arrays of shards, one after the other."""
    return {
        name: np.concatenate([part[name] for part in parts if name in part]) for name in parts[0]
    }


def _kinds(arrays: Arrays, other: Arrays | None = None) -> dict[str, str]:
    """Type and shape of a row of each array, but of those with `FINER` that `other` lacks."""
    return {
        name: f"{array.dtype} {array.shape[1:]}"
        for name, array in sorted(arrays.items())
        if other is None or name in other or not name.startswith(FINER)
    }


def compute_shards(
    work: Sequence[tuple[Shards, int]],
    evaluate: Evaluate,
    *,
    label: str,
    device: str,
) -> int:
    """Compute the shards that are not there yet.

    Args:
        work: shards by the number of their first image.

    Returns:
        How many were computed.

    Raises:
        InputError: if some failed, after all others were computed.
    """
    computed, failures = 0, []
    for shards, start in progress(work, unit="shard", label=label):
        if shards.read(start):
            continue
        began = time.perf_counter()
        try:
            arrays = evaluate(shards.settings["parameters"], shards.numbers(start))
            shards.check(arrays, start)
        except InputError as error:
            failures.append(f"{shards.path(start)}: {error}")
            log.warning("shard %s", failures[-1])
            continue
        shards.write(start, arrays, time.perf_counter() - began, device)
        computed += 1
    if failures:
        raise InputError(f"{len(failures)} of {len(work)} shards failed, e.g. {failures[0]}")
    return computed


def compute_all(
    shards: Shards,
    evaluate: Evaluate,
    *,
    label: str,
    device: str,
) -> Arrays:
    """The arrays of an artefact, from shards that are there or computed now."""
    work = [(shards, start) for start in shards.starts()]
    compute_shards(work, evaluate, label=label, device=device)
    return shards.merge()[0]
