"""Training seeds: an experiment with several becomes one experiment for each network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gud.config.figures import figure_sections
from gud.config.sections.validation import Fault


def seed_name(group: str, seed: Any, first: Any) -> str:
    """The identifier of an experiment's network of one seed: of the first, the experiment's own."""
    return group if seed == first else f"{group}_seed{seed}"


def seed_faults(experiments: dict[str, Any]) -> Iterator[Fault]:
    """Seeds that are no list of different numbers, or that make two experiments of one name."""
    for group, values in experiments.items():
        if not isinstance(values, dict):
            continue
        for key in ("seed", "group"):
            if key in values:
                yield ("experiments", group, key), "is not a known key: training seeds are `seeds`"
        seeds, here = values.get("seeds", [0]), ("experiments", group, "seeds")
        whole = isinstance(seeds, list) and all(type(seed) is int and seed >= 0 for seed in seeds)
        if not (whole and seeds and len(set(seeds)) == len(seeds)):
            yield here, f"= {str(seeds)[:60]} must be a list of different numbers from 0 on"
            continue
        for seed in seeds[1:]:
            if (name := seed_name(group, seed, seeds[0])) in experiments:
                yield here, f"makes a second experiment {name}"


def expand_seeds(raw: dict[str, Any]) -> dict[str, Any]:
    """A preset's settings with an experiment for each training seed.

    `seeds` of an experiment, by default the preset's `seed` alone, becomes `seed`, beside `group`,
    the name that the experiment has in the file. Everything else that is random is drawn by the
    preset's seed, so that networks of different seeds are evaluated on the same images and noise.
    `weights_of` names the network of the same seed, if its experiment has one.
    """
    experiments: dict[str, Any] = {}
    names: dict[str, dict[str, Any]] = {}
    for group, values in raw["experiments"].items():
        if isinstance(values, dict):
            seeds = values.get("seeds", [raw.get("seed")])
            names[group] = {seed_name(group, seed, seeds[0]): seed for seed in seeds}
    for group, values in raw["experiments"].items():
        if group not in names:
            experiments[group] = values
            continue
        rest = {key: value for key, value in values.items() if key != "seeds"}
        for name, seed in names[group].items():
            shared = _of_seed(values.get("weights_of"), seed, names)
            experiments[name] = rest | shared | {"group": group, "seed": seed}
    figures = raw.get("figures")
    if isinstance(figures, dict):
        figures = figures | {
            name: _with_all(figures[name], names)
            for name, section in figure_sections().items()
            if section.all_seeds and name in figures
        }
    return raw | {"experiments": experiments} | ({"figures": figures} if "figures" in raw else {})


def _of_seed(group: Any, seed: Any, names: dict[str, dict[str, Any]]) -> dict[str, str]:
    """`weights_of` as the network of a group that was trained from a seed, if there is one."""
    networks = names.get(group, {}) if isinstance(group, str) else {}
    found = [name for name, made in networks.items() if made == seed]
    return {"weights_of": found[0]} if found else {}


def _with_all(figure: Any, names: dict[str, dict[str, Any]]) -> Any:
    """A figure's section with the networks of all seeds for each experiment that it names."""
    if not (isinstance(figure, dict) and isinstance(figure.get("experiments"), list)):
        return figure
    groups = figure["experiments"]
    every = [
        name
        for group in groups
        for name in (names.get(group, [group]) if isinstance(group, str) else [group])
    ]
    return figure | {"experiments": every}
