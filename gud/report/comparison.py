"""The papers' numbers beside ours, one row for each quantity.

Ours come from the tables of one or more presets, those on the paper's data apart from those on
other data. Which data a number was measured on follows from the records: table, point, data set.
The hours of training come from the `training.csv` beside the model that the points were made from.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import pandas as pd

from gud.cli import File, out_option
from gud.config.sections.points import point_name
from gud.errors import InputError
from gud.provenance import write_record, write_text
from gud.report.differences import Columns
from gud.report.markdown import embed, markdown_table, read_page
from gud.report.origins import Origin, origins
from gud.report.parameters import parameters_of
from gud.report.published import Measure, Published, Quantities, load_published
from gud.report.reading import read_table

SIDES = {"paper_data": "ours, the paper's data", "other_data": "ours, stand-in data"}
COSTS = ("network_evaluations", "images", "training_hours", "evaluation_hours")
MEASURED = (
    "stderr",
    "point",
    "network_evaluations",
    "images",
    "training_steps",
    "training_hours",
    "evaluation_hours",
    "device",
)
"""Columns of each side, after one for each measure."""
MARKERS = ("<!-- comparison -->", "<!-- end of comparison -->")

Known = dict[str, tuple[Origin, Columns]]
"""What has been measured of a quantity, by side."""


def compare(published: Quantities, tables: Sequence[Path]) -> tuple[pd.DataFrame, list[Path]]:
    """One row for each quantity, and the courses of the trainings; what is not measured is empty.

    Of an experiment of several training seeds it is the network of the first.

    `network_evaluations` and `images` are those of the point shown, `evaluation_hours` those of all
    points among which it is the best. `training_hours` count once for all quantities of an
    experiment.

    Raises:
        InputError: records do not lead from a table to its data, or two tables measure the same
            on different points.
    """
    sources = [(path, read_table(path, ("experiment",)), origins(path)) for path in tables]
    rows = []
    for number in published.quantities:
        known: Known = {}
        for path, table, made in sources:
            measure = published.measures[number.measure]
            points = number.points(table, measure)
            if not points.empty:
                origin = made[str(number.experiment)]
                found = origin, _measured(points, number, measure, origin)
                _add(known, number, found, path)
        row = number.model_dump(include={"paper", "quantity", "place", "experiment", "measure"})
        row |= {f"published_{number.measure}": number.value, "published_data": number.data}
        row |= {"published_samples": number.samples, "published_reference": number.reference}
        for side, (_, values) in known.items():
            row |= {f"{side}_{key}": value for key, value in values.items()}
        rows.append(row)
    measures = list(published.measures)
    head = ["paper", "quantity", "place", "experiment", "measure"]
    head += [f"published_{key}" for key in (*measures, "data", "samples", "reference")]
    head += [f"{side}_{key}" for side in SIDES for key in (*measures, *MEASURED)]
    histories = [origin.history for *_, made in sources for origin in made.values()]
    table = pd.DataFrame(rows, columns=head).astype({"published_samples": "Int64"})
    return table, [history for history in histories if history]


def _add(known: Known, number: Published, found: tuple[Origin, Columns], table: Path) -> None:
    """What a table has of a quantity, on the side of its data."""
    origin, values = found
    side = "paper_data" if number.settings.items() <= origin.data.items() else "other_data"
    if side in known:
        before, theirs = known[side]
        if before != origin or not pd.Series(theirs).equals(pd.Series(values)):
            raise InputError(
                f"{table} gives {number.experiment} a second time, expected one run of it on "
                f"{number.data} and one on other data"
            )
    known[side] = found


def _measured(points: pd.DataFrame, number: Published, measure: Measure, origin: Origin) -> Columns:
    best = measure.best_of(points)
    return {
        number.measure: best[measure.column],
        "stderr": best[measure.stderr],
        "point": point_name(parameters_of(best)),
        "network_evaluations": best[measure.evaluations],
        "images": best[measure.images],
        "training_steps": origin.steps,
        "training_hours": origin.training_hours,
        "evaluation_hours": points[measure.seconds].sum() / 3600,
        "device": best[measure.device],
    }


def as_markdown(table: pd.DataFrame, published: Quantities) -> str:
    """A table for each measure of what is listed; costs on the paper's data come before others."""
    unlisted = {(one.quantity, one.place) for one in published.quantities if not one.listed}
    named = pd.Series(zip(table.quantity, table.place, strict=True), table.index, dtype=object)
    table = table[~named.isin(unlisted)]
    return "\n".join(
        markdown_table(
            [measure.title, "paper", *SIDES.values(), *(cost.replace("_", " ") for cost in COSTS)],
            _cells(table, name),
        )
        for name, measure in published.measures.items()
        if (table.measure == name).any()
    )


def _cells(table: pd.DataFrame, name: str) -> Iterator[list[str]]:
    for _, row in table[table.measure == name].iterrows():
        printed = row[f"published_{name}"]
        cells = [
            f"{'' if row.paper == 'GUD' else f'{row.paper}: '}{row.quantity} ({row.place})",
            "plotted only" if pd.isna(printed) else f"{printed:.2f} ({_conditions(row)})",
        ]
        for side in SIDES:
            value, error, point = (row[f"{side}_{key}"] for key in (name, "stderr", "point"))
            spread = "" if pd.isna(error) else f" ± {error:.2f}"
            at = str(point).replace("=", " = ").replace("_", ", ")
            cells.append("" if pd.isna(value) else f"{value:.2f}{spread} at {at}")
        for cost in COSTS:
            known = (row[f"{side}_{cost}"] for side in SIDES)
            form = ".2g" if cost.endswith("hours") else ".0f"
            cells.append(" / ".join(f"{value:{form}}" for value in known if not pd.isna(value)))
        yield cells


def _conditions(row: pd.Series) -> str:
    """What a published number was measured on."""
    samples, reference = row.published_samples, row.published_reference
    parts = [row.published_data] if pd.isna(reference) else [f"{row.published_data} {reference}"]
    return ", ".join(parts + ([] if pd.isna(samples) else [f"{samples:,.0f} samples"]))


@click.command()
@click.option("--published", type=File, required=True, help="The papers' numbers, .yaml.")
@out_option("The comparison, .csv.")
@click.option("--markdown", type=File, help="File to show the table in, between its markers.")
@click.argument("tables", type=File, nargs=-1)
def main(published: Path, out: Path, markdown: Path | None, tables: tuple[Path, ...]) -> None:
    """Put the papers' numbers beside those of TABLES, of any presets."""
    started = time.time()
    if missing := [path for path in tables if not path.is_file()]:
        raise InputError(f"table {missing[0]} does not exist")
    page = read_page(markdown, MARKERS) if markdown else None
    numbers = load_published(published)
    table, histories = compare(numbers, tables)
    write_text(out, table.to_csv(index=False))
    write_record(out, inputs=[published, *tables, *histories], started=started)
    if markdown and page is not None:
        write_text(markdown, embed(page, as_markdown(pd.read_csv(out), numbers), MARKERS))
