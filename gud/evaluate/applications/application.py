"""What applications of a model share: their command, their shards, and how they are written."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from gud.cli import (
    Decorator,
    NamedPreset,
    device_option,
    experiment_option,
    input_option,
    out_option,
    point_option,
)
from gud.config.applications import ApplicationJob
from gud.config.sections.points import point_name
from gud.config.sections.section import Parameters
from gud.data import datasets
from gud.devices import resolve_device
from gud.evaluate.likelihood import choose_images
from gud.evaluate.shards import Arrays, Evaluate, Shards, compute_all
from gud.provenance import write_arrays, write_records


def command(
    help: str, job: type[ApplicationJob], make: Callable[..., None], *files: Decorator
) -> click.Command:
    """The command of an application.

    Args:
        job: what is asked of the preset.
        make: takes the job, the files by the names of their options, `out` and the device.
        files: options of the files that are read beside the model.
    """

    def call(preset: NamedPreset, experiment: str, point: str, device: str, **paths: Path) -> None:
        make(job.of(preset.preset, experiment, point), device=resolve_device(device), **paths)

    model = input_option("--model", "A trained model, .safetensors.")
    options = [experiment_option(), point_option(), model, *files, out_option(), device_option()]
    for option in reversed(options):
        call = option(call)
    return click.command(help=help)(call)


@dataclass(frozen=True)
class Application:
    """An artefact in the making: computed in shards, written with its record.

    Args:
        job: its settings.
        files: that it is computed from.
        out: the artefact.
        device: that computes it.
        images: how many there are.
        batch_size: of them that are computed together.
        started: `time.time()` when the work began.
    """

    job: ApplicationJob
    files: tuple[Path, ...]
    out: Path
    device: torch.device
    images: int
    batch_size: int
    started: float = field(default_factory=time.time)

    @property
    def label(self) -> str:
        """Of progress bars."""
        return f"{self.job.made} {self.job.experiment} {point_name(self.job.parameters)}"

    @property
    def shards(self) -> Shards:
        settings = self.job.model_dump(mode="json")
        return Shards(self.out, settings, self.files, self.images, self.batch_size)

    def compute(self, evaluate: Evaluate) -> Arrays:
        """The arrays of all shards, those that are there as they are."""
        return compute_all(self.shards, evaluate, label=self.label, device=self.device.type)

    def compute_of_images(
        self,
        data: Path,
        image_shape: tuple[int, int, int],
        key: str,
        make: Callable[[UInt8[Tensor, "batch channels height width"], list[int]], Arrays],
    ) -> Arrays:
        """Those of chosen test images, with `original`, and `index` in the test split.

        Args:
            data: the data set.
            key: that says how many images there are.
            make: takes images and their numbers.
        """
        test = datasets.load(data, "test", image_shape)
        chosen = choose_images(len(test), self.images, self.job.seed, data, sort=False, key=key)

        def evaluate(_parameters: Parameters, numbers: np.ndarray) -> Arrays:
            block = chosen[numbers]
            images = test[block]
            made = make(images, block.tolist())
            return {"original": images.numpy()} | made | {"index": block}

        return self.compute(evaluate)

    def write(
        self,
        arrays: Arrays,
        beside: Iterable[Path] = (),
        read: Iterable[Path] = (),
        **more: Any,
    ) -> None:
        """Write the arrays, and the records.

        Args:
            beside: what else was made, and is written already.
            read: what else it was made from, than its shards.
            more: for the records.
        """
        write_arrays(self.out, **arrays)
        write_records(
            [self.out, *beside],
            inputs=[*self.files, *read],
            parts=self.shards.paths,
            settings=self.job.model_dump(mode="json"),
            seed=self.job.seed,
            started=self.started,
            device=self.device.type,
            **more,
        )
