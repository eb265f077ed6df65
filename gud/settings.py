"""Settings of experiments and presets, validated before any work starts.

A preset is one YAML file in `config/`; `load_preset` returns it checked, with the `defaults`
section merged under every experiment. Python holds no default values: what is not in the file is an
error.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gud.errors import InputError

Positive = Annotated[int, Field(gt=0)]
NonNegative = Annotated[int, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
PositiveFloat = Annotated[float, Field(gt=0)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Parameters = dict[str, float]
RANGES = {"a": (0.0, None), "r": (0.0, 1.0)}
"""Allowed values of the schedule parameters."""
UNION_TAGS = (
    {"natural_patches", "tissue_patches", "cifar10"}
    | {"pixel", "pca", "fourier", "haar"}
    | {"ncsnpp", "cross_attention"}
)
"""Which member of a union an error lies in: part of pydantic's location, not of the file's."""


class Section(BaseModel):
    """A section of a preset: unknown keys, wrong types and non-finite numbers are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


S = TypeVar("S", bound=Section)


class NaturalPatches(Section):
    source: Literal["natural_patches", "tissue_patches"]
    size: Annotated[int, Field(ge=8, le=64)]
    stride: Positive


class Cifar10(Section):
    source: Literal["cifar10"]
    archive: Name


class Download(Section):
    """A file from the network; any URL (also file://) that gives the same bytes will do."""

    url: Annotated[str, Field(pattern="^(https?|file)://")]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


Data = Annotated[NaturalPatches | Cifar10, Field(discriminator="source")]


class PlainBasis(Section):
    name: Literal["pixel", "pca", "fourier"]


class HaarBasis(Section):
    name: Literal["haar"]
    levels: Positive


BasisSettings = Annotated[PlainBasis | HaarBasis, Field(discriminator="name")]


class ScheduleSettings(Section):
    """Equations 18-20; `gamma_noise: auto` takes the smallest value that section 5.1 allows."""

    name: Literal["soft_conditioning"]
    gamma_denoise: Annotated[float, Field(lt=0)]
    gamma_noise: Annotated[float, Field(gt=0)] | Literal["auto"]
    time_power: PositiveFloat
    ranges: dict[Literal["a", "r"], tuple[float, float]]

    @model_validator(mode="after")
    def _ranges_allowed(self) -> ScheduleSettings:
        for key in ("a", "r"):
            if key not in self.ranges:
                raise ValueError(f"ranges must give {key} as [lowest, highest]")
            low, high = self.ranges[key]
            check_parameter(key, low)
            check_parameter(key, high)
            if low > high:
                raise ValueError(f"ranges.{key} = [{low:g}, {high:g}] must be [lowest, highest]")
        return self


class UNetSettings(Section):
    """The U-Net that all networks share."""

    name: str
    width: Positive
    multipliers: list[Positive]
    blocks: Positive
    attention: list[Positive]
    dropout: Annotated[float, Field(ge=0, lt=1)]


class NCSNppSettings(UNetSettings):
    name: Literal["ncsnpp"]
    gamma_width: NonNegative
    gamma_blocks: Positive
    time_scale: PositiveFloat


class CrossAttentionSettings(UNetSettings):
    """App. A; `gamma_attention` lists image sizes, as `attention` does."""

    name: Literal["cross_attention"]
    gamma_attention: list[Positive]
    tokens_width: Positive
    mixer_layers: NonNegative
    heads: Positive
    time_scale: PositiveFloat


NetworkSettings = Annotated[NCSNppSettings | CrossAttentionSettings, Field(discriminator="name")]


class TrainingSettings(Section):
    steps: Positive
    batch_size: Positive
    learning_rate: PositiveFloat
    warmup_steps: NonNegative
    gradient_clip: PositiveFloat | None
    ema: Annotated[float, Field(ge=0, lt=1)]
    flip: bool
    precision: Literal["auto", "bfloat16", "float32"]
    checkpoint_every: Positive
    log_every: Positive


class ModelSettings(Section):
    """Everything that determines a trained model but its data."""

    basis: BasisSettings
    prior: Literal["isotropic", "variance_matching"]
    process: Literal["ou"]
    schedule: ScheduleSettings
    network: NetworkSettings


class Grid(Section):
    """Points at which a trained model is evaluated: a product of schedule parameters."""

    a: list[float] = Field(min_length=1)
    r: list[float] = Field(min_length=1)

    @model_validator(mode="after")
    def _values_allowed(self) -> Grid:
        for key in ("a", "r"):
            for value in getattr(self, key):
                check_parameter(key, value)
        return self

    def points(self) -> Iterator[Parameters]:
        for a, r in itertools.product(self.a, self.r):
            yield {"a": a, "r": r}


