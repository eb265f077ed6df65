"""Experiments that the papers' claims compare, of all training seeds: a table alone."""

from __future__ import annotations

from gud.config.figures import TableSection
from gud.config.sections.section import Name


class Compared(TableSection):
    """Experiments of any schedules and data, whose sample qualities are measured alike."""

    experiments: list[Name]

    title = "What the papers' claims compare"
    all_seeds = True
