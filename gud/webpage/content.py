"""What the page of a preset shows, read from its artefacts, records and benchmarks."""

from __future__ import annotations

import base64
import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from gud.audit.chain import code_name
from gud.audit.checks import kind_of
from gud.audit.reading import read_any
from gud.audit.root import artefacts, below
from gud.config.leaves import leaves
from gud.config.paths import quality_folder
from gud.config.sections.points import point_name
from gud.errors import InputError
from gud.provenance import Record, files_of
from gud.provenance.places import path_of
from gud.report.parameters import parameters_of
from gud.verdict.page import SUMMARY, summary_cells
from gud.webpage.graph import svg
from gud.webpage.tex import without_tex

UNTRACED = {"shard", "receipt", "checkpoint", "reference moments"}
"""Kinds of artefacts of which there are too many for a page."""

Link = tuple[str, str]
"""What something is called, and the anchor where the page tells of it; empty if nowhere."""


def anchor(text: str) -> str:
    """A name for a place in the page."""
    return "".join(character if character.isalnum() else "-" for character in text)


@dataclass(frozen=True)
class Picture:
    """A picture, in the page itself, with what its file says of it."""

    name: str
    title: str
    note: str
    source: str
    width: int
    height: int
    points: Sequence[Link]
    """Rows of tables, and artefacts, that it shows."""
    tables: Sequence[Table]
    """Written with what it shows."""

    @property
    def shown(self) -> int:
        """Its greatest width in the page: of one over two columns about that of the text."""
        return round(self.width * 0.475)


@dataclass(frozen=True)
class Table:
    """A table, as the cells of its rows."""

    name: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    common: str = ""
    """What all rows have in common, which no column repeats."""
    anchors: Sequence[str] = ()
    """Of each row, where the page tells of it; empty if nowhere."""


@dataclass(frozen=True)
class Trace:
    """How an artefact came about."""

    path: str
    kind: str
    told: Mapping[str, str]
    inputs: Sequence[Link]


@dataclass(frozen=True)
class Results:
    """The artefacts of a preset with their records and kinds.

    Args:
        folder: of the results.
        records: by the path of the artefact below the folder.
        kinds: likewise.
    """

    folder: Path
    records: dict[str, Record]
    kinds: dict[str, str]

    @classmethod
    def of(cls, folder: Path) -> Results:
        records, kinds = {}, {}
        for path in artefacts(folder):
            name = below(path, folder)
            known = kind_of(name)
            try:
                record = read_any(path)
            except InputError:
                record = None
            if known and record:
                records[name], kinds[name] = record, known[0].name
        return cls(folder, records, kinds)

    def place_of(self, name: str | None) -> str:
        """The anchor where the page tells of an artefact; empty if nowhere."""
        traced = name in self.kinds and self.kinds[name] not in UNTRACED
        return anchor(name) if name and traced else ""

    def inputs(self, name: str, relation: str = "inputs") -> list[tuple[str, str | None]]:
        """The inputs of an artefact as the record names them, and their paths below the folder.

        Args:
            relation: `inputs`, or `parts` for the files that were joined in it.
        """
        if name not in self.records:
            return []
        here = (self.folder / name).parent
        found = []
        for written in files_of(self.records[name])[relation]:
            path = path_of(written, here)
            inside = path.is_relative_to(self.folder.absolute())
            own = below(path, self.folder.absolute()) if inside else None
            found.append((own or written, own))
        return found


def graph(results: Results) -> str:
    """A drawing of the kinds of artefacts that there are."""
    sources = defaultdict(set)
    for name, kind in results.kinds.items():
        for _, own in (*results.inputs(name), *results.inputs(name, "parts")):
            if own in results.kinds:
                sources[kind].add(results.kinds[own])
    return svg(Counter(results.kinds.values()), sources)


def traces(results: Results) -> list[Trace]:
    found = []
    for name in filter(results.place_of, results.records):
        inputs = [(shown, results.place_of(own)) for shown, own in results.inputs(name)]
        found.append(Trace(name, results.kinds[name], told_of(results.records[name]), inputs))
    return found


