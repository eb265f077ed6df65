"""Evaluation in shards: batches of images that are computed together, each once, and kept.

The shards of FOLDER/POINT.npz are FOLDER/shards/POINT/FIRST.npz, FIRST being the first of their
images. A job computes any number of them, of one point or of several; `python -m gud.merge` joins
those of a point. They are independent, so that no split into jobs changes a number, and one that is
found finished is never computed again. Once the point is there they serve only jobs whose points
change, and may be deleted.
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
from typing import Any
from zipfile import BadZipFile

import numpy as np

from gud.errors import InputError
from gud.progress import progress
from gud.provenance import atomic, code_version, package_versions, sha256, write_record
from gud.settings import parameters_of_point
from gud.tasks import Ranges

Arrays = dict[str, np.ndarray]

log = logging.getLogger(__name__)


def fingerprint(settings: dict[str, Any], inputs: Sequence[Path]) -> str:
    """Names the work of exactly these settings and input files."""
    text = json.dumps([settings, [sha256(path) for path in inputs]], sort_keys=True)
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
    """

    out: Path
    settings: dict[str, Any]
    inputs: tuple[Path, ...]
    images: int
    batch_size: int

    @cached_property
    def key(self) -> str:
        return fingerprint(self.settings, self.inputs)

    def path(self, start: int) -> Path:
        return self.out.parent / "shards" / self.out.stem / f"{start:06d}.npz"

    def starts(self, first: int = 0, last: int | None = None) -> range:
        """The first images of the shards between two images."""
        last = self.images if last is None else last
        if first % self.batch_size or last > self.images:
            raise InputError(
                f"the images {first} to {last} of {self.out.stem} must start at a multiple of the "
                f"batch_size {self.batch_size} and end by image {self.images}"
            )
        return range(first, last, self.batch_size)

    def numbers(self, start: int) -> np.ndarray:
        """The numbers of a shard's images."""
        return np.arange(start, min(start + self.batch_size, self.images))

    def read(self, start: int) -> tuple[Arrays, dict[str, Any]] | None:
        """The arrays of a shard and how it was made; None if it is not there or is damaged."""
        try:
            with np.load(self.path(start), allow_pickle=False) as file:
                arrays = dict(file)
            made = json.loads(str(arrays.pop("made")))
            return (arrays, made) if made["key"] == self.key else None
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            log.warning("shard %s cannot be read: %s", self.path(start), error)
            return None

    def write(self, start: int, arrays: Arrays, seconds: float, device: str) -> None:
        made = {
            "key": self.key,
            "seconds": seconds,
            "device": device,
            "machine": platform.platform(),
            "code": code_version(),
            "packages": package_versions(),
        }
        with atomic(self.path(start)) as temporary:
            np.savez(temporary, allow_pickle=False, made=np.array(json.dumps(made)), **arrays)

    def merge(self) -> tuple[Arrays, list[dict[str, Any]]]:
        """The arrays of all shards, joined along their first axis, and how each was made."""
        found = []
        for start in self.starts():
            if (shard := self.read(start)) is None:
                raise InputError(
                    f"{self.out.name} lacks the shard {self.path(start)} of its settings and "
                    f"inputs; delete the job in {self.out.parent / 'jobs'} that computes it"
                )
            found.append(shard)
        parts = [arrays for arrays, _ in found]
        joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return joined, [made for _, made in found]


def compute_shards(
    work: Sequence[tuple[Shards, int]],
    evaluate: Callable[[Shards, np.ndarray], Arrays],
    *,
    label: str,
    device: str,
) -> int:
    """Compute the shards that are not there yet.

    Args:
        work: shards by the number of their first image.
        evaluate: maps the numbers of a shard's images to its arrays.

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
            arrays = evaluate(shards, shards.numbers(start))
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
    evaluate: Callable[[Shards, np.ndarray], Arrays],
    *,
    label: str,
    device: str,
) -> Arrays:
    """The arrays of an artefact, from shards that are there or computed now."""
    work = [(shards, start) for start in shards.starts()]
    compute_shards(work, evaluate, label=label, device=device)
    return shards.merge()[0]


def run_job(
    settings: dict[str, Any],
    section: str,
    inputs: Sequence[Path],
    evaluate: Callable[[Shards, np.ndarray], Arrays],
    *,
    out: Path,
    device: str,
) -> None:
    """Compute the shards of a job and write its receipt.

    Args:
        settings: of a `gud.tasks.LikelihoodJob` or `SamplingJob`, as JSON values.
        section: its key that holds the numbers of images.
        out: the receipt, FOLDER/jobs/NAME.json.
    """
    started = time.time()
    common = {key: value for key, value in settings.items() if key != "points"}
    ranges: Ranges = settings["points"]
    images, batch_size = settings[section]["images"], settings[section]["batch_size"]
    work = []
    for point, (first, last) in ranges.items():
        artefact = out.parent.parent / f"{point}.npz"
        of_point = common | {"parameters": parameters_of_point(point)}
        shards = Shards(artefact, of_point, tuple(inputs), images, batch_size)
        work += [(shards, start) for start in shards.starts(first, last)]
    label = f"{out.parent.parent.name} {settings['experiment']} job {out.stem}"
    computed = compute_shards(work, evaluate, label=label, device=device)
    log.info("%s: %d shards computed, %d found", label, computed, len(work) - computed)
    with atomic(out) as temporary:
        paths = [shards.path(start).relative_to(out.parent.parent) for shards, start in work]
        temporary.write_text(json.dumps([str(path) for path in paths], indent=1) + "\n")
    write_record(
        out,
        inputs=inputs,
        settings=settings,
        seed=settings["seed"],
        started=started,
        device=device,
        computed=computed,
    )
