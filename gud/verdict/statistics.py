"""The statistics that decide claims: each a number of a few contrasts, with a 95 % interval.

Minima and maxima over points that were searched are taken of the bounds of a band that holds for
all points at once, so that their intervals hold for whichever point was picked on the same images.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from gud.verdict.contrasts import Estimates, Numbers, estimate


@dataclass(frozen=True)
class Effect:
    """What a statistic comes to.

    Args:
        value: the estimate; a maximum over points is taken as it was found.
        low, high: its 95 % interval.
        stderr, parts: standard error of the contrast that gives the value, and its parts.
        detectable: the size of it that would have been seen, see `Estimates.detectable`.
        searched: contrasts that the interval is corrected for.
        at: number of the point that gives the value, if it was searched for.
    """

    value: float
    low: float
    high: float
    stderr: float
    parts: dict[str, float]
    detectable: float
    searched: int
    at: int | None = None


def mean(numbers: Numbers) -> Effect:
    """The mean over the points."""
    points = numbers.values.shape[1]
    return _single(numbers, np.full(points, 1 / points))


def difference(numbers: Numbers) -> Effect:
    """Mean over the first half of the points less that over the second half."""
    half = numbers.values.shape[1] // 2
    return _single(numbers, np.repeat([1 / half, -1 / half], half))


def slope(numbers: Numbers, x: Float[np.ndarray, " points"]) -> Effect:
    """Change of the number for a unit of x, by least squares."""
    return _single(numbers, _slope(x))


def difference_of_slopes(numbers: Numbers, x: Float[np.ndarray, " half"]) -> Effect:
    """The slope over x on the first half of the points less that on the second half."""
    return _single(numbers, np.concatenate([_slope(x), -_slope(x)]))


def lowest(numbers: Numbers) -> Effect:
    """The lowest of the numbers."""
    found = estimate(numbers, np.eye(numbers.values.shape[1]))
    return _extreme(found, np.arange(len(found.value)), np.min)


def gain(numbers: Numbers, standard: int) -> Effect:
    """By how much the lowest of the other points lies below the standard one."""
    points = np.eye(numbers.values.shape[1])
    others = np.delete(np.arange(len(points)), standard)
    found = estimate(numbers, points[standard] - points[others])
    return _extreme(found, others, np.max)


def spread(numbers: Numbers) -> Effect:
    """The largest less the smallest number."""
    points = np.eye(numbers.values.shape[1])
    first, second = np.triu_indices(len(points), 1)
    both = np.concatenate([points[first] - points[second], points[second] - points[first]])
    found = estimate(numbers, both)
    return _extreme(found, np.concatenate([first, second]), np.max)


def optimum_inside(numbers: Numbers, inside: Bool[np.ndarray, " points"]) -> Effect:
    """Lowest of the points outside a region less the lowest of those inside it.

    It is above 0 if and only if the optimum lies inside. min over those outside of the max over
    those inside of all their differences, whose bounds have the same order.
    """
    points = np.eye(numbers.values.shape[1])
    within, without = np.flatnonzero(inside), np.flatnonzero(~inside)
    pairs = [points[one] - points[other] for one in without for other in within]
    found = estimate(numbers, np.array(pairs))
    shape = len(without), len(within)

    def decided(bound: Float[np.ndarray, " pairs"]) -> float:
        return float(bound.reshape(shape).max(1).min())

    outer = int(found.value.reshape(shape).max(1).argmin())
    contrast = outer * len(within) + int(found.value.reshape(shape)[outer].argmax())
    best = int(numbers.values.mean(0).argmin())
    return _effect(found, contrast, decided(found.low), decided(found.high), best)


def _slope(x: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
    centred = x - x.mean()
    return centred / (centred @ centred)


def _single(numbers: Numbers, coefficients: Float[np.ndarray, " points"]) -> Effect:
    found = estimate(numbers, coefficients[None])
    return _effect(found, 0, float(found.low[0]), float(found.high[0]))


def _extreme(
    found: Estimates, points: np.ndarray, choose: Callable[[np.ndarray], np.floating]
) -> Effect:
    contrast = int(np.flatnonzero(found.value == choose(found.value))[0])
    low, high = float(choose(found.low)), float(choose(found.high))
    return _effect(found, contrast, low, high, int(points[contrast]))


def _effect(
    found: Estimates, contrast: int, low: float, high: float, at: int | None = None
) -> Effect:
    return Effect(
        value=float(found.value[contrast]),
        low=low,
        high=high,
        stderr=float(found.stderr[contrast]),
        parts={name: float(part[contrast]) for name, part in found.parts.items()},
        detectable=found.detectable(contrast),
        searched=len(found.value),
        at=at,
    )
