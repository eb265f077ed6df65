"""Sequential schedules: linear ramps of gamma that start one after the other (App. B, 21 and 22).

Outside its ramp a component is frozen: gamma stays at one end and beta is exactly 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gud.diffusion.representation import Representation
from gud.diffusion.schedules.ends import GammaNoise, common_ends
from gud.diffusion.schedules.schedule import PiecewiseLinear
from gud.errors import InputError

ROUNDING = 1e-14
"""Kinks that differ by less are taken as one."""


@dataclass(frozen=True)
class Sequential(PiecewiseLinear):
    """Ramps from gamma_min to gamma_max that begin at `start_i` and all last `width`.

    gamma_i(t) = clip(gamma_min + (gamma_max - gamma_min) (t - start_i) / width)

    Args:
        start: when each component begins to be noised, shape (components,), in [0, 1 - width].
        width: duration of a ramp, in (0, 1]; 1 is standard diffusion.
        gamma_min, gamma_max: the same for every component.
    """

    start: Float[Tensor, " components"]
    width: float
    gamma_min: float
    gamma_max: float

    @cached_property
    def kinks(self) -> tuple[float, ...]:
        """Times at which a component begins or ends; of those that rounding told apart, one."""
        times = torch.cat([self.start, self.start + self.width]).double().unique()
        kinks = [0.0]
        for time in times.tolist():
            if kinks[-1] + ROUNDING < time < 1 - ROUNDING:
                kinks.append(time)
        return tuple(kinks[1:])

    @property
    def device(self) -> torch.device:
        return self.start.device

    def gamma(self, t: Float[Tensor, " batch"]) -> Float[Tensor, "batch components"]:
        progress = ((t[:, None] - self.start.to(t)) / self.width).clamp(0, 1)
        return self.gamma_min + (self.gamma_max - self.gamma_min) * progress

    def d_gamma_dt(self, t: Float[Tensor, " batch"]) -> Float[Tensor, "batch components"]:
        start = self.start.to(t)
        active = (start <= t[:, None]) & (t[:, None] < start + self.width)
        return active.to(t) * ((self.gamma_max - self.gamma_min) / self.width)


def columns(
    representation: Representation,
    b: float,
    *,
    gamma_denoise: float = -7.0,
    gamma_noise: GammaNoise = "auto",
) -> Sequential:
    """The column-sequential schedule of a representation in pixels or wavelets, equation 21."""
    if representation.columns is None:
        raise InputError("schedule columns needs a basis with columns: pixels or wavelets")
    ends = common_ends(representation, gamma_denoise, gamma_noise)
    return column_schedule(representation.columns, b, *ends)


def wavelet_columns(
    representation: Representation,
    a: float,
    b: float,
    *,
    gamma_denoise: float = -7.0,
    gamma_noise: GammaNoise = "auto",
) -> Sequential:
    """The wavelet-and-column schedule of a representation in wavelets, equation 22."""
    if representation.groups is None or representation.columns is None:
        raise InputError("schedule wavelet_columns needs a basis of wavelets")
    ends = common_ends(representation, gamma_denoise, gamma_noise)
    return wavelet_schedule(representation.groups, representation.columns, a, b, *ends)


def column_schedule(
    columns: Int[Tensor, " components"], b: float, gamma_min: float, gamma_max: float
) -> Sequential:
    """The column-sequential schedule, equation 21.

    t_i = b (L - i) / (L - 1) for columns i = 1 .. L from the left, so that the left column is
    noised last and generated first. b = 0 is standard diffusion, b -> 1 autoregressive.

    Args:
        columns: column of each component, counted from 0.
    """
    _check_fraction("b", b)
    return Sequential(b * _reversed_fraction(columns, columns.max()), 1 - b, gamma_min, gamma_max)


def wavelet_schedule(
    groups: Int[Tensor, " components"],
    columns: Int[Tensor, " components"],
    a: float,
    b: float,
    gamma_min: float,
    gamma_max: float,
) -> Sequential:
    """The wavelet-and-column schedule, equation 22.

    Groups i = 1 .. N run from coarse to fine (the low-pass array, then the high-frequency arrays),
    columns j = 1 .. L_i within each from the left; the first of each is noised last. A ramp lies at
    t_i - c_ij in [0, 1 - b] with t_i = clip((t - c_i) / (1 - a)), c_i = a (N - i) / (N - 1) and
    c_ij = b (L_i - j) / (L_i - 1). The printed t_i = clip(t - c_i / (1 - a)) misplaces a bracket:
    with it the first group would never reach gamma_max.

    Args:
        groups: group of each component, counted from 0 (coarse).
        columns: column of each component within the arrays of its group, counted from 0.
    """
    _check_fraction("a", a)
    _check_fraction("b", b)
    last = torch.zeros_like(columns).scatter_reduce(0, groups, columns, "amax")[groups]
    within = _reversed_fraction(columns, last)
    start = a * _reversed_fraction(groups, groups.max()) + (1 - a) * b * within
    return Sequential(start, (1 - a) * (1 - b), gamma_min, gamma_max)


def _reversed_fraction(index: Int[Tensor, " n"], last: Int[Tensor, ...]) -> Float[Tensor, " n"]:
    """(L - i) / (L - 1) for i = index + 1 in 1 .. L = last + 1; 0 where L is 1."""
    return (last - index).double() / last.clamp(min=1)


def _check_fraction(name: str, value: float) -> None:
    if not 0 <= value < 1:
        raise InputError(f"schedule parameter {name} = {value:g} must lie in [0, 1)")
