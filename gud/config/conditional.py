"""What a preset asks of a model beyond what it was trained for: parts given, or a class."""

from __future__ import annotations

from typing import Literal

from gud.config.jobs import TrainingJob, asked_at, asking_figure, get_experiment
from gud.config.preset import Preset
from gud.config.sections.evaluation import ConditionalSettings, Guidance, InpaintingSettings
from gud.config.sections.section import Name, Parameters, Section

ClassifierName = Literal["guide", "judge"]
"""The classifier that guides samples, and another one that says what they became."""


class ClassifierJob(TrainingJob):
    """All that determines a trained classifier but its data."""

    classifier: ClassifierName


class GuidanceJob(Section):
    """Samples of each class by one experiment at one point of its schedule family."""

    experiment: Name
    parameters: Parameters
    seed: int
    guidance: Guidance


class InpaintingJob(Section):
    """Completions by one experiment at one point of its schedule family."""

    experiment: Name
    parameters: Parameters
    seed: int
    inpainting: InpaintingSettings


def classifier_job(preset: Preset, name: str, classifier: ClassifierName) -> ClassifierJob:
    """The training of a classifier of an experiment's states; the two differ in their seed."""
    experiment = get_experiment(preset, name)
    settings = asking_figure(preset, name, "guided", ConditionalSettings)[1].classifier
    return ClassifierJob(
        experiment=name,
        model=experiment.model().model_copy(update={"network": settings.network}),
        training=settings.training,
        seed=experiment.seed + ("guide", "judge").index(classifier),
        classifier=classifier,
    )


def guidance_job(preset: Preset, name: str, point: str) -> GuidanceJob:
    parameters, settings = asked_at(preset, name, point, "guided", ConditionalSettings)
    return GuidanceJob(
        experiment=name, parameters=parameters, seed=preset.seed, guidance=settings.guidance
    )


def inpainting_job(preset: Preset, name: str, point: str) -> InpaintingJob:
    parameters, settings = asked_at(preset, name, point, "inpainted", InpaintingSettings)
    return InpaintingJob(
        experiment=name, parameters=parameters, seed=preset.seed, inpainting=settings
    )
