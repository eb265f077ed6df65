"""The paper's numbers beside ours, one row for each quantity.

    python -m gud.comparison --published FILE.yaml --tables TABLE.csv... --out COMPARISON.csv
        [--markdown FILE.md]

Ours come from the tables of one or more presets, those on the paper's data apart from those on
other data. Which data a number was measured on follows from the records: table, point, data set.
The hours of training come from the `training.csv` beside the model that the points were made from.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from gud.errors import InputError, command_line
from gud.points import checked_record, parameters_of, record_of
from gud.provenance import atomic, write_record
from gud.settings import Name, Parameters, Section, point_name, validate

SIDES = {"paper_data": "ours, the paper's data", "other_data": "ours, stand-in data"}
MEASURED = (
    "bits_per_dim",
    "stderr",
    "point",
    "network_evaluations",
    "images",
    "training_steps",
    "training_hours",
    "evaluation_hours",
    "device",
)
MARKERS = ("<!-- comparison -->", "<!-- end of comparison -->")

log = logging.getLogger(__name__)


class Published(Section):
    """A number of the paper.

    Args:
        quantity, place: what it is and where it stands.
        experiment: ours that measures it.
        point: the schedule parameters that it holds for; None for those of lowest NLL.
        data: name of the paper's data set.
        settings: those settings by which a record tells that data set from others.
        value: bits/dim; None where the paper has a plot alone.
    """

    quantity: str
    place: str
    experiment: Name
    point: Parameters | None
    data: str
    settings: dict[str, Any]
    value: float | None


class Quantities(Section):
    quantities: list[Published]


@dataclass(frozen=True)
class Origin:
    """How the points of an experiment came about: settings of the data, training and its course."""

    data: dict[str, Any]
    steps: int
    history: Path | None

    @property
    def training_hours(self) -> float | None:
        return None if self.history is None else pd.read_csv(self.history).seconds.iloc[-1] / 3600


def load_published(path: Path) -> list[Published]:
    try:
        return validate(Quantities, yaml.safe_load(path.read_text()), str(path)).quantities
    except (OSError, yaml.YAMLError) as error:
        raise InputError(f"--published {path} cannot be read: {error}") from None


def origins(table: Path) -> dict[str, Origin]:
    """The origin of each experiment of a table, by the records of its points."""
    found: dict[str, Origin] = {}
    for name, digest in checked_record(table)["inputs"].items():
        if not name.endswith(".npz"):
            continue
        point = Path(os.path.normpath(table.parent / name))
        record = _linked(point, digest, table)
        inputs = {
            Path(os.path.normpath(point.parent / name)): used
            for name, used in record["inputs"].items()
        }
        made = {path.suffix: (path, _linked(path, used, point)) for path, used in inputs.items()}
        try:
            (model, trained), (_, data) = made[".safetensors"], made[".npz"]
            steps = trained["settings"]["training"]["steps"]
        except KeyError as error:
            raise InputError(f"the records of {point} and its model lack {error}") from None
        origin = Origin(data["settings"], steps, _history(model, trained))
        experiment = record["settings"]["experiment"]
        if found.setdefault(experiment, origin) != origin:
            raise InputError(f"{table} holds points of {experiment} from different models or data")
    return found


def _linked(path: Path, digest: str, user: Path) -> dict[str, Any]:
    """The record of a file that another was made from, if it is of that very content."""
    record = record_of(path)
    if record["sha256"] != digest:
        raise InputError(f"{path} was made anew after {user} was made from it: make {user} again")
    return record


def _history(model: Path, trained: dict[str, Any]) -> Path | None:
    """The course of the training that made a model; None, with a warning, if it is not there."""
    path = model.with_name("training.csv")
    try:
        record = checked_record(path)
    except (InputError, OSError) as error:
        log.warning("hours of %s are left empty: %s", model, error)
        return None
    same = ("settings", "inputs", "training_seconds")
    if any(record.get(key) != trained.get(key) for key in same):
        log.warning("hours of %s are left empty: %s is of another training", model, path)
        return None
    return path


def compare(published: Iterable[Published], tables: Sequence[Path]) -> pd.DataFrame:
    """One row for each quantity; what has not been measured is empty.

    `network_evaluations` and `images` are those of the point shown, `evaluation_hours` those of all
    points among which it is the best. `training_hours` count once for all quantities of an
    experiment.

    Raises:
        InputError: records do not lead from a table to its data, or two tables measure the same.
    """
    sources = [(table, pd.read_csv(table), origins(table)) for table in tables]
    rows = []
    for number in published:
        row: dict[str, Any] = {
            "quantity": number.quantity,
            "place": number.place,
            "experiment": number.experiment,
            "published_bits_per_dim": number.value,
            "published_data": number.data,
        }
        for path, table, made in sources:
            points = _points(table, number)
            if points.empty:
                continue
            origin = made[number.experiment]
            side = "paper_data" if number.settings.items() <= origin.data.items() else "other_data"
            measured = {f"{side}_{key}": value for key, value in _measured(points, origin).items()}
            if measured.keys() & row.keys():
                raise InputError(
                    f"{path} gives {number.experiment} a second time, expected one table with it "
                    f"on {number.data} and one on other data"
                )
            row |= measured
        rows.append(row)
    head = ["quantity", "place", "experiment", "published_bits_per_dim", "published_data"]
    return pd.DataFrame(
        rows, columns=head + [f"{side}_{key}" for side in SIDES for key in MEASURED]
    )


def _points(table: pd.DataFrame, number: Published) -> pd.DataFrame:
    points = table[table.experiment == number.experiment].dropna(subset="nll_bits_per_dim")
    wanted = [number.point in (None, parameters_of(row)) for _, row in points.iterrows()]
    return points[pd.Series(wanted, points.index, dtype=bool)]


def _measured(points: pd.DataFrame, origin: Origin) -> dict[str, Any]:
    best = points.loc[points.nll_bits_per_dim.idxmin()]
    values = (
        best.nll_bits_per_dim,
        best.nll_stderr,
        point_name(parameters_of(best)),
        best.network_evaluations,
        best.images,
        origin.steps,
        origin.training_hours,
        points.seconds.sum() / 3600,
        best.device,
    )
    return dict(zip(MEASURED, values, strict=True))


def markdown(table: pd.DataFrame) -> str:
    """The rows of `compare`; costs on the paper's data come before those on other data."""
    header = ("bits/dim", "paper", *SIDES.values())
    costs = ("network_evaluations", "images", "training_hours", "evaluation_hours")
    lines = [[*header, *(cost.replace("_", " ") for cost in costs)]]
    lines.append(["---"] * len(lines[0]))
    for _, row in table.iterrows():
        printed = row.published_bits_per_dim
        cells = [
            f"{row.quantity} ({row.place})",
            "plotted only" if pd.isna(printed) else f"{printed:.2f} ({row.published_data})",
        ]
        for side in SIDES:
            value, error, point = (row[f"{side}_{key}"] for key in MEASURED[:3])
            spread = "" if pd.isna(error) else f" ± {error:.2f}"
            at = str(point).replace("=", " = ").replace("_", ", ")
            cells.append("" if pd.isna(value) else f"{value:.2f}{spread} at {at}")
        for cost in costs:
            known = (row[f"{side}_{cost}"] for side in SIDES)
            form = ".2g" if cost.endswith("hours") else ".0f"
            cells.append(" / ".join(f"{value:{form}}" for value in known if not pd.isna(value)))
        lines.append(cells)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def embed(text: str, table: str) -> str:
    """`text` with the table between its two markers in place of what is there."""
    before, begin, rest = text.partition(MARKERS[0])
    _, end, after = rest.partition(MARKERS[1])
    if not (begin and end):
        raise InputError(f"--markdown needs a file with {MARKERS[0]} and, after it, {MARKERS[1]}")
    return f"{before}{begin}\n{table}{end}{after}"


@command_line
def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--published", type=Path, required=True, metavar="FILE.yaml")
    parser.add_argument("--tables", type=Path, nargs="*", default=[], metavar="TABLE.csv")
    parser.add_argument("--out", type=Path, required=True, metavar="COMPARISON.csv")
    parser.add_argument("--markdown", type=Path, help="file that shows the table between markers")
    arguments = parser.parse_args(argv)
    started = time.time()
    if missing := [path for path in arguments.tables if not path.is_file()]:
        raise InputError(f"table {missing[0]} does not exist")
    page = arguments.markdown.read_text() if arguments.markdown else None
    table = compare(load_published(arguments.published), arguments.tables)
    with atomic(arguments.out) as temporary:
        table.to_csv(temporary, index=False)
    made = (origin for path in arguments.tables for origin in origins(path).values())
    histories = [origin.history for origin in made if origin.history]
    inputs = [arguments.published, *arguments.tables, *histories]
    write_record(arguments.out, inputs=inputs, started=started)
    if page is not None:
        with atomic(arguments.markdown) as temporary:
            temporary.write_text(embed(page, markdown(pd.read_csv(arguments.out))))


if __name__ == "__main__":
    sys.exit(main())
