"""What figures ask to be made of a model beyond likelihoods and samples, at one point of its paths.

Strips, reconstructions, completions of which a part is given, and samples of a class.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, TypeVar

from gud.config.figures import ApplicationSection
from gud.config.jobs import TrainingJob, get_experiment
from gud.config.preset import Preset
from gud.config.sections.data import Data
from gud.config.sections.evaluation import (
    ConditionalSettings,
    Guidance,
    InpaintingSettings,
    ReconstructionSettings,
    StripSettings,
)
from gud.config.sections.points import parameters_of_point, point_name, points
from gud.config.sections.section import Name, Parameters, Section
from gud.errors import InputError

if TYPE_CHECKING:
    from gud.diffusion.schedules import Schedule

J = TypeVar("J", bound="ApplicationJob")
ClassifierName = Literal["guide", "judge"]
"""The classifier that guides samples, and another one that says what they became."""


class Amount(NamedTuple):
    """Images that a job makes, passes through the network times images, and bytes that it keeps."""

    images: int
    passes: int
    kept: int


class ApplicationJob(Section):
    """What is made of one experiment at one point of its schedule family.

    made: folder of the artefacts, by which the figure that asks for them is found.
    """

    made: ClassVar[str]

    experiment: Name
    parameters: Parameters
    seed: int

    @classmethod
    def of(cls: type[J], preset: Preset, experiment: str, point: str) -> J:
        """The job that a preset asks for; `InputError` if it asks for none."""
        figure = asking_figure(preset, experiment, cls.made)
        found = points(figure.grids)
        if (name := point_name(parameters_of_point(point))) not in found:
            raise InputError(
                f"point {point} is not in the grids of {cls.made} of {experiment}: "
                f"{', '.join(found)}"
            )
        (own,) = cls.model_fields.keys() - ApplicationJob.model_fields.keys()
        # The settings of a figure are those of its job, or hold them beside others.
        asked: dict[str, Any] = {own: getattr(figure.settings, own, figure.settings)}
        return cls(experiment=experiment, parameters=found[name], seed=preset.seed, **asked)

    @abstractmethod
    def amount(self, data: Data, schedule: Schedule) -> Amount:
        """What the job makes of a model of some data, at its point of the schedule family."""


class StripJob(ApplicationJob):
    """Strips (Figure 7)."""

    made: ClassVar = "strips"
    strip: StripSettings

    def amount(self, data: Data, schedule: Schedule) -> Amount:
        from gud.diffusion.schedules.sequential import Sequential
        from gud.diffusion.strips import sliding_window

        asked, columns, path = self.strip, data.image_size, schedule.path
        assert isinstance(path, Sequential)
        # What noise may be left in columns that are cut off does not change the steps.
        window = sliding_window(path, columns, asked.shift, asked.time, residual=0.999)
        passes = asked.strips * window.evaluations(asked.windows, asked.steps_per_unit)
        # 8-bit strips and a picture of one window in float32.
        width = (asked.windows - 1) * asked.shift + columns + 4 * columns
        return Amount(asked.strips, passes, asked.strips * 3 * columns * width)


class ReconstructionJob(ApplicationJob):
    """Reconstructions (Figure 8)."""

    made: ClassVar = "reconstructions"
    reconstruction: ReconstructionSettings

    def amount(self, data: Data, schedule: Schedule) -> Amount:
        asked, image = self.reconstruction, 3 * data.image_size**2
        images = asked.images * asked.keys
        return Amount(images, images * asked.steps, image * asked.images * (asked.keys + 5))


class InpaintingJob(ApplicationJob):
    """Completions."""

    made: ClassVar = "inpainted"
    inpainting: InpaintingSettings

    def amount(self, data: Data, schedule: Schedule) -> Amount:
        asked, image = self.inpainting, 3 * data.image_size**2
        shown, steps = asked.sampling.images, asked.sampling.steps
        return Amount(
            shown * asked.keys, shown * asked.keys * steps, image * shown * (asked.keys + 1)
        )


class GuidanceJob(ApplicationJob):
    """Samples of each class."""

    made: ClassVar = "guided"
    guidance: Guidance

    def amount(self, data: Data, schedule: Schedule) -> Amount:
        """Of each class, and of none."""
        sampling = self.guidance.sampling
        images = sampling.images * (1 + data.classes)
        return Amount(images, images * sampling.steps, images * 3 * data.image_size**2)


class ClassifierJob(TrainingJob):
    """All that determines a trained classifier but its data."""

    classifier: ClassifierName


def classifier_job(preset: Preset, name: str, classifier: ClassifierName) -> ClassifierJob:
    """The training of a classifier of an experiment's states; the two differ in their seed."""
    experiment = get_experiment(preset, name)
    settings = asking_figure(preset, name, GuidanceJob.made).settings
    assert isinstance(settings, ConditionalSettings)
    return ClassifierJob(
        experiment=name,
        model=experiment.model().model_copy(update={"network": settings.classifier.network}),
        training=settings.classifier.training,
        seed=experiment.seed + ("guide", "judge").index(classifier),
        classifier=classifier,
    )


def applications(preset: Preset, experiment: str) -> list[ApplicationSection]:
    """The figures for which an experiment is put to more than its evaluations."""
    figures = preset.figures.named().values()
    applied = [figure for figure in figures if isinstance(figure, ApplicationSection)]
    return [figure for figure in applied if figure.experiment == experiment]


def asking_figure(preset: Preset, experiment: str, made: str) -> ApplicationSection:
    """The figure that asks for something to be made of an experiment."""
    figure = next((f for f in applications(preset, experiment) if f.made == made), None)
    if figure is None:
        raise InputError(f"the preset does not ask for {made} of experiment {experiment}")
    return figure
