"""How an artefact, or one row of a table, came about: its ancestry down to the downloaded bytes."""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import pandas as pd

from gud.audit.chain import Finding, Link, audit, code_name, shown
from gud.config.leaves import leaves
from gud.config.paths import quality_folder
from gud.config.sections.points import point_name
from gud.errors import InputError
from gud.provenance import Record
from gud.report.parameters import parameters_of
from gud.report.reading import read_table

PRIORS = {"isotropic": False, "variance_matching": True, "matching": True}
"""Values of `prior` by the column `whitened`."""
LONGEST = 100
"""Characters of a line."""
FOLDERS = ("tables", "figures", "data", "")
"""Of the results of a preset, where an artefact without a folder is looked for."""


def find(artefact: Path, preset: str | None) -> Path:
    """A file that a person names: as a path, or by its name among the results of a preset."""
    if artefact.is_file():
        return artefact
    presets = [preset] if preset else sorted(path.name for path in Path("results").glob("*/"))
    places = [Path("results", name, folder, artefact) for name in presets for folder in FOLDERS]
    found = [place for place in places if place.is_file()]
    if len(found) == 1:
        return found[0]
    if not found:
        looked = ", ".join(f"results/{name}" for name in presets) or "results"
        raise InputError(f"there is no file {artefact} here or under {looked}")
    raise InputError(
        f"{artefact} is the name of {len(found)} files, {', '.join(map(str, found))}: give its "
        "path, or --preset"
    )


def table_of(artefact: Path) -> Path:
    """A table, or the one that a figure shows."""
    if artefact.suffix == ".csv":
        return artefact
    for link, path in next(audit(artefact)).links:
        if link.relation == "inputs" and path.suffix == ".csv":
            return path
    raise InputError(f"{artefact} shows no table, so that no row of it can be traced")


def row_of(path: Path, words: Sequence[str]) -> pd.Series:
    """The row of a table that words such as `a=1` and `prior=isotropic` choose."""
    table = read_table(path, ("experiment",))
    chosen = pd.Series(True, table.index)
    for word in words:
        name, _, text = word.partition("=")
        if name == "prior" and "whitened" in table and text in PRIORS:
            chosen &= table.whitened == PRIORS[text]
        elif name not in table or not text:
            known = ", ".join(("prior", *table.columns[:12]))
            raise InputError(f"{word!r} is not COLUMN=VALUE; the columns of {path} are {known}")
        elif pd.api.types.is_bool_dtype(table[name]) or not pd.api.types.is_numeric_dtype(
            table[name]
        ):
            chosen &= table[name].astype(str) == text
        else:
            chosen &= table[name] == _number(text, word)
    rows = table[chosen]
    if len(rows) != 1:
        points = [f"{row.experiment} {_point(row)}" for _, row in rows.head(4).iterrows()]
        raise InputError(
            f"{' '.join(words)} matches {len(rows)} rows of {path}, expected one"
            + (f": {'; '.join(points)}, ..." if points else "")
        )
    return rows.iloc[0]


def _number(text: str, word: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{word!r}: expected a number") from None


def _point(row: pd.Series) -> str:
    return point_name(parameters_of(row))


def is_of_row(row: pd.Series, link: Link, path: Path) -> bool:
    """Whether a row of a table was made from a file that the table's record names."""
    folders = ("nll", quality_folder(str(row.get("samples", "samples"))))
    return (
        link.relation == "inputs"
        and str(row.experiment) in path.parts
        and (path.stem == "scale" or path.stem == _point(row) and path.parent.name in folders)
    )


def ancestry(artefact: Path, row: pd.Series | None = None) -> Iterator[Finding]:
    """The findings on an artefact and its ancestors; what was merely made with it is left out.

    Args:
        row: of a table, whose ancestors alone are followed.
    """

    def follows(depth: int, link: Link, path: Path) -> bool:
        if depth == 0 and row is not None:
            return is_of_row(row, link, path)
        return link.relation != "made_with"

    return audit(artefact, follows)


def described(finding: Finding, first: Record | None) -> Mapping[str, object]:
    """What is told of a file.

    Args:
        first: the record of the artefact that is traced; what is the same there is not repeated.
    """
    record = finding.record
    told: dict[str, object] = {"status": finding.status, "sha256": _sha256(finding)}
    if finding.repeated or record is None:
        return told
    if record.get("command"):
        told["command"] = record["command"]
        told["in"] = shown(Path(os.path.abspath(finding.path.parent / record.get("directory", ""))))
    seconds = record.get("seconds")
    told["made by"] = ", ".join(
        str(part)
        for part in (
            code_name(record),
            record.get("device"),
            "" if seconds is None else f"{seconds:.3g} s",
            record.get("finished"),
        )
        if part
    )
    if record.get("seed") is not None:
        told["seed"] = record["seed"]
    if record["settings"]:
        told["settings"] = leaves(record["settings"])
    packages = record.get("packages")
    if packages and (record is first or first is None or packages != first.get("packages")):
        told["packages"] = packages
    return told


def lines(findings: Sequence[Finding]) -> Iterator[str]:
    """The ancestry as an indented list."""
    first = findings[0].record
    for finding in findings:
        indent = "  " * min(finding.depth, 20)
        above = "  (above)" if finding.repeated else ""
        yield f"{indent}{_name(finding.link, finding.path)}{above}"
        if finding.repeated:
            continue
        for name, value in described(finding, first).items():
            if isinstance(value, dict):
                value = ", ".join(f"{key}={_short(item)}" for key, item in value.items())
            yield from textwrap.wrap(
                f"{name}: {value}",
                LONGEST,
                initial_indent=f"{indent}| ",
                subsequent_indent=f"{indent}|   ",
                break_long_words=False,
                break_on_hyphens=False,
            )


def _sha256(finding: Finding) -> str:
    """That of the record; without one, that of what was made from the file."""
    if finding.record:
        return finding.record["sha256"]
    return finding.link.sha256 if finding.link else ""


def _name(link: Link | None, path: Path) -> str:
    """The path of a file, or its place in the package that ships it."""
    return link.name if link and link.name.startswith("package:") else shown(path)


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def as_json(findings: Sequence[Finding]) -> list[Mapping[str, object]]:
    """Each file once, with its record in full and the files that it was made from."""
    return [
        {
            "path": _name(finding.link, finding.path),
            "status": finding.status,
            "sha256": _sha256(finding),
            "record": finding.record,
            "inputs": [_name(link, path) for link, path in finding.links],
        }
        for finding in findings
        if not finding.repeated
    ]


@click.command()
@click.argument("artefact", type=click.Path(path_type=Path))
@click.argument("row", nargs=-1)
@click.option("--preset", help="Preset to search when ARTEFACT is a bare file name.")
@click.option("--json", "json_wanted", is_flag=True, help="Print the full records as JSON.")
def main(artefact: Path, row: tuple[str, ...], preset: str | None, json_wanted: bool) -> None:
    """Show where an artefact comes from, or the row of a table that ROW chooses.

    As in `gud trace figure3.csv a=1 prior=isotropic`.
    """
    path = find(artefact, preset)
    chosen = None
    if row:
        path = table_of(path)
        chosen = row_of(path, row)
    findings = list(ancestry(path, chosen))
    if json_wanted:
        print(json.dumps(as_json(findings), indent=1))
        return
    if chosen is not None:
        values = chosen.dropna()
        print(", ".join(f"{name} = {value}" for name, value in values.items()) + "\n")
    for line in lines(findings):
        print(line)
