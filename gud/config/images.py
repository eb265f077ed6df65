"""How many images of its data sets a preset asks for, and whether there are as many."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from gud.config.preset import Preset
from gud.errors import InputError

Needed = dict[str, tuple[str, int]]
"""A split and a number of its images, by the key that asks for them."""


def images_needed(preset: Preset, data: str) -> Needed:
    """How many images of a data set a preset asks for."""
    needed: Needed = {}
    for name, experiment in preset.experiments.items():
        if experiment.data != data:
            continue
        where, metric = f"experiments.{name}", experiment.quality.metric
        if experiment.nll.grids:
            needed[f"{where}.nll.settings.images"] = ("test", experiment.nll.settings.images)
        if experiment.search:
            number = experiment.search.images + experiment.search.batch_size
            needed[f"{where}.search"] = ("train", number)
        if experiment.quality.grids:
            number = metric.reference_images or 2
            needed[f"{where}.quality.metric.reference_images"] = (metric.reference, number)
    for name, figure in preset.figures.named().items():
        if figure.data_shown(preset.experiments) == data:
            needed |= {f"figures.{name}.{key}": asked for key, asked in figure.images().items()}
    return needed


def check_images(needed: Needed, images: Mapping[str, int], source: Path) -> None:
    """`InputError` if a data set, with so many images in each split, has fewer than are needed."""
    for key, (split, number) in needed.items():
        if number > images[split]:
            raise InputError(
                f"{key} asks for {number} {split} images, but {source} has {images[split]}"
            )


def check_finished_data(preset: Preset, folder: Path) -> None:
    """`InputError` if a data set that is there already has fewer images than are asked for.

    Those made of downloads may be of other files than the next will be, and are left out.
    """
    for name, section in preset.data.items():
        made = folder / f"{name}.npz"
        try:
            record = json.loads(Path(f"{made}.json").read_text())
            settings, images = record["settings"], record["images"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if made.exists() and settings == section.model_dump() and not section.archive_names:
            check_images(images_needed(preset, name), images, made)
