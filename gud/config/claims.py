"""What figures claim of the experiments that they show, checked before any of these is run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from gud.config.figures import ShownSection, TableSection
from gud.config.leaves import differing
from gud.config.sections.experiments import Experiment
from gud.config.sections.points import points
from gud.config.sections.validation import Fault

if TYPE_CHECKING:
    from gud.config.preset import Preset

Experiments = Mapping[str, Experiment]


def claim_faults(preset: Preset) -> Iterator[Fault]:
    """Figures of experiments that they would misrepresent, or could not be drawn from."""
    for name, figure in preset.figures.named().items():
        for keys, what in figure_faults(figure, preset):
            yield (name, *keys), what


def figure_faults(figure: ShownSection, preset: Preset) -> Iterator[Fault]:
    """What every figure claims, then what its own module says; keys are those of its section."""
    shown = figure.shown()
    if len(set(shown)) < len(shown):
        yield (), f"names the same experiment twice: {', '.join(shown)}"
    made = experiments_of(figure, preset)
    for key, experiment in made.items():
        found = experiment.schedule.name
        if figure.family not in (None, found):
            yield (
                (),
                f"shows experiments of schedule {figure.family}, but that of {key} is {found}",
            )
    if isinstance(figure, TableSection):
        yield from table_faults(made)
    yield from figure.claims(preset)


def experiments_of(figure: ShownSection, preset: Preset) -> dict[str, Experiment]:
    """The experiments behind a figure, by name."""
    return {name: preset.experiments[name] for name in figure.shown()}


def table_faults(made: Experiments) -> Iterator[Fault]:
    """Tables hold what compares: qualities by one measure, on images of one data set."""
    if not made:
        yield ("experiments",), "= [] must name an experiment"
    for key, experiment in made.items():
        if not experiment.nll.grids and not experiment.quality.grids:
            yield (), f"shows {key}, whose nll.grids and quality.grids are both empty"
    measured = {
        key: {
            "data": experiment.data,
            "quality.sampling.images": experiment.quality.sampling.images,
            **experiment.quality.metric.model_dump(exclude={"stderr_groups", "batch_size"}),
        }
        for key, experiment in made.items()
        if experiment.quality.grids
    }
    for key, found in measured.items():
        first, expected = next(iter(measured.items()))
        for what in expected:
            if found[what] != expected[what]:
                yield (
                    (),
                    f"compares sample qualities of {first} and {key}, but {what} is "
                    f"{expected[what]} of the one and {found[what]} of the other",
                )


def pairing_faults(made: Experiments, name: str, reference: str) -> Iterator[str]:
    """What keeps the likelihoods of two experiments from being compared image by image."""
    own, other = (
        {
            "data": made[which].data,
            "nll": {
                "settings": made[which].nll.settings.model_dump(mode="json", exclude={"batch_size"})
            },
        }
        for which in (name, reference)
    )
    for key, (first, second) in differing(own, other).items():
        yield (
            f"{reference} cannot be compared image by image: its {key} is {json.dumps(second)}, "
            f"that of {name} {json.dumps(first)}"
        )


def curve_faults(made: Experiments) -> Iterator[Fault]:
    """What the figures of tables say of all their data, once."""
    first, *others = made
    for key in others:
        for what in ("data", "basis"):
            one, other = (getattr(made[which], what) for which in (first, key))
            if one != other:
                yield (
                    (),
                    f"says one {what} for all curves, but that of {first} is {_short(one)}, of "
                    f"{key} {_short(other)}",
                )
    for key, experiment in made.items():
        if not points(experiment.nll.grids):
            yield (), f"needs points in experiments.{key}.nll.grids"


def group_faults(made: Experiments) -> Iterator[Fault]:
    """Means over training seeds are of one experiment."""
    if len(groups := {experiment.group: None for experiment in made.values()}) > 1:
        yield ("experiments",), f"must name one experiment, not {', '.join(groups)}"


def legend_faults(made: Experiments, names_seeds: bool) -> Iterator[Fault]:
    """Curves are named by what their networks are: two of one name must be seeds of one group.

    Args:
        names_seeds: whether the legend tells seeds apart.
    """
    named: dict[tuple[object, ...], str] = {}
    for key, experiment in made.items():
        what: tuple[object, ...]
        what = (experiment.prior, experiment.network_space, experiment.preconditioning)
        what += (experiment.seed,) if names_seeds else ()
        other = named.setdefault(what, key)
        if other != key and (names_seeds or made[other].group != experiment.group):
            yield (
                (),
                f"draws {other} and {key} as curves of one name: their prior, network_space, "
                "preconditioning and seed are the same",
            )


def _short(value: object) -> str:
    return str(getattr(value, "name", value))
