"""Sections of settings: what a job is called with, validated before any work starts.

No section has default values; `gud.preset` puts them together to whole experiments.
"""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gud.errors import InputError

Positive = Annotated[int, Field(gt=0)]
NonNegative = Annotated[int, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
PositiveFloat = Annotated[float, Field(gt=0)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Parameters = dict[str, float]
PARAMETERS: dict[str, dict[str, str]] = {
    "soft_conditioning": {"a": ">= 0", "r": "in [0, 1]"},
    "columns": {"b": "in [0, 1)"},
    "wavelet_columns": {"a": "in [0, 1)", "b": "in [0, 1)"},
}
"""The parameters of each schedule family, and where they may lie."""
STANDARD: dict[str, Parameters] = {
    "soft_conditioning": {"a": 1.0, "r": 0.0},
    "columns": {"b": 0.0},
    "wavelet_columns": {"a": 0.0, "b": 0.0},
}
"""The parameters at which a family is standard diffusion, if the prior is isotropic."""
UNION_TAGS = (
    {"natural_patches", "tissue_patches", "cifar10", "pcam", "images"}
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


class Archives(Section):
    """Downloads that hold the images of a split, in the order they are read."""

    train: list[Name] = Field(min_length=1)
    test: list[Name] = Field(min_length=1)


class Pcam(Section):
    source: Literal["pcam"]
    size: Literal[8, 12, 16, 24, 32, 48, 96]
    archives: Archives


class ImageArchives(Section):
    source: Literal["images"]
    size: Annotated[int, Field(ge=8, le=1024)]
    archives: Archives


class Download(Section):
    """A file from the network; any URL (also file://) that gives the same bytes will do.

    `sha256: unpublished` says that no checksum was found to hold the file against: the file is
    taken as it comes, and its provenance record says so beside the checksum that it turned out to
    have.
    """

    url: Annotated[str, Field(pattern="^(https?|file)://[^/?#]*/[^?#]*[^/?#]([?#]|$)")]
    sha256: Annotated[str, Field(pattern="^([0-9a-f]{64}|unpublished)$")]

    @property
    def file(self) -> str:
        """The file's own name: the last part of the URL's path."""
        return PurePosixPath(urlsplit(self.url).path).name


Data = Annotated[NaturalPatches | Cifar10 | Pcam | ImageArchives, Field(discriminator="source")]


def archive_names(data: Data) -> list[str]:
    """The downloads that a data set is made from, in the order of `gud.data`'s --archive."""
    match data:
        case Cifar10():
            return [data.archive]
        case Pcam() | ImageArchives():
            return [*data.archives.train, *data.archives.test]
    return []


class PlainBasis(Section):
    name: Literal["pixel", "pca", "fourier"]


class HaarBasis(Section):
    name: Literal["haar"]
    levels: Positive


BasisSettings = Annotated[PlainBasis | HaarBasis, Field(discriminator="name")]


class ScheduleSettings(Section):
    """A schedule family and the range of its parameters that a network is trained for.

    soft_conditioning: equations 18-20 with a and r; columns: equation 21 with b; wavelet_columns:
    equation 22 with a and b. `gamma_noise: auto` takes the smallest value that section 5.1 allows.
    """

    name: Literal["soft_conditioning", "columns", "wavelet_columns"]
    gamma_denoise: Annotated[float, Field(lt=0)]
    gamma_noise: Annotated[float, Field(gt=0)] | Literal["auto"]
    time_power: PositiveFloat
    ranges: dict[str, tuple[float, float]]

    @model_validator(mode="after")
    def _ranges_allowed(self) -> ScheduleSettings:
        check_parameters(self.name, {key: low for key, (low, _) in self.ranges.items()})
        check_parameters(self.name, {key: high for key, (_, high) in self.ranges.items()})
        for key, (low, high) in self.ranges.items():
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
    """Everything that determines a trained model but its data.

    `preconditioning`: what surrounds the network; see `gud.model.Model.eps`.
    """

    basis: BasisSettings
    prior: Literal["isotropic", "variance_matching"]
    process: Literal["ou"]
    schedule: ScheduleSettings
    preconditioning: Literal["none", "gaussian"]
    network: NetworkSettings


Grid = dict[str, Annotated[list[float], Field(min_length=1)]]
"""Points at which a trained model is evaluated: the product of the values of each parameter."""


def check_parameters(schedule: str, parameters: Parameters) -> None:
    """`ValueError` unless these are the parameters of a schedule family, inside their domain."""
    domains = PARAMETERS[schedule]
    if parameters.keys() != domains.keys():
        raise ValueError(
            f"{schedule} takes {' and '.join(domains)}, not {' and '.join(parameters) or 'nothing'}"
        )
    for key, value in parameters.items():
        inside = {
            ">= 0": value >= 0,
            "in [0, 1]": 0 <= value <= 1,
            "in [0, 1)": 0 <= value < 1,
        }
        if not inside[domains[key]]:
            raise ValueError(f"{key} = {value:g} must be {domains[key]}")


def point_name(parameters: Parameters) -> str:
    """The identifier of a point in file names, logs and tables, e.g. `a=0.4_r=0`.

    Snakemake splits names at commas when it hands a job to a cluster.
    """
    return "_".join(f"{key}={parameters[key]:g}" for key in sorted(parameters))


def parameters_of_point(name: str) -> Parameters:
    """The inverse of `point_name`."""
    try:
        return {key: float(value) for key, value in (part.split("=") for part in name.split("_"))}
    except ValueError:
        raise InputError(f"point {name!r} must read like a=0.4_r=0") from None


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
