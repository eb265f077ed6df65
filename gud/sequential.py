"""Sequential schedules: linear ramps of gamma that start one after the other (App. B, 21 and 22).

Outside its ramp a component is frozen: gamma stays at one end and beta is exactly 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gud.errors import InputError
from gud.schedules import Schedule


@dataclass(frozen=True)
class Sequential(Schedule):
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
    def kinks(self) -> tuple[float, ...]:  # type: ignore[override]
        """Times at which a component begins or ends, those closer than 1e-9 taken as one."""
        times = torch.cat([self.start, self.start + self.width]).double()
        inside = times[(times > 1e-9) & (times < 1 - 1e-9)]
        return tuple((inside / 1e-9).round().unique().mul(1e-9).tolist())

    def gamma(self, t: Float[Tensor, " batch"]) -> Float[Tensor, "batch components"]:
        progress = ((t[:, None] - self.start.to(t)) / self.width).clamp(0, 1)
        return self.gamma_min + (self.gamma_max - self.gamma_min) * progress

    def d_gamma_dt(self, t: Float[Tensor, " batch"]) -> Float[Tensor, "batch components"]:
        since = t[:, None] - self.start.to(t)
        active = (since >= 0) & (since < self.width)
        return active * ((self.gamma_max - self.gamma_min) / self.width)


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
    return Sequential(b * _reversed_fraction(columns), 1 - b, gamma_min, gamma_max)


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
    within = torch.zeros(len(columns), dtype=torch.float64)
    for group in groups.unique():
        members = groups == group
        within[members] = _reversed_fraction(columns[members])
    start = a * _reversed_fraction(groups) + (1 - a) * b * within
    return Sequential(start, (1 - a) * (1 - b), gamma_min, gamma_max)


def _reversed_fraction(index: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
    """(L - i) / (L - 1) for i = index + 1 in 1 .. L; 0 where there is one value only."""
    last = index.max()
    return (last - index).double() / last.clamp(min=1)


def _check_fraction(name: str, value: float) -> None:
    if not 0 <= value < 1:
        raise InputError(f"schedule parameter {name} = {value:g} must lie in [0, 1)")
