"""Presets: all experiments and figures of one scale, in one YAML file of `config/`.

`load_preset` returns a preset checked, with its `defaults` section merged under every experiment.
Python holds no default values: what is not in the file is an error, or is not made.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, model_validator

from gud.errors import InputError
from gud.settings import (
    Data,
    Download,
    Grid,
    Likelihood,
    ModelSettings,
    Name,
    NonNegative,
    Parameters,
    Positive,
    Quality,
    Sampling,
    Section,
    TrainingSettings,
    archive_names,
    point_name,
    validate,
)


class NllTask(Section):
    grids: list[Grid]
    settings: Likelihood


class QualityTask(Section):
    grids: list[Grid]
    sampling: Sampling
    metric: Quality


class Experiment(ModelSettings):
    """One trained network and what it is evaluated for."""

    title: str
    data: Name
    training: TrainingSettings
    nll: NllTask
    quality: QualityTask

    @model_validator(mode="after")
    def _grids_inside_training(self) -> Experiment:
        ranges = self.schedule.ranges
        for task, grids in (("nll", self.nll.grids), ("quality", self.quality.grids)):
            for grid in grids:
                if grid.keys() != ranges.keys():
                    raise ValueError(
                        f"{task}.grids gives {', '.join(grid)}, but schedule "
                        f"{self.schedule.name} has {', '.join(ranges)}"
                    )
                for key, values in grid.items():
                    low, high = ranges[key]
                    for value in values:
                        if not low <= value <= high:
                            raise ValueError(
                                f"{task}.grids asks for {key} = {value:g}, which must lie in the "
                                f"trained range [{low:g}, {high:g}]"
                            )
        if self.basis.name != "fourier" and ranges.get("r", (0.0, 0.0)) != (0.0, 0.0):
            raise ValueError(f"schedule.ranges.r must be [0, 0] for basis {self.basis.name}")
        needed = {"columns": ("pixel", "haar"), "wavelet_columns": ("haar",)}
        if self.basis.name not in needed.get(self.schedule.name, (self.basis.name,)):
            raise ValueError(
                f"schedule {self.schedule.name} needs basis "
                f"{' or '.join(needed[self.schedule.name])}, not {self.basis.name}"
            )
        return self

    def model(self) -> dict[str, Any]:
        """The part that determines the trained model, as JSON values."""
        return self.model_dump(include=set(ModelSettings.model_fields), mode="json")


class Figure2(Section):
    experiment: Name
    components: Annotated[int, Field(ge=2)]


class Figure3(Section):
    isotropic: Name
    variance_matching: Name


class Figure5(Section):
    experiment: Name
    box: dict[Literal["a", "r"], tuple[float, float]]


class Figures(Section):
    figure2: Figure2
    figure3: Figure3
    figure5: Figure5


class Compute(Section):
    """What one job of the workflow asks for; memory and time grow with each attempt."""

    gpu: NonNegative
    threads: Positive
    mem_mb: Positive
    train_minutes: Positive
    evaluate_minutes: Positive


class Preset(Section):
    """All experiments and figures of one scale, e.g. `demo` or `paper`."""

    title: str
    stand_in: str
    seed: int
    compute: Compute
    downloads: dict[Name, Download]
    data: dict[Name, Data]
    experiments: dict[Name, Experiment]
    figures: Figures

    @model_validator(mode="after")
    def _names_exist(self) -> Preset:
        figures = self.figures
        references: list[tuple[str, str | None, Collection[str]]] = [
            ("figures.figure2.experiment", figures.figure2.experiment, self.experiments),
            ("figures.figure3.isotropic", figures.figure3.isotropic, self.experiments),
            (
                "figures.figure3.variance_matching",
                figures.figure3.variance_matching,
                self.experiments,
            ),
            ("figures.figure5.experiment", figures.figure5.experiment, self.experiments),
        ]
        for name, data in self.data.items():
            for archive in archive_names(data):
                references.append((f"an archive of data.{name}", archive, self.downloads))
        for name, experiment in self.experiments.items():
            where = f"experiments.{name}"
            weights = experiment.quality.metric.weights
            references.append((f"{where}.data", experiment.data, self.data))
            references.append((f"{where}.quality.metric.weights", weights, self.downloads))
        for where, wanted, known in references:
            if wanted is not None and wanted not in known:
                raise ValueError(f"{where} = {wanted!r} must be one of {sorted(known)}")
        return self


def points(grids: list[Grid]) -> dict[str, Parameters]:
    """All points of several grids, without repeats, by identifier such as `a=0.4,r=0`."""
    products = (
        dict(zip(sorted(grid), values, strict=True))
        for grid in grids
        for values in itertools.product(*(grid[key] for key in sorted(grid)))
    )
    return {point_name(point): point for point in products}


def load_preset(path: str | Path) -> Preset:
    """Read and validate a preset file; `InputError` names the first wrong key in one sentence."""
    path = Path(path)
    try:
        raw = yaml.safe_load(path.read_text())
    except OSError as error:
        raise InputError(f"preset {path} cannot be read: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise InputError(f"preset {path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(raw, dict):
        raise InputError(f"preset {path} must be a mapping of settings, not {type(raw).__name__}")
    defaults = raw.pop("defaults", {})
    experiments = raw.get("experiments")
    if isinstance(experiments, dict):
        raw["experiments"] = {
            name: merge(defaults, experiment) for name, experiment in experiments.items()
        }
    return validate(Preset, raw, str(path))


def merge(defaults: Any, values: Any) -> Any:
    """`values` over `defaults`, section by section; another `name` replaces a whole section."""
    if not (isinstance(defaults, dict) and isinstance(values, dict)):
        return values
    if "name" in values and values["name"] != defaults.get("name"):
        return values
    return defaults | {key: merge(defaults.get(key), value) for key, value in values.items()}
