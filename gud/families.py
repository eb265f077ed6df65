"""Schedule families: which path each value of the schedule parameters stands for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gud.errors import InputError
from gud.representation import Representation
from gud.schedules import (
    Reparametrised,
    Schedule,
    SoftConditioning,
    gamma_noise_default,
    ordering_by_frequency,
)
from gud.sequential import column_schedule, wavelet_schedule
from gud.settings import check_parameters


def schedule_from_settings(
    settings: dict[str, Any], representation: Representation, parameters: dict[str, float]
) -> Schedule:
    """The schedule of a family at given parameters.

    Args:
        settings: a `gud.settings.ScheduleSettings` section as JSON values.
        representation: gives variances, ordering variables and the labels of the components.
        parameters: a and r (soft_conditioning), b (columns), or a and b (wavelet_columns).
    """
    try:
        check_parameters(settings["name"], parameters)
    except ValueError as error:
        raise InputError(f"schedule parameters: {error}") from None
    base = _BUILDERS[settings["name"]](settings, representation, **parameters)
    power = settings["time_power"]
    return base if power == 1 else Reparametrised(base, power)


def _soft_conditioning(
    settings: dict[str, Any], representation: Representation, a: float, r: float
) -> Schedule:
    return SoftConditioning(
        log_variance=representation.log_variance,
        ordering=ordering_by_frequency(representation.log_sigma, representation.basis.frequency, r),
        a=a,
        gamma_denoise=settings["gamma_denoise"],
        gamma_noise=_gamma_noise(settings, representation),
    )


def _columns(settings: dict[str, Any], representation: Representation, b: float) -> Schedule:
    columns = representation.basis.columns
    if columns is None:
        raise InputError("schedule columns needs a basis with columns: pixel or haar")
    return column_schedule(columns, b, *_common_ends(settings, representation))


def _wavelet_columns(
    settings: dict[str, Any], representation: Representation, a: float, b: float
) -> Schedule:
    basis = representation.basis
    if basis.groups is None or basis.columns is None:
        raise InputError("schedule wavelet_columns needs the basis haar")
    return wavelet_schedule(
        basis.groups, basis.columns, a, b, *_common_ends(settings, representation)
    )


def _common_ends(settings: dict[str, Any], representation: Representation) -> tuple[float, float]:
    """gamma_min and gamma_max shared by all components: the weakest that satisfy equation 19."""
    log_variance = representation.log_variance
    return (
        settings["gamma_denoise"] + float(log_variance.min()),
        _gamma_noise(settings, representation) + float(log_variance.max()),
    )


def _gamma_noise(settings: dict[str, Any], representation: Representation) -> float:
    gamma_noise = settings["gamma_noise"]
    if gamma_noise == "auto":
        return gamma_noise_default(representation.log_variance)
    return gamma_noise


_BUILDERS: dict[str, Callable[..., Schedule]] = {
    "soft_conditioning": _soft_conditioning,
    "columns": _columns,
    "wavelet_columns": _wavelet_columns,
}