class Likelihood(Section):
    """Settings of the probability-flow likelihood (App. B)."""

    images: Positive
    batch_size: Positive
    probes: Positive
    method: Literal["tsit5", "dopri5", "rk4"]
    rtol: PositiveFloat
    atol: PositiveFloat
    steps: Positive | None
    coordinates: Literal["components", "standardised"]
    start: Literal["data", "noised"]

    @model_validator(mode="after")
    def _steps_for_fixed_step(self) -> Likelihood:
        if (self.method == "rk4") != (self.steps is not None):
            raise ValueError("steps must be a number for method rk4 and null for adaptive methods")
        return self


class Sampling(Section):
    """Settings of the sampler whose images the sample quality is measured on."""

    images: Positive
    batch_size: Positive
    method: Literal["euler_maruyama", "ode"]
    steps: Positive
    rtol: PositiveFloat
    atol: PositiveFloat
    noise_free_last_step: bool


class Quality(Section):
    extractor: Literal["random", "inception"]
    extractor_seed: int
    reference: Literal["train", "test"]
    reference_images: Positive | None
    weights: Name | None
    stderr_groups: NonNegative
    batch_size: Positive

    @model_validator(mode="after")
    def _inception_has_weights(self) -> Quality:
        if (self.extractor == "inception") != (self.weights is not None):
            raise ValueError("weights must name a download for inception and be null for random")
        return self


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
        for task, grids in (("nll", self.nll.grids), ("quality", self.quality.grids)):
            for point in points(grids).values():
                for key, value in point.items():
                    low, high = self.schedule.ranges[key]
                    if not low <= value <= high:
                        raise ValueError(
                            f"{task}.grids asks for {key} = {value:g}, which must lie in the "
                            f"trained range [{low:g}, {high:g}]"
                        )
        frequencies = self.basis.name == "fourier"
        if not frequencies and self.schedule.ranges["r"] != (0.0, 0.0):
            raise ValueError(f"schedule.ranges.r must be [0, 0] for basis {self.basis.name}")
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
        references = [
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
            references.append(
                (f"data.{name}.archive", getattr(data, "archive", None), self.downloads)
            )
        for name, experiment in self.experiments.items():
            where = f"experiments.{name}"
            weights = experiment.quality.metric.weights
            references.append((f"{where}.data", experiment.data, self.data))
            references.append((f"{where}.quality.metric.weights", weights, self.downloads))
        for where, name, known in references:
            if name is not None and name not in known:
                raise ValueError(f"{where} = {name!r} must be one of {sorted(known)}")
        return self


def check_parameter(key: str, value: float) -> None:
    """Refuse a schedule parameter outside its mathematical domain."""
    low, high = RANGES[key]
    if value < low or (high is not None and value > high):
        allowed = f">= {low:g}" if high is None else f"in [{low:g}, {high:g}]"
        raise ValueError(f"{key} = {value:g} must be {allowed}")


def points(grids: list[Grid]) -> dict[str, Parameters]:
    """All points of several grids, without repeats, by identifier such as `a=0.4,r=0`."""
    return {point_name(point): point for grid in grids for point in grid.points()}


def point_name(parameters: Parameters) -> str:
    """The identifier of a point in file names, logs and tables."""
    return ",".join(f"{key}={value:g}" for key, value in parameters.items())


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


def validate(section: type[S], raw: Any, source: str) -> S:
    """`raw` as a section; an `InputError` names the first wrong key, its value, what is allowed."""
    try:
        # Through JSON, so that YAML lists may fill tuples while types stay strict.
        return section.model_validate_json(json.dumps(raw))
    except ValidationError as error:
        raise InputError(_sentence(error, source)) from None
    except (TypeError, ValueError) as error:
        raise InputError(f"{source} holds a value that JSON cannot express: {error}") from None


def _sentence(error: ValidationError, source: str) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"] if part not in UNION_TAGS)
    message = first["msg"].removeprefix("Value error, ")
    match first["type"]:
        case "extra_forbidden":
            return f"{source}: {key} is not a known key"
        case "missing":
            return f"{source}: {key} is missing"
        case "value_error":
            return f"{source}: {key + ': ' if key else ''}{message}"
    value = json.dumps(first["input"], default=str)
    return f"{source}: {key} = {value[:60]} is not allowed: {message[0].lower()}{message[1:]}"