def told_of(record: Record) -> dict[str, str]:
    """What a record says, for people."""
    seconds = record.get("seconds")
    told = {
        "sha256": record["sha256"],
        "command": record.get("command", ""),
        "code": code_name(record),
        "seed": "" if record.get("seed") is None else str(record["seed"]),
        "device": record.get("device", ""),
        "wall time": "" if seconds is None else f"{seconds:.3g} s",
        "finished": record.get("finished", ""),
        "settings": ", ".join(f"{k} = {v}" for k, v in leaves(record["settings"]).items() if k),
    }
    return {name: text for name, text in told.items() if text}


def table(results: Results, name: str) -> Table:
    """A table of the preset; rows that are points lead to the artefact they were made from."""
    frame = _frame(results.folder / name)
    anchors = [_place(results, row) for _, row in frame.iterrows()]
    frame, common = without_common(frame.dropna(axis="columns", how="all"))
    rows = [[short(value) for value in row] for row in frame.itertuples(index=False, name=None)]
    return Table(name, [str(column) for column in frame.columns], rows, common, anchors)


def claims(results: Results, name: str) -> Table:
    """A table of verdicts, as the README has them."""
    return Table(name, SUMMARY, list(summary_cells(_frame(results.folder / name))))


def without_common(frame: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """A table without the columns that say the same in all of several rows, and these in words.

    The experiment stays in any case.
    """
    told = frame.columns.difference(["experiment"], sort=False) if len(frame) > 1 else []
    same = [column for column in told if frame[column].nunique(dropna=False) == 1]
    words = ", ".join(f"{column} {short(frame[column].iloc[0])}" for column in same)
    return frame.drop(columns=same), words


def _frame(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise InputError(f"table {path} cannot be read: {error}") from None


def _place(results: Results, row: pd.Series) -> str:
    """Where the page tells of the point in a row of a table; empty if nowhere."""
    try:
        point = parameters_of(row)
    except (ValueError, OverflowError):
        return ""
    if "experiment" not in row or not point:
        return ""
    samples = str(row.get("samples", "samples"))
    for folder, end in (("nll", "npz"), (quality_folder(samples), "json"), (samples, "npz")):
        if place := results.place_of(f"{row.experiment}/{folder}/{point_name(point)}.{end}"):
            return place
    return ""


def short(value: Any) -> str:
    """A cell: numbers to four digits."""
    if isinstance(value, float):
        return "" if value != value else f"{value:.4g}"
    return str(value)


def picture(results: Results, name: str) -> Picture:
    """A picture of the preset with its title, its small print and the points that it shows.

    The page tells once what the preset stands in for.
    """
    path = results.folder / name
    try:
        with Image.open(path) as image:
            width, height = image.size
            note, title = image.info.get("Description", ""), image.info.get("Title", path.stem)
    except (OSError, ValueError, SyntaxError) as error:
        raise InputError(f"picture {path} cannot be read: {error}") from None
    encoded = base64.b64encode(path.read_bytes()).decode()
    return Picture(
        name,
        title,
        without_tex(note.partition("Stand-in: ")[0]),
        f"data:image/png;base64,{encoded}",
        width,
        height,
        points_shown(results, name),
        shares_shown(results, name),
    )


def points_shown(results: Results, name: str) -> list[Link]:
    """The points of the tables that a figure was drawn from, and the files it shows itself."""
    found = []
    for shown, own in results.inputs(name):
        if own is None or not (place := results.place_of(own)):
            continue
        if results.kinds[own] != "table":
            found.append((shown, place))
            continue
        for _, row in _frame(results.folder / own).iterrows():
            if place := _place(results, row):
                found.append((f"{row.experiment} {point_name(parameters_of(row))}", place))
    return found


def shares_shown(results: Results, name: str) -> list[Table]:
    """The shares of guided samples that `gud guide` wrote with those that a figure shows."""
    beside = [f"{own.removesuffix('.npz')}.csv" for _, own in results.inputs(name) if own]
    return [table(results, one) for one in beside if results.kinds.get(one) == "guided shares"]


def existing(folder: Path, pattern: str) -> list[str]:
    """Files of the results by a pattern, in the order of their numbers."""
    found = (below(path, folder) for path in folder.glob(pattern))
    return sorted(found, key=lambda name: (os.path.basename(name), name))
