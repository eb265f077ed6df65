"""The stages of a preset, whose cost the bill tells and whose progress the watch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

from gud.config import paths
from gud.config.applications import ClassifierName, applications
from gud.config.figures import ApplicationSection
from gud.config.jobs import Evaluation, evaluations_of
from gud.config.preset import Preset
from gud.config.sections.evaluation import ClassifierSettings, ConditionalSettings, Sampling
from gud.config.sections.model import TrainingSettings
from gud.config.sections.schedules import PathSearch

TITLES = {"path": "search", "nll": "likelihood", "samples": "sampling"}


@dataclass(frozen=True)
class Stage:
    """Work of one kind for one experiment.

    Args:
        name: of the artefacts, or of the folder that they lie in.
        asked: what determines the amount of work: of a quality, the samples that it is of.
        made: the artefacts, in the folder of the results.
    """

    experiment: str
    name: str
    asked: (
        TrainingSettings
        | PathSearch
        | Evaluation
        | Sampling
        | ClassifierSettings
        | ApplicationSection
    )
    made: list[str]

    @property
    def title(self) -> str:
        """What the bill calls it."""
        return TITLES.get(self.name, self.name.replace("-", " "))


def stages(preset: Preset) -> Iterator[Stage]:
    """All stages of a preset, but for data, tables, figures and pictures, in the order of work."""
    for name, experiment in preset.experiments.items():
        if experiment.weights_of is None:
            yield Stage(name, "training", experiment.training, [paths.model_file(name)])
        if experiment.search:
            yield Stage(name, "path", experiment.search, [paths.path_file(name)])
        for evaluation in evaluations_of(preset, name):
            if not evaluation.points:
                continue
            folder, quality = evaluation.name, paths.quality_folder(evaluation.name)
            made = [paths.point_file(name, folder, point) for point in evaluation.points]
            yield Stage(name, folder, evaluation, made)
            if isinstance(evaluation.settings, Sampling) and quality != folder:
                made = [paths.point_file(name, quality, p, "json") for p in evaluation.points]
                yield Stage(name, quality, evaluation.settings, made)
        for figure in applications(preset, name):
            if isinstance(figure.settings, ConditionalSettings):
                made = [paths.classifier_file(name, which) for which in get_args(ClassifierName)]
                yield Stage(name, "classifiers", figure.settings.classifier, made)
            made = paths.point_files([name], figure.made, figure.grids)
            yield Stage(name, figure.made, figure, made)
