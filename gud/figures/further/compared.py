"""Experiments that the papers' claims compare, of all training seeds: a table alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gud.config.claims import pairing_faults
from gud.config.figures import TableSection
from gud.config.sections.section import Name
from gud.config.sections.validation import Fault

if TYPE_CHECKING:
    from gud.config.preset import Preset


class Compared(TableSection):
    """Experiments of any schedules and data, whose sample qualities are measured alike.

    reference: of some, the one that their likelihoods are compared with, image by image.
    """

    experiments: list[Name]
    reference: dict[Name, Name] = {}

    title = "What the papers' claims compare"
    all_seeds = True

    def references(self) -> dict[str, str]:
        return self.reference

    def claims(self, preset: Preset) -> Iterator[Fault]:
        shown = [preset.experiments[name] for name in self.experiments]
        groups = {experiment.group: experiment for experiment in reversed(shown)}
        for name, reference in self.reference.items():
            here = ("reference", name)
            for one in (name, reference):
                if one not in groups:
                    yield here, f"names {one}, which must be one of {sorted(groups)}"
                elif not groups[one].nll.grids:
                    yield here, f"needs points in experiments.{one}.nll.grids"
            if name == reference:
                yield here, f"= {reference} is not another experiment"
            for what in pairing_faults(groups, name, reference):
                yield here, f"= {what}"
