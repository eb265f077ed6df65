"""Differences of the likelihood on the same images: between points, and between experiments."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from gud.config.jobs import Trained
from gud.config.sections.schedules import standard_parameters
from gud.config.sections.section import Parameters
from gud.errors import InputError
from gud.evaluate.points import LikelihoodPoint, difference_factor, paired_difference

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
ESTIMATES = ("nll", "bound")
"""Of which tables give the difference to a reference."""
REFERENCE_COLUMNS = (
    "reference",
    *(f"{estimate}_minus_reference{end}" for estimate in ESTIMATES for end in ("", "_stderr")),
)

Key = tuple[str, tuple[tuple[str, float], ...]]
"""What identifies a row: experiment and parameters, in the order by which a table is sorted."""
Columns = dict[str, str | float | None]
"""What a row holds, by the names of columns."""
Likelihoods = Mapping[str, Mapping[Key, LikelihoodPoint]]
"""The points of each experiment."""


def key_of(experiment: str, parameters: Parameters) -> Key:
    return experiment, tuple(sorted(parameters.items()))


def differences(likelihoods: Likelihoods) -> Iterator[tuple[Key, Columns]]:
    """`DIFFERENCE_COLUMNS` of each point.

    Every difference is NaN where there is nothing to compare with, or not on the same images.
    """
    made = {name: next(iter(points.values())).trained for name, points in likelihoods.items()}
    partner = {factor: partners(made, factor) for factor in FACTORS}
    for name, points in likelihoods.items():
        best = min(points.values(), key=lambda point: point.per_image.mean())
        band = difference_factor(points.values())
        for key, point in points.items():
            columns: Columns = {}
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


def reference_differences(
    likelihoods: Likelihoods, references: Mapping[str, str]
) -> Iterator[tuple[Key, Columns]]:
    """`REFERENCE_COLUMNS` of each point of the experiments that have a reference.

    They are to the network of the reference from the same training seed, at the same parameters,
    or at its only point if it has one alone, or where the estimate is lowest if its schedule has
    other parameters; NaN where that is missing or of other images. The lowest of several is a bit
    too low: what is found better than it is so all the more.

    Args:
        references: by the experiment's name in the preset, as which `group` tells the networks of
            all its seeds.

    Raises:
        InputError: there is no such experiment, or it is of other data or estimated otherwise.
    """
    made = {name: next(iter(points.values())) for name, points in likelihoods.items()}
    named = {(one.trained["group"], one.trained["seed"]): name for name, one in made.items()}
    groups = sorted({group for group, _ in named})
    for name in (*references, *references.values()):
        if name not in groups:
            raise InputError(
                f"the reference {name} has no likelihood in the table, which has those of "
                f"{', '.join(groups) or 'none'}"
            )
    for name, first in made.items():
        group, seed = first.trained["group"], first.trained["seed"]
        reference = named.get((references.get(group, ""), seed))
        if reference is None:
            continue
        for what, found, expected in (
            ("data", first.trained["data"], made[reference].trained["data"]),
            ("likelihood settings", first.estimator, made[reference].estimator),
        ):
            if found != expected:
                raise InputError(
                    f"{name} cannot be compared with {reference}: its {what} {found} must equal "
                    f"those of the reference, {expected}"
                )
        others = likelihoods[reference]
        only = made[reference] if len(others) == 1 else None
        for key, point in likelihoods[name].items():
            other = others.get((reference, key[1]), only)
            columns: Columns = {"reference": reference}
            for estimate in ESTIMATES:
                against = other or _lowest_of_others(others, key, estimate)
                mean, error = paired_difference(point, against, estimate)
                column = f"{estimate}_minus_reference"
                columns |= {column: mean, f"{column}_stderr": error}
            yield key, columns


def _lowest_of_others(
    points: Mapping[Key, LikelihoodPoint], key: Key, estimate: str
) -> LikelihoodPoint | None:
    """The point of the lowest estimate, if all have it and none has the parameters of a key."""
    named = {name for name, _ in key[1]}
    estimates = {
        one: point.estimate(estimate)
        for one, point in points.items()
        if named.isdisjoint(name for name, _ in one[1])
    }
    found = {one: values.mean() for one, values in estimates.items() if values is not None}
    if len(found) < len(points):
        return None
    return points[min(found, key=lambda one: float(found[one]))]


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
