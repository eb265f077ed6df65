"""Schedule families: their parameters, the ranges that a network is trained for, what they need.

A section here stands beside the function of its name in `gud.diffusion.schedules.FAMILIES`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, get_args

from pydantic import Field, model_validator

from gud.config.sections.bases import WAVELETS
from gud.config.sections.section import Parameters, Positive, PositiveFloat, Section
from gud.errors import InputError

if TYPE_CHECKING:
    from gud.diffusion.representation import Representation
    from gud.diffusion.schedules import Schedule

ROUNDING = 1e-9
"""By which a draw from a range may miss it."""


class ScheduleFamily(Section):
    """A schedule family and the range of its parameters that a network is trained for.

    `gamma_noise: auto` takes the smallest value that section 5.1 allows for the prior, `common` the
    smallest that it allows for both priors, which then have the same range of log SNR.

    Attributes:
        domains: where each parameter may lie.
        standard: the parameters of standard diffusion, if the prior is isotropic.
        bases: that have the labels it needs; None for all.
        sequential: whether each component moves in one ramp, of a part prod (1 - parameter) of the
            path.
    """

    domains: ClassVar[dict[str, str]]
    standard: ClassVar[Parameters]
    bases: ClassVar[tuple[str, ...] | None] = None
    sequential: ClassVar[bool] = False

    name: str
    gamma_denoise: Annotated[float, Field(lt=0)]
    gamma_noise: Annotated[float, Field(gt=0)] | Literal["auto", "common"]
    time_power: PositiveFloat
    ranges: dict[str, tuple[float, float]]

    @model_validator(mode="after")
    def _ranges_allowed(self) -> ScheduleFamily:
        self.check({key: low for key, (low, _) in self.ranges.items()})
        self.check({key: high for key, (_, high) in self.ranges.items()})
        for key, (low, high) in self.ranges.items():
            if low > high:
                raise ValueError(f"ranges.{key} = [{low:g}, {high:g}] must be [lowest, highest]")
        return self

    @classmethod
    def check(cls, parameters: Parameters) -> None:
        """`ValueError` unless these are the parameters of the family, inside their domain."""
        if parameters.keys() != cls.domains.keys():
            name = cls.model_fields["name"].annotation
            raise ValueError(
                f"{get_args(name)[0]} takes {' and '.join(cls.domains)}, not "
                f"{' and '.join(parameters) or 'nothing'}"
            )
        for key, value in parameters.items():
            inside = {
                "> 0": value > 0,
                ">= 0": value >= 0,
                "in [0, 1]": 0 <= value <= 1,
                "in [0, 1)": 0 <= value < 1,
            }
            if not inside[cls.domains[key]]:
                raise ValueError(f"{key} = {value:g} must be {cls.domains[key]}")

    def build(self, representation: Representation, parameters: Parameters) -> Schedule:
        """The schedule at given parameters, inside the ranges or not."""
        from gud.diffusion.schedules import FAMILIES, Reparametrised

        try:
            self.check(parameters)
        except ValueError as error:
            raise InputError(f"schedule parameters: {error}") from None
        own = type(self).model_fields.keys() - {"name", "time_power", "ranges"}
        ends = {key: getattr(self, key) for key in own}
        path = FAMILIES[self.name](representation, **ends, **parameters)
        return path if self.time_power == 1 else Reparametrised(path, self.time_power)

    def outside(self, parameters: Parameters) -> str | None:
        """Which parameter lies outside the ranges that a network is trained for, if one does."""
        for key, (low, high) in self.ranges.items():
            value = parameters.get(key, low)
            if not low - ROUNDING <= value <= high + ROUNDING:
                return f"{key} = {value:g}, which must lie in the trained range [{low:g}, {high:g}]"
        return None


class SoftConditioning(ScheduleFamily):
    """Equations 18-20."""

    domains = {"a": ">= 0", "r": "in [0, 1]"}
    standard = {"a": 1.0, "r": 0.0}

    name: Literal["soft_conditioning"]


class Columns(ScheduleFamily):
    """Equation 21."""

    domains = {"b": "in [0, 1)"}
    standard = {"b": 0.0}
    bases = ("pixel", *WAVELETS)
    sequential = True

    name: Literal["columns"]


class WaveletColumns(ScheduleFamily):
    """Equation 22."""

    domains = {"a": "in [0, 1)", "b": "in [0, 1)"}
    standard = {"a": 0.0, "b": 0.0}
    bases = WAVELETS
    sequential = True

    name: Literal["wavelet_columns"]


class ConstantRate(ScheduleFamily):
    """A clock of constant rate beta for all components, from gamma_denoise on."""

    domains = {"beta": "> 0"}
    standard = {"beta": 8.0}

    name: Literal["constant_rate"]
    gamma_noise: Literal["auto"]


class FreePath(ScheduleFamily):
    """Paths between standard diffusion (s = 0) and one that was found (s = 1).

    Args:
        groups: of components, in the order of their variances.
        knots: along the path.
        a: inverse softness that a group may have.
        levels: of the path found, shape (knots, groups + 1); null until `gud search` fills them in.
    """

    domains = {"s": "in [0, 1]"}
    standard = {"s": 0.0}

    name: Literal["free"]
    groups: Positive
    knots: Annotated[int, Field(ge=2)]
    a: tuple[float, float]
    levels: list[list[float]] | None

    @model_validator(mode="after")
    def _standard_diffusion_inside(self) -> FreePath:
        low, high = self.a
        if not 0 <= low <= 1 <= high:
            raise ValueError(
                f"a = [{low:g}, {high:g}] must be [lowest, highest] around 1, standard diffusion"
            )
        return self


class PathSearch(Section):
    """Search for the path of schedule `free` with the lowest variational bound on training images.

    Args:
        steps: of Adam; the path is the mean of those of the second half.
        batch_size: training images of a step, each at one time of the path.
        learning_rate: of the slopes, the inverse softness of each group at each knot.
        images: further training images, on which the path is compared with standard diffusion.
        times: network evaluations for each of the `BOUND_REPLICATES` of that comparison.
    """

    steps: Annotated[int, Field(ge=2)]
    batch_size: Annotated[int, Field(ge=2)]
    learning_rate: PositiveFloat
    images: Annotated[int, Field(ge=2)]
    times: Positive


ScheduleSettings = Annotated[
    SoftConditioning | Columns | WaveletColumns | ConstantRate | FreePath,
    Field(discriminator="name"),
]
FAMILIES: tuple[type[ScheduleFamily], ...] = get_args(get_args(ScheduleSettings)[0])


def standard_parameters(names: Iterable[str]) -> Parameters | None:
    """Where the schedule family with these parameters is standard diffusion; None if none has."""
    wanted = set(names)
    return next((one.standard for one in FAMILIES if one.standard.keys() == wanted), None)
