"""Paths of one's own: knots for groups of components, inside the region of soft conditioning.

Soft conditioning ordered by variance (equations 18-20 at r = 0) passes through the noising states

    gamma_i = log V_i + h(l_i),    l_i = -log Sigma_i,

whose level h rises along the ordering l with one slope, the inverse softness a. A free path has a
slope of its own in each group of neighbouring components, which changes along the path: for one
group it stays among the states of the family, for several it joins what the family has at different
a. The levels at the limits of the groups are linear in time between knots, so that they are in the
region at all times if they are at the knots, and so is whatever lies between two such paths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from gud.diffusion.representation import Representation
from gud.diffusion.schedules.ends import GammaNoise, gamma_noise_of
from gud.diffusion.schedules.schedule import PiecewiseLinear
from gud.errors import InputError

ROUNDING = 1e-9
"""By which levels may miss the region."""

Levels = Float64[Tensor, "knots limits"]


@dataclass(frozen=True)
class Free(PiecewiseLinear):
    """Levels at knots, linear in time and along the ordering between them.

    gamma_i(t) = log V_i + sum_kg u_k(t) w_g(l_i) h_kg

    with the hat functions u_k of K knots at even times from 0 to 1 and w_g of the limits of groups.

    Args:
        log_variance: log V_i, shape (components,).
        ordering: l_i, shape (components,).
        limits: of the groups, from the least l_i to the largest, increasing, shape (limits,).
        levels: h_kg, nondecreasing in k, shape (knots, limits).
    """

    log_variance: Float[Tensor, " components"]
    ordering: Float[Tensor, " components"]
    limits: Float[Tensor, " limits"]
    levels: Levels

    @property
    def kinks(self) -> tuple[float, ...]:
        last = len(self.levels) - 1
        return tuple(knot / last for knot in range(1, last))

    @cached_property
    def hats(self) -> Float64[Tensor, "limits components"]:
        """w_g(l_i): which part each component has of the limits of its group."""
        limits, ordering = self.limits.double(), self.ordering.double()
        group = (torch.searchsorted(limits, ordering, right=True) - 1).clamp(0, len(limits) - 2)
        part = (ordering - limits[group]) / (limits[group + 1] - limits[group])
        hats = torch.zeros(len(limits), len(ordering), dtype=torch.float64, device=limits.device)
        columns = torch.arange(len(ordering), device=limits.device)
        hats[group, columns], hats[group + 1, columns] = 1 - part, part
        return hats

    @property
    def device(self) -> torch.device:
        return self.levels.device

    def gamma(self, t: Float[Tensor, " batch"]) -> Float[Tensor, "batch components"]:
        piece, levels = self._piece(t)
        part = (t * (len(levels) - 1) - piece)[:, None]
        at = levels[piece] + part * (levels[piece + 1] - levels[piece])
        return self.log_variance.to(t) + at @ self.hats.to(t)

    def d_gamma_dt(self, t: Float[Tensor, " batch"]) -> Float[Tensor, "batch components"]:
        piece, levels = self._piece(t)
        return (len(levels) - 1) * (levels[piece + 1] - levels[piece]) @ self.hats.to(t)

    def _piece(self, t: Float[Tensor, " batch"]) -> tuple[Tensor, Tensor]:
        """The knot before each time, from which there is another one, and the levels."""
        last = len(self.levels) - 1
        return (t * last).floor().long().clamp(0, last - 1), self.levels.to(t)


@dataclass(frozen=True)
class Region:
    """The states that a free path may pass through.

    Those whose levels rise along the ordering with slopes in the range of a, and that satisfy both
    ends of equation 19. A path begins at h(l_max) = gamma_denoise and ends at h(l_min) =
    gamma_noise, as those of soft conditioning do.

    Args:
        limits: of the groups, shape (limits,).
        a: least and largest inverse softness.
        gamma_denoise, gamma_noise: of equation 19.
    """

    limits: Float64[Tensor, " limits"]
    a: tuple[float, float]
    gamma_denoise: float
    gamma_noise: float

    def levels(self, slopes: Float64[Tensor, "knots groups"]) -> Levels:
        """A path of the region with these slopes, as far as gamma can rise along it.

        Its knots lie at even steps of the mean of the groups' middles. Where a component would be
        noised less than at an earlier knot, it rests: maxima and minima of states of the region are
        in it.

        Args:
            slopes: of each group at each knot, in the range of a.
        """
        rise = torch.cat([torch.zeros_like(slopes[:, :1]), slopes * self.limits.diff()], 1)
        shape = rise.cumsum(1)
        shape = shape - (shape[:, 1:] + shape[:, :-1]).mean(1, keepdim=True) / 2
        first, last = self.gamma_denoise - shape[0, -1], self.gamma_noise - shape[-1, 0]
        steps = torch.linspace(0, 1, len(slopes), dtype=torch.float64, device=slopes.device)
        wanted = shape + (first + steps * (last - first))[:, None]
        return torch.minimum(wanted.cummax(0).values, wanted[-1])

    def standard(self, knots: int) -> Levels:
        """Standard diffusion, a = 1."""
        return self.levels(self.limits.new_ones(knots, len(self.limits) - 1))

    def outside(self, levels: Levels) -> str | None:
        """What of a path is not in the region, if anything is not."""
        slopes = levels.diff(dim=1) / self.limits.diff()
        low, high = self.a
        if (levels.diff(dim=0) < -ROUNDING).any():
            return "falls from one knot to the next"
        if slopes.min() < low - ROUNDING or slopes.max() > high + ROUNDING:
            return (
                f"has slopes from {float(slopes.min()):g} to {float(slopes.max()):g}, outside of "
                f"a = [{low:g}, {high:g}]"
            )
        ends = float(levels[0, -1]), float(levels[-1, 0])
        wanted = self.gamma_denoise, self.gamma_noise
        if max(abs(end - due) for end, due in zip(ends, wanted, strict=True)) > ROUNDING:
            return f"goes from {ends[0]:g} to {ends[1]:g}, not from {wanted[0]:g} to {wanted[1]:g}"
        return None


def region(
    representation: Representation,
    groups: int,
    a: tuple[float, float],
    gamma_denoise: float,
    gamma_noise: GammaNoise,
) -> Region:
    """The region of a representation, with groups of equally many components."""
    ordering = -representation.log_data_variance.double()
    shares = torch.linspace(0, 1, groups + 1, dtype=torch.float64, device=ordering.device)
    limits = torch.quantile(ordering, shares)
    if not (limits.diff() > 0).all():
        raise InputError(
            f"schedule.groups = {groups} must be less: the components are of so few variances that "
            "two limits of groups coincide"
        )
    return Region(limits, a, gamma_denoise, gamma_noise_of(representation, gamma_noise))


def free(
    representation: Representation,
    s: float,
    *,
    groups: int,
    knots: int,
    a: tuple[float, float],
    levels: Sequence[Sequence[float]] | None,
    gamma_denoise: float = -7.0,
    gamma_noise: GammaNoise = "auto",
) -> Free:
    """The path at a part s of the way from standard diffusion to the one with the given levels.

    Args:
        s: 0 is standard diffusion, 1 the path of the levels.
        groups: of components, with limits at quantiles of the ordering.
        knots: along the path.
        a: range of the inverse softness in a group.
        levels: shape (knots, groups + 1); None while no path has been found, for standard
            diffusion at any s.

    Raises:
        InputError: the levels are not in the region of the representation.
    """
    within = region(representation, groups, a, gamma_denoise, gamma_noise)
    standard = within.standard(knots)
    found = standard if levels is None else standard.new_tensor(levels)
    if found.shape != standard.shape:
        raise InputError(
            f"schedule.levels has shape {tuple(found.shape)}, expected {tuple(standard.shape)} for "
            f"{knots} knots and {groups} groups"
        )
    if what := within.outside(found):
        raise InputError(f"schedule.levels {what}")
    return Free(
        representation.log_variance,
        -representation.log_data_variance,
        within.limits,
        torch.lerp(standard, found, s),
    )
