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
    HaarBasis,
    ModelSettings,
    Name,
    NonNegative,
    Parameters,
    Positive,
    Section,
    TrainingSettings,
    archive_names,
    point_name,
    validate,
)
from gud.tasks import Likelihood, Quality, ReconstructionSettings, Sampling, StripSettings


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


class Softness(Section):
    a: Annotated[float, Field(ge=0, lt=1)]
    b: Annotated[float, Field(ge=0, lt=1)]


class Figure2(Section):
    experiment: Name
    components: Annotated[int, Field(ge=2)]


class Figure3(Section):
    isotropic: Name
    variance_matching: Name


class Figure4(Section):
    """The image of a data set that is noised, and the softness of the sequential schedules."""

    data: Name
    split: Literal["train", "test"]
    image: NonNegative
    times: Annotated[int, Field(ge=2, le=12)]
    seed: int
    gamma_denoise: Annotated[float, Field(lt=0)]
    haar: HaarBasis
    columns_b: Annotated[float, Field(ge=0, lt=1)]
    wavelets: Softness


class Figure5(Section):
    experiment: Name
    box: dict[Literal["a", "r"], tuple[float, float]]


class Figure6(Section):
    columns: Annotated[int, Field(ge=2, le=10)]
    b: list[Annotated[float, Field(ge=0, lt=1)]] = Field(min_length=1, max_length=5)
    gamma_denoise: Annotated[float, Field(lt=0)]


class Figure7(Section):
    experiment: Name
    grids: list[Grid]
    settings: StripSettings
    strip: NonNegative
    """Which strip is shown in the making."""


class Figure8(Section):
    experiment: Name
    grids: list[Grid]
    settings: ReconstructionSettings


class Figure9(Section):
    experiment: Name
    grids: list[Grid]
    sampling: Sampling
    image: NonNegative
    """Which of the samples is shown; it selects the random key."""


class OneExperiment(Section):
    experiment: Name


class Columns(Section):
    experiments: list[Name]


class Figures(Section):
    """The figures and tables that a preset makes; those not named are not made."""

    figure2: Figure2 | None = None
    figure3: Figure3 | None = None
    figure4: Figure4 | None = None
    figure5: Figure5 | None = None
    figure6: Figure6 | None = None
    figure7: Figure7 | None = None
    figure8: Figure8 | None = None
    figure9: Figure9 | None = None
    wavelets: OneExperiment | None = None
    columns: Columns | None = None

    def named(self) -> dict[str, Section]:
        return {
            name: section for name in type(self).model_fields if (section := getattr(self, name))
        }


def experiments_of(figure: Section) -> list[str]:
    """Names of the experiments behind a figure."""
    values = figure.model_dump()
    keys = ("experiment", "isotropic", "variance_matching")
    return [values[key] for key in keys if key in values] + values.get("experiments", [])


class JobBatches(Section):
    """Batches of images that one job computes."""

    nll: Positive
    samples: Positive


class Compute(Section):
    """What one job of the workflow does and asks for; memory and time grow with each attempt."""

    gpu: NonNegative
    train_gpu: NonNegative
    """GPUs of one training, which share its batches."""
    threads: Positive
    mem_mb: Positive
    train_minutes: Positive
    evaluate_minutes: Positive
    job_batches: JobBatches


class Preset(Section):
    """All experiments and figures of one scale, e.g. `demo` or `paper`."""

    stand_in: str
    seed: int
    quick: list[Name]
    """The figures of a first look."""
    compute: Compute
    downloads: dict[Name, Download]
    data: dict[Name, Data]
    titles: dict[Name, str]
    """What figures call the data sets."""
    experiments: dict[Name, Experiment]
    figures: Figures

    @model_validator(mode="after")
    def _names_exist(self) -> Preset:
        references: list[tuple[str, str | None, Collection[str]]] = []
        for name, figure in self.figures.named().items():
            for experiment in experiments_of(figure):
                references.append(
                    (f"an experiment of figures.{name}", experiment, self.experiments)
                )
        if self.figures.figure4:
            references.append(("figures.figure4.data", self.figures.figure4.data, self.data))
        for name in self.quick:
            references.append(("an entry of quick", name, self.figures.named()))
        for name in self.data.keys() | self.titles.keys():
            references.append((f"data.{name}", name, self.data))
            references.append((f"titles.{name}", name, self.titles))
        for name, data in self.data.items():
            for archive in archive_names(data):
                references.append((f"an archive of data.{name}", archive, self.downloads))
        for name, made in self.experiments.items():
            where = f"experiments.{name}"
            weights = made.quality.metric.weights
            references.append((f"{where}.data", made.data, self.data))
            references.append((f"{where}.quality.metric.weights", weights, self.downloads))
        for where, wanted, known in references:
            if wanted is not None and wanted not in known:
                raise ValueError(f"{where} = {wanted!r} must be one of {sorted(known)}")
        return self


def points(grids: list[Grid]) -> dict[str, Parameters]:
    """All points of several grids, without repeats, by identifier such as `a=0.4_r=0`."""
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
