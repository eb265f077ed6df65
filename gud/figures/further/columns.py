"""The likelihoods of section 5.2: a table alone."""

from __future__ import annotations

from gud.config.figures import TableSection
from gud.config.sections.section import Name


class Columns(TableSection):
    experiments: list[Name]

    title = "NLL of column-wise generation, sec. 5.2"
    family = "columns"
    all_seeds = True
