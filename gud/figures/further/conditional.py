"""Samples of each class by guidance of an unconditional network, and what they are taken for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gud.config.figures import ApplicationSection, Labels
from gud.config.paths import data_file
from gud.config.sections.evaluation import ConditionalSettings
from gud.config.sections.points import points
from gud.config.sections.validation import Fault
from gud.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gud.config.preset import Preset
    from gud.data.arrays import Arrays

ARRAYS = {
    "guided": "8 images classes 3 height width",
    "unguided": "8 images 3 height width",
    "assigned": "i images classes",
    "assigned_unguided": "i images",
    "accuracy": "f",
    "tested": "i",
}
"""Kind and axes of what `gud guide` writes."""
MOST = 8
"""Samples of a class that are drawn, the first ones."""


@dataclass(frozen=True)
class Source:
    """What `gud guide` writes, and what the classes are called."""

    arrays: Arrays
    classes: tuple[str, ...]


class Conditional(ApplicationSection):
    settings: ConditionalSettings

    title = "Class-conditional samples by guidance of a classifier"
    caption = (
        "Samples that the gradient of a classifier of noised states guides to each class, by a "
        "network that knows of no classes, and the share of them that another classifier assigns "
        "to the class."
    )
    made = "guided"

    def claims(self, preset: Preset) -> Iterator[Fault]:
        yield from super().claims(preset)
        experiment = preset.experiments[self.experiment]
        data, classifier = preset.data[experiment.data], self.settings.classifier
        if not data.classes:
            yield (), f"needs classes, which images of data.{experiment.data} do not have"
        try:
            classifier.network.check(data.image_size, data.image_size**2)
        except InputError as error:
            yield ("settings", "classifier", "network"), f"does not fit these images: {error}"
        gpus, batch = preset.compute.train_gpu, classifier.training.batch_size
        if gpus and batch % gpus:
            yield (
                ("settings", "classifier", "training", "batch_size"),
                f"= {batch} cannot be shared evenly by compute.train_gpu = {gpus} GPUs",
            )
        if classifier.training.flip != experiment.training.flip:
            yield (
                ("settings", "classifier", "training", "flip"),
                f"must be {str(experiment.training.flip).lower()}, as that of {self.experiment}",
            )

    def sources(self, preset: Preset) -> list[str]:
        data = data_file(preset.experiments[self.experiment].data)
        return [data, *super().sources(preset)]

    def read(self, paths: Sequence[Path]) -> Source:
        """What `gud.evaluate.applications.guide` writes, and the names of the classes."""
        from gud.data import datasets
        from gud.data.arrays import load_arrays

        data, path = self.only(paths, 2)
        arrays = load_arrays(path, ARRAYS)
        test = datasets.load(data, "test")
        _, classes = datasets.load_labels(data, "test", len(test))
        if len(classes) != arrays["guided"].shape[1]:
            raise InputError(
                f"{path} has samples of {arrays['guided'].shape[1]} classes, but {data} has "
                f"{len(classes)}"
            )
        return Source(arrays, classes)

    def draw(self, source: Source, labels: Labels) -> Figure:
        """A row for each class, and the first for none; a column has the same random numbers."""
        from matplotlib.figure import Figure

        from gud.figures.drawing.images import show
        from gud.figures.drawing.style import WIDTH, small_print

        arrays, classes = source.arrays, source.classes
        guided = arrays["guided"][:MOST].swapaxes(0, 1)
        rows = [arrays["unguided"][:MOST], *guided]
        count = len(rows[0])
        size = min(0.7, (WIDTH - 1.6) / count)
        figure = Figure(figsize=(size * count + 1.6, size * len(rows) + 0.7), layout="constrained")
        axes = figure.subplots(len(rows), count, squeeze=False)
        for row, images in zip(axes, rows, strict=True):
            for axis, image in zip(row, images, strict=True):
                show(axis, image)
        names = ["unguided", *(f"{name}\n{_shares(arrays, c)}" for c, name in enumerate(classes))]
        for row, name in zip(axes, names, strict=True):
            row[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=6.5)
        (point,) = points(self.grids)
        small_print(
            figure,
            f"{labels.data_note} {self.experiment} at {point.replace('_', ', ')}. "
            f"{_note(source, self.settings)}",
            labels.stand_in_note,
        )
        return figure


def _shares(arrays: Arrays, number: int) -> str:
    """The shares of guided and of unguided samples that are assigned to a class."""
    from gud.evaluate.applications.shares import share

    pairs = (arrays["assigned"][:, number], arrays["assigned_unguided"])
    guided, unguided = (share(found == number) for found in pairs)
    return f"{guided[0]:.2f} ± {guided[1]:.2f} ({unguided[0]:.2f} ± {unguided[1]:.2f})"


def _note(source: Source, settings: ConditionalSettings) -> str:
    from gud.evaluate.applications.shares import mean_share

    arrays, classes = source.arrays, len(source.classes)
    mean, error = mean_share(arrays["assigned"])
    return (
        f"At the left of a row the share of guided samples, and in brackets of unguided ones, that "
        f"a classifier of another seed assigns to the class, of {len(arrays['guided'])} samples "
        f"with standard errors. All classes: {mean:.3f} ± {error:.3f}; unguided samples, asked for "
        f"each class in turn, make {1 / classes:.3f}. That classifier is right on "
        f"{float(arrays['accuracy']):.3f} of {int(arrays['tested']):,} test images. Scale of the "
        f"guidance: {settings.guidance.scale:g}."
    )
