"""Differences of the likelihood on the same images: between points, and between experiments."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from gud.config.jobs import Trained
from gud.config.sections.section import Parameters
from gud.report.points import (
    LikelihoodPoint,
    difference_factor,
    paired_difference,
    standard_parameters,
)

FACTORS = ("prior", "network_space", "preconditioning")
"""Settings of a model by which tables compare experiments."""
DIFFERENCE_COLUMNS = (
    *(
        f"nll_minus_{what}{end}"
        for what in ("standard", "best")
        for end in ("", "_stderr", "_band")
    ),
    *(f"nll_minus_other_{factor}{end}" for factor in FACTORS for end in ("", "_stderr")),
)

Key = tuple[str, tuple[tuple[str, float], ...]]
"""What identifies a row: experiment and parameters, in the order by which a table is sorted."""
Likelihoods = Mapping[str, Mapping[Key, LikelihoodPoint]]
"""The points of each experiment."""


def key_of(experiment: str, parameters: Parameters) -> Key:
    return experiment, tuple(sorted(parameters.items()))


def differences(likelihoods: Likelihoods) -> Iterator[tuple[Key, dict[str, float]]]:
    """`DIFFERENCE_COLUMNS` of each point.

    Every difference is NaN where there is nothing to compare with, or not on the same images.
    """
    made = {name: next(iter(points.values())).trained for name, points in likelihoods.items()}
    partner = {factor: partners(made, factor) for factor in FACTORS}
    for name, points in likelihoods.items():
        best = min(points.values(), key=lambda point: point.per_image.mean())
        band = difference_factor(points.values())
        for key, point in points.items():
            columns: dict[str, float] = {}
            standard = standard_parameters(parameter for parameter, _ in key[1])
            others = {"standard": points.get(key_of(name, standard or {})), "best": best}
            for what, other in others.items():
                mean, error = paired_difference(point, other)
                column = f"nll_minus_{what}"
                columns |= {column: mean, f"{column}_stderr": error, f"{column}_band": band * error}
            for factor, partner_of in partner.items():
                experiment = partner_of.get(name, "")
                other = likelihoods.get(experiment, {}).get((experiment, key[1]))
                mean, error = paired_difference(point, other)
                column = f"nll_minus_other_{factor}"
                columns |= {column: mean, f"{column}_stderr": error}
            yield key, columns


def partners(made: Mapping[str, Trained], factor: str) -> dict[str, str]:
    """The experiments that were made alike but for the factor, also from the same seed.

    Args:
        made: what made the model of each experiment, see `gud.config.jobs.trained`.
    """
    alike: dict[str, list[str]] = {}
    for name, trained in made.items():
        model = {key: value for key, value in trained["model"].items() if key != factor}
        same = [model, trained["data"], trained["seed"], trained["training"]]
        alike.setdefault(json.dumps(same, sort_keys=True), []).append(name)
    pairs = [
        pair
        for pair in alike.values()
        if len(pair) == len({made[name]["model"][factor] for name in pair}) == 2
    ]
    return {one: other for pair in pairs for one, other in (pair, reversed(pair))}
