"""What the papers report, and which of our numbers stand beside it: data, read from YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pandas as pd

from gud.config.reading import read_yaml
from gud.config.sections.section import Name, Parameters, Positive, Section
from gud.config.sections.validation import validate
from gud.errors import InputError
from gud.report.parameters import parameters_of


class Measure(Section):
    """What is compared: where tables hold it, and which rows hold it at all.

    Args:
        title: what people call it.
        column, stderr, images, evaluations, seconds, device: columns of tables.
        best: which of several points is the best.
        where: values of other columns that a row must have.
    """

    title: str
    column: str
    stderr: str
    images: str
    evaluations: str
    seconds: str
    device: str
    best: Literal["lowest", "highest"] = "lowest"
    where: dict[str, Any] = {}

    def of(self, table: pd.DataFrame, where: dict[str, Any]) -> pd.DataFrame:
        """The points of a table that have it, and these values of other columns."""
        wanted = self.where | where
        if not {self.column, *wanted} <= set(table):
            return table.iloc[:0]
        needed = (self.stderr, self.images, self.evaluations, self.seconds, self.device)
        if missing := [name for name in needed if name not in table]:
            raise InputError(f"a table of {self.title} has no column {missing[0]}: make it again")
        found = table.dropna(subset=self.column)
        return found[(found[list(wanted)] == list(wanted.values())).all(axis=1)]

    def best_of(self, points: pd.DataFrame) -> pd.Series:
        values = points[self.column]
        return points.loc[values.idxmin() if self.best == "lowest" else values.idxmax()]


class Published(Section):
    """A number of a paper.

    Args:
        paper, quantity, place: what it is and where it stands.
        measure: what is measured, of `Quantities.measures`.
        experiment: ours that measures it; None where none does.
        where: values of columns that the rows of ours must have, such as the sampler.
        point: the schedule parameters that it holds for; None for the best.
        data: name of the paper's data set.
        settings: those settings by which a record tells that data set from others.
        value: None where the paper has a plot alone.
        samples: number of them that it was measured on, where it depends on that.
        reference: what these were compared with.
        listed: whether pages show it, beside the table of all.
    """

    paper: str = "GUD"
    quantity: str
    place: str
    measure: Name = "bits_per_dim"
    experiment: Name | None
    where: dict[str, Any] = {}
    point: Parameters | None
    data: str
    settings: dict[str, Any]
    value: float | None
    samples: Positive | None = None
    reference: str | None = None
    listed: bool = True

    def points(self, table: pd.DataFrame, measure: Measure) -> pd.DataFrame:
        """The points of a table among which ours is."""
        points = measure.of(table[table.experiment == self.experiment], self.where)
        wanted = [self.point in (None, parameters_of(row)) for _, row in points.iterrows()]
        return points[pd.Series(wanted, points.index, dtype=bool)]


class Quantities(Section):
    measures: dict[Name, Measure]
    quantities: list[Published]


def load_published(path: Path) -> Quantities:
    found = validate(Quantities, read_yaml(path, "--published"), str(path))
    for number in found.quantities:
        if number.measure not in found.measures:
            raise InputError(
                f"{path}: {number.quantity} names the measure {number.measure}, which must be one "
                f"of {', '.join(found.measures)}"
            )
    return found
