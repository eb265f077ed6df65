"""Where every artefact lies: in the folder of a preset's results, or in that of downloads.

The patterns of the workflow's rules are these with wildcards in place of names.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gud.config.sections.bases import BasisSettings, basis_name
from gud.config.sections.experiments import Experiment
from gud.config.sections.points import Grid, points

NAME = r"[a-z][a-z0-9_]*"
"""Of an experiment or a data set, as a regular expression; the next are such, too."""
POINT = r"[a-z]+=[^/]+"
SAMPLER = r"-[a-z0-9_.-]+"
GALLERY = r"gallery-[a-z0-9_]+"
DOWNLOADS = "resources/downloads"
HISTORY = "training.csv"
"""The course of a training, beside its model."""
CHECKPOINTS = "checkpoints"
"""Of a training, beside its model."""
EVENTS = "tensorboard"
"""What follows a training live, beside its model: no artefact."""


def data_file(data: str, suffix: str = "npz") -> str:
    return f"data/{data}.{suffix}"


def statistics_file(
    data: str, basis: BasisSettings, mirrored: bool, suffix: str = "safetensors"
) -> str:
    """The statistics of a data set in a basis: of mirror images as well, if trainings flip."""
    images = "-mirrored" if mirrored else ""
    return f"data/{data}.{basis_name(basis)}{images}.{suffix}"


def experiment_statistics(experiment: Experiment) -> str:
    return statistics_file(experiment.data, experiment.basis, experiment.training.flip)


def model_file(experiment: str) -> str:
    return f"{experiment}/model.safetensors"


def path_file(experiment: str) -> str:
    """The network of another experiment with the path that was found for this one."""
    return f"{experiment}/path.safetensors"


def history_file(experiment: str) -> str:
    return f"{experiment}/{HISTORY}"


def picture_file(experiment: str, shown: str) -> str:
    """A picture of the `training`, the `nll`, the solver's `steps` or the `samples`."""
    return f"{experiment}/{shown}.png"


def point_file(experiment: str, quantity: str, point: str, suffix: str = "npz") -> str:
    return f"{experiment}/{quantity}/{point}.{suffix}"


def point_files(
    experiments: Iterable[str], folder: str, grids: Sequence[Grid], suffix: str = "npz"
) -> list[str]:
    """Artefacts at all points of grids, of some experiments."""
    return [
        point_file(name, folder, point, suffix) for name in experiments for point in points(grids)
    ]


def quality_folder(samples: str) -> str:
    """Where the quality of samples lies: `quality-SAMPLER` beside `samples-SAMPLER`."""
    return samples.replace("samples", "quality", 1)


def shard_file(point: str, start: int) -> str:
    """A part of a point, in the folder of its quantity."""
    return f"shards/{point}/{start:06d}.npz"


def job_file(experiment: str, quantity: str, job: str) -> str:
    """The receipt of a job that computes shards."""
    return f"{experiment}/{quantity}/jobs/{job}.json"


def scale_file(experiment: str) -> str:
    return f"{experiment}/scale.csv"


def table_file(figure: str) -> str:
    return f"tables/{figure}.csv"


def figure_file(figure: str, suffix: str = "pdf") -> str:
    return f"figures/{figure}.{suffix}"


def summary_file(summary: str) -> str:
    return f"{summary}.md"


def log_file(artefact: str) -> str:
    """What the job of an artefact said; that of a picture of data is called as the whole picture,
    since the job of the data has its name without the suffix."""
    stem, _, suffix = artefact.rpartition(".")
    pictured = suffix == "png" and artefact.startswith("data/")
    return f"logs/{artefact if pictured else stem}.log"


def training_log(experiment: str) -> str:
    return f"logs/{experiment}/train.log"


def classifier_file(experiment: str, classifier: str) -> str:
    return f"{experiment}/classifiers/{classifier}/model.safetensors"


def classifier_log(experiment: str, classifier: str) -> str:
    return f"logs/{experiment}/classifiers/{classifier}.log"
