"""What several figures are drawn from: a table, or the variances of a basis."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gud.config.figures import FigureSection, TableSection
from gud.config.paths import experiment_statistics, table_file
from gud.config.sections.section import Name

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from gud.config.preset import Preset


class TableFigureSection(TableSection, FigureSection):
    """A figure of what its table holds."""

    def sources(self, preset: Preset) -> list[str]:
        return [table_file(self.key())]

    def read(self, paths: Sequence[Path]) -> Any:
        from gud.report.reading import read_table

        (table,) = self.only(paths)
        return read_table(table)


class VarianceSection(FigureSection):
    """A figure of the variances of the components in the basis of an experiment."""

    experiment: Name

    def sources(self, preset: Preset) -> list[str]:
        return [experiment_statistics(preset.experiments[self.experiment])]

    def read(self, paths: Sequence[Path]) -> Float[Tensor, " components"]:
        """The variances Sigma_i of the basis."""
        from gud.data import statistics

        (path,) = self.only(paths)
        return statistics.load(path).variance
