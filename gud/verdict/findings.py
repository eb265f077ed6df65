"""How the claims fare: confirmed, refuted or undecided at 95 %, or no data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gud.verdict import statistics
from gud.verdict.claims import Claim, Condition, Rows
from gud.verdict.numbers import Label, Number, combined
from gud.verdict.statistics import Effect

Verdict = Literal["confirmed", "refuted", "undecided", "no data"]
Point = tuple[Label | None, ...]
"""The labels that tell a number from others of the same seed."""
Selection = dict[tuple[int, Point], Number]


@dataclass(frozen=True)
class Finding:
    """A claim, and what the numbers say of it.

    Args:
        name: of the claim.
        reason: why there is no more of a verdict.
        at: the point that was found by the search, if the statistic searches.
        of_seeds: the effect in the networks of each training seed alone.
        points: how many it rests on.
        data: the data set.
    """

    name: str
    claim: Claim
    verdict: Verdict
    reason: str = ""
    effect: Effect | None = None
    at: str = ""
    of_seeds: tuple[float, ...] = ()
    points: int = 0
    data: str = ""
    tables: tuple[str, ...] = ()


class _NoData(Exception):
    """Why a claim cannot be put to the test."""


def judge(claims: Mapping[str, Claim], numbers: Sequence[Number]) -> list[Finding]:
    """A finding for each claim."""
    return [_judge(name, claim, numbers) for name, claim in claims.items()]


def _judge(name: str, claim: Claim, numbers: Sequence[Number]) -> Finding:
    numbers = [number for number in numbers if number.measure == claim.measure]
    try:
        seeds, points, stacked = _stacked(claim, numbers)
        effect = _effect(claim, points, stacked)
    except _NoData as missing:
        return Finding(name, claim, "no data", str(missing))
    verdict, reason = _verdict(claim.holds, effect, len(seeds))
    used = [number for seed in stacked for number in seed]
    return Finding(
        name,
        claim,
        verdict,
        reason,
        effect,
        at="" if effect.at is None else _point_text(claim, points[effect.at]),
        of_seeds=tuple(_effect(claim, points, [seed]).value for seed in stacked),
        points=len(points),
        data=str(used[0].labels["data"]),
        tables=tuple(sorted({number.table for number in used})),
    )


def _stacked(
    claim: Claim, numbers: Sequence[Number]
) -> tuple[list[int], list[Point], list[list[Number]]]:
    """Seeds, points and, for each seed, the numbers: `rows` at all points, then `minus`."""
    sides = [_selected(claim, numbers, claim.rows)]
    if claim.minus is not None:
        sides.append(_selected(claim, numbers, claim.minus))
        sides = _matched(sides)
    seeds = sorted(set.intersection(*({seed for seed, _ in side} for side in sides)))
    if not seeds:
        raise _NoData("the two sides share no training seed")
    points = sorted(
        {
            point
            for _, point in sides[0]
            if all((s, point) in side for s in seeds for side in sides)
        },
        key=_order,
    )
    if not points:
        raise _NoData("there is no point that every training seed was evaluated at")
    stacked = [[side[seed, point] for side in sides for point in points] for seed in seeds]
    data = {str(number.labels["data"]) for seed in stacked for number in seed}
    if len(data) > 1:
        raise _NoData(f"the numbers are of different data: {', '.join(sorted(data))}")
    return seeds, points, stacked


def _selected(claim: Claim, numbers: Sequence[Number], rows: Rows) -> Selection:
    wanted = {name: value if isinstance(value, list) else [value] for name, value in rows.items()}
    found: Selection = {}
    for number in numbers:
        if any(number.labels.get(label) not in values for label, values in wanted.items()):
            continue
        key = int(number.labels["seed"]), tuple(number.labels.get(label) for label in claim.over)
        other = found.setdefault(key, number)
        if other is not number:
            raise _NoData(f"{other.path} and {number.path} are one point for it")
    if not found:
        parts = [f"{name} {' or '.join(map(str, values))}" for name, values in wanted.items()]
        raise _NoData(f"no {claim.measure} of {', '.join(parts)}")
    return found


def _matched(sides: list[Selection]) -> list[Selection]:
    """Sides of a single point each are compared whatever their points are."""
    single = [len({point for _, point in side}) == 1 for side in sides]
    if not all(single):
        return sides
    return [{(seed, ()): number for (seed, _), number in side.items()} for side in sides]


def _effect(claim: Claim, points: Sequence[Point], stacked: list[list[Number]]) -> Effect:
    if claim.relative and any(number.value <= 0 for seed in stacked for number in seed):
        raise _NoData("a number is not above 0, and has no logarithm")
    numbers = combined(stacked, claim.relative)
    match claim.statistic:
        case "slope" | "difference_of_slopes":
            x = np.array([point[0] for point in points], dtype=float)
            if len(set(x.tolist())) < 2:
                raise _NoData(f"a slope needs several values of {claim.over[0]}")
            x = np.log2(x) if claim.doublings else x
            return getattr(statistics, claim.statistic)(numbers, x)
        case "gain" | "spread" if len(points) < 2:
            raise _NoData("it needs several points")
        case "gain":
            wanted = tuple((claim.standard or {}).get(label) for label in claim.over)
            if wanted not in points:
                raise _NoData(f"no number of standard diffusion, {_point_text(claim, wanted)}")
            return statistics.gain(numbers, points.index(wanted))
        case "optimum_inside":
            within = np.array([_inside(claim, point) for point in points])
            if not within.any():
                raise _NoData("it needs points inside of the region")
            _check_surrounded(claim, points)
            return statistics.optimum_inside(numbers, within)
    return getattr(statistics, claim.statistic)(numbers)


def _inside(claim: Claim, point: Point) -> bool:
    of = dict(zip(claim.over, point, strict=True))
    ranges = (claim.inside or {}).items()
    return all(low <= float(of[label] or 0) <= high for label, (low, high) in ranges)


def _check_surrounded(claim: Claim, points: Sequence[Point]) -> None:
    """Refuse a scan that ends within the region, where no label lies below 0."""
    for label, (low, high) in (claim.inside or {}).items():
        values = [float(point[claim.over.index(label)] or 0) for point in points]
        if max(values) <= high or (low > 0 and min(values) >= low):
            sides = f"above {high:g}" + (f" and below {low:g}" if low > 0 else "")
            raise _NoData(f"it needs points of {label} {sides}")


def _verdict(holds: Condition, effect: Effect, seeds: int) -> tuple[Verdict, str]:
    inside = holds.lowest < effect.low and effect.high < holds.highest
    outside = effect.high <= holds.lowest or effect.low >= holds.highest
    decided: Verdict = "confirmed" if inside else "refuted" if outside else "undecided"
    if not math.isfinite(effect.low + effect.high):
        return "undecided", "errors are not known"
    if decided == "undecided":
        return decided, f"an effect of {effect.detectable:.2g} would have been seen"
    if seeds == 1:
        return "undecided", f"one training seed, for which it is {decided}"
    return decided, ""


def _order(point: Point) -> tuple[tuple[float, str], ...]:
    """What is absent comes first, then numbers in their order, then names in theirs."""
    return tuple(
        (math.inf, label)
        if isinstance(label, str)
        else (-math.inf if label is None else float(label), "")
        for label in point
    )


def _point_text(claim: Claim, point: Point) -> str:
    named = zip(claim.over, point, strict=False)
    return ", ".join(f"{label} = {value}" for label, value in named if value is not None)
