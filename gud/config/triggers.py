"""What determines the result of each job beside its inputs, as a line of text.

The workflow runs a job again when its line changes, and it alone: the job itself reads the preset.
"""

from __future__ import annotations

import json
from functools import partial

from gud.config.applications import (
    ApplicationJob,
    ClassifierName,
    GuidanceJob,
    InpaintingJob,
    ReconstructionJob,
    StripJob,
    classifier_job,
)
from gud.config.figures import figure_of, figure_settings, labels_of
from gud.config.inputs import table
from gud.config.jobs import (
    experiment_labels,
    get_data,
    get_evaluation,
    get_experiment,
    search_job,
    training_job,
)
from gud.config.preset import Preset
from gud.config.sections.bases import PrincipalBasis, basis_of


def dataset(preset: Preset, data: str) -> str:
    return get_data(preset, data).model_dump_json()


def basis_options(preset: Preset, basis: str, mirrored: str) -> str:
    """Options of the fit of a basis, but for its name.

    Args:
        mirrored: what file names say of mirror images, or nothing.
    """
    options = ["--mirrored"] if mirrored else []
    if isinstance(basis_of(basis), PrincipalBasis):
        fit = preset.principal_components
        options += ["--solver", fit.solver]
        options += ["--components", str(fit.components)] if fit.components is not None else []
    return " ".join(options)


def training(preset: Preset, experiment: str) -> str:
    return training_job(preset, experiment).model_dump_json()


def classifier(preset: Preset, experiment: str, classifier: ClassifierName) -> str:
    return classifier_job(preset, experiment, classifier).model_dump_json()


def search(preset: Preset, experiment: str) -> str:
    return search_job(preset, experiment).model_dump_json()


def point(preset: Preset, experiment: str, quantity: str, point: str) -> str:
    record = get_evaluation(preset, experiment, quantity).record(point)
    return json.dumps(record, sort_keys=True)


def likelihoods(preset: Preset, experiment: str) -> str:
    """Of the likelihoods at all points."""
    evaluation = get_evaluation(preset, experiment, "nll")
    return json.dumps([evaluation.record(point) for point in evaluation.points], sort_keys=True)


def _application(job: type[ApplicationJob], preset: Preset, experiment: str, point: str) -> str:
    return job.of(preset, experiment, point).model_dump_json()


strips = partial(_application, StripJob)
reconstructions = partial(_application, ReconstructionJob)
guided = partial(_application, GuidanceJob)
inpainted = partial(_application, InpaintingJob)


def quality(preset: Preset, experiment: str) -> str:
    return get_experiment(preset, experiment).quality.metric.model_dump_json()


def scale(preset: Preset, experiment: str) -> str:
    found = get_experiment(preset, experiment)
    images, mirrored = found.nll.settings.images, found.training.flip
    return json.dumps({"images": images, "mirrored": mirrored, "seed": preset.seed})


def figure(preset: Preset, figure: str) -> str:
    found = figure_of(preset, figure)
    return json.dumps(figure_settings(found, labels_of(preset, found)), sort_keys=True)


def picture(preset: Preset, experiment: str) -> str:
    """Of the pictures of an experiment, beside the files that they show."""
    return experiment_labels(preset, experiment).model_dump_json()


def references(preset: Preset, figure: str) -> str:
    """Options of a table: which experiments are compared with which."""
    pairs = table(preset, figure).references().items()
    return " ".join(f"--reference {name}={reference}" for name, reference in pairs)


def caption(preset: Preset, figure: str) -> str:
    """What the report of the workflow says of a figure."""
    return figure_of(preset, figure).caption


def summary(preset: Preset) -> str:
    return preset.stand_in
