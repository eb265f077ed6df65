"""Diffusion processes: the name and the constants of each.

A section here stands beside the class of its name in `gud.diffusion.processes.PROCESSES`, whose
arguments are the section's other keys.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, get_args

from pydantic import BeforeValidator, Field, TypeAdapter, model_serializer, model_validator

from gud.config.sections.section import PositiveFloat, Section

if TYPE_CHECKING:
    from gud.diffusion.processes import Process
    from gud.diffusion.recipes import Chosen


class ProcessSection(Section):
    """A process; one that has no constants is written as its name alone."""

    numbers: ClassVar[int] = 1
    """In the state of a component."""
    title: ClassVar[str]
    """In figures."""

    name: str

    @property
    def k(self) -> int:
        return self.numbers

    @property
    def friction(self) -> float:
        """Gamma, of the position; NaN where there is no such thing."""
        return math.nan

    def build(self) -> Process:
        from gud.diffusion.processes import PROCESSES

        constants = {key: getattr(self, key) for key in type(self).model_fields if key != "name"}
        return PROCESSES[self.name](**constants)

    @model_serializer(mode="wrap")
    def _as_written(self, dump: Callable[[Any], Any]) -> Any:
        return dump(self) if len(type(self).model_fields) > 1 else self.name


class OrnsteinUhlenbeckSettings(ProcessSection):
    """The variance-preserving process of equation 13."""

    title = "OU"

    name: Literal["ou"]


class RecipeSection(ProcessSection):
    """A process of several variables per component.

    Args:
        clock: `snr`: gamma is the noise level of the whole state, as it is for `ou`; `own`: the
            process runs for as long as `ou` does at gamma.
        matching: of training; `hybrid` marginalises the auxiliary start, `denoising` draws it.
    """

    numbers = 2

    clock: Literal["snr", "own"]
    matching: Literal["hybrid", "denoising"]

    @abstractmethod
    def matrices(self) -> Chosen:
        """D, Q, H and the start."""

    @model_validator(mode="after")
    def _can_be_built(self) -> RecipeSection:
        from gud.diffusion.recipes import Matrices

        Matrices(*self.matrices())
        return self


class PhaseSpaceSettings(RecipeSection):
    """Phase-space Langevin diffusion; kappa is the initial variance of the momentum over M."""

    title = "PSLD"

    name: Literal["psld"]
    Gamma: Annotated[float, Field(ge=0)]
    nu: PositiveFloat
    kappa: PositiveFloat

    @property
    def friction(self) -> float:
        return self.Gamma

    def matrices(self) -> Chosen:
        from gud.diffusion.recipes import phase_space

        return phase_space(self.Gamma, self.nu, self.kappa)


class CriticallyDampedSettings(RecipeSection):
    """Critically damped Langevin diffusion: `psld` with Gamma = 0."""

    title = "CLD"

    name: Literal["cld"]
    nu: PositiveFloat
    kappa: PositiveFloat

    @property
    def friction(self) -> float:
        return 0.0

    def matrices(self) -> Chosen:
        from gud.diffusion.recipes import phase_space

        return phase_space(self.friction, self.nu, self.kappa)


class ThirdOrderSettings(RecipeSection):
    """Third-order Langevin diffusion."""

    numbers = 3
    title = "third order"

    name: Literal["third_order"]
    kappa: PositiveFloat

    def matrices(self) -> Chosen:
        from gud.diffusion.recipes import third_order

        return third_order(self.kappa)


class AnyRecipeSettings(RecipeSection):
    """Any D, Q and H; `start` holds the initial variances of the auxiliary variables."""

    title = "recipe"

    name: Literal["recipe"]
    D: list[list[float]]
    Q: list[list[float]]
    H: list[list[float]]
    start: list[float]

    @property
    def k(self) -> int:
        return len(self.D)

    def matrices(self) -> Chosen:
        return self.D, self.Q, self.H, self.start

    @model_validator(mode="after")
    def _clock_never_stands_still(self) -> AnyRecipeSettings:
        if self.clock == "snr":
            self.build()
        return self


def _by_name(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


ProcessSettings = Annotated[
    OrnsteinUhlenbeckSettings
    | PhaseSpaceSettings
    | CriticallyDampedSettings
    | ThirdOrderSettings
    | AnyRecipeSettings,
    Field(discriminator="name"),
    BeforeValidator(_by_name),
]
PROCESSES: tuple[type[ProcessSection], ...] = get_args(get_args(ProcessSettings)[0])
BY_NAME = {get_args(section.model_fields["name"].annotation)[0]: section for section in PROCESSES}


def process_of(model: Mapping[str, Any]) -> ProcessSection:
    """The process in a model's settings as recorded; the first records knew of one alone."""
    recorded = model.get("process", next(iter(BY_NAME)))
    settings: ProcessSection = TypeAdapter(ProcessSettings).validate_python(recorded)
    return settings
