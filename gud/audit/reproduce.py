"""Compare two runs of a preset, artefact by artefact.

On one kind of machine, with one number of threads and the same packages, everything is promised to
the last bit but what a clock says: seconds, and what is computed from them. Between others kernels
add in another order. What is computed from inputs of the same bytes is then promised to a tolerance
(`TOLERANCE`), for the kinds of artefacts that carry such rounding on without enlarging it; training
enlarges it, so that of models, and of all that is made from them, nothing is promised. What differs
is listed all the same.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click
import numpy as np
import pandas as pd
from safetensors import SafetensorError
from safetensors.numpy import load_file

from gud.audit.checks import kind_of
from gud.audit.reading import SHARD, read_any
from gud.audit.root import artefacts, below
from gud.cli import File
from gud.config.leaves import leaves
from gud.data.arrays import NOT_NPZ
from gud.errors import InputError
from gud.report.markdown import markdown_table

CLOCK = ("seconds", "images_per_second", "hours")
"""Endings of columns and keys that a clock fills."""
SAME = ("machine", "device", "packages", "threads")
"""What two records must say alike for a promise."""
TOLERANCE = {
    "data set": 0.0,
    "likelihood": 1e-3,
    "quality": 1e-3,
    "scale": 1e-6,
    "table": 1e-3,
}
"""Of kinds of artefacts, between machines: deviations in units of the largest value of an array."""
COLUMNS = (
    "artefact",
    "number",
    "promise",
    "alike",
    "different",
    "only first",
    "only second",
    "outcome",
)


@dataclass(frozen=True)
class Outcome:
    """What two runs made of one artefact.

    Args:
        path: below the results of each.
        kind: of artefact.
        promised: the largest deviation there may be; None if nothing was promised.
        difference: between the two; empty if there is none.
        deviation: the largest, in units of the largest value.
        missing: which of the two runs has not made it; None if both have.
    """

    path: str
    kind: str
    promised: float | None
    difference: str
    deviation: float = math.inf
    missing: Literal["first", "second"] | None = None

    @property
    def kept(self) -> bool:
        if self.promised is None or not self.difference:
            return True
        return self.promised > 0 and self.deviation <= self.promised

    def __str__(self) -> str:
        state = "same" if not self.difference else "differs" if self.kept else "BROKEN"
        return f"{state:<7}  {self.path}  {self.difference}".rstrip()


def of_clock(name: str) -> bool:
    return name.endswith(CLOCK)


def contents(path: Path) -> Mapping[str, Any]:
    """What an artefact holds by its names, without what a clock filled."""
    match path.suffix:
        case ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays if name != SHARD}
        case ".safetensors":
            # The history of a checkpoint has the seconds of its rows.
            tensors = load_file(path)
            return {name: x for name, x in tensors.items() if not name.startswith("history/")}
        case ".csv":
            table = pd.read_csv(path)
            return {str(name): table[name] for name in table if not of_clock(str(name))}
        case ".json":
            found = leaves({"": json.loads(path.read_text())})
            return {name: value for name, value in found.items() if not of_clock(name)}
    return {"bytes": path.read_bytes()}


def difference(first: Path, second: Path) -> tuple[str, float]:
    """What two files do not share, empty if nothing, and the largest deviation of their numbers."""
    try:
        one, other = contents(first), contents(second)
    except (*NOT_NPZ, SafetensorError) as error:
        return f"one of them cannot be read: {' '.join(str(error).split())}", math.inf
    if one.keys() != other.keys():
        return f"other names: {', '.join(sorted(one.keys() ^ other.keys())[:3])}", math.inf
    parts = {
        name: deviation(one[name], other[name])
        for name in one
        if not _equal(one[name], other[name])
    }
    told = [f"{name} (by {part:.2g})" if part < math.inf else name for name, part in parts.items()]
    return ", ".join(told[:3]), max(parts.values(), default=0.0)


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, pd.Series):
        return one.equals(other)
    if isinstance(one, np.ndarray):
        numbers = one.dtype.kind == "f"
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=numbers)
    return one == other


def deviation(one: Any, other: Any) -> float:
    """The largest, in units of the largest value of the first; infinite if they are not alike."""
    one, other = np.asarray(one), np.asarray(other)
    if {one.dtype.kind, other.dtype.kind} != {"f"} or one.shape != other.shape:
        return math.inf
    if not np.array_equal(np.isfinite(one), np.isfinite(other)):
        return math.inf
    finite = np.isfinite(one)
    most = np.abs(one[finite]).max(initial=0.0)
    return float(np.abs(one[finite] - other[finite]).max(initial=0.0) / (most or 1.0))


def promise(kind: str, first: Path, second: Path) -> float | None:
    """How much two artefacts of a kind may deviate; None if nothing is promised of them."""
    one, other = read_any(first), read_any(second)
    if one is None or other is None:
        return 0.0 if one is other else None
    if all(one.get(key) == other.get(key) for key in SAME):
        return 0.0
    same = list(one["inputs"].values()) == list(other["inputs"].values())
    return TOLERANCE.get(kind) if same else None


def compare(first: Path, second: Path, part: bool = False) -> Iterator[Outcome]:
    """The outcome for each artefact that one of two runs has made.

    Args:
        part: whether the second run was to make but some of them.
    """
    names = {below(path, folder) for folder in (first, second) for path in artefacts(folder)}
    for name in sorted(names):
        if known := kind_of(name):
            kind, one, other = known[0].name, first / name, second / name
            if not one.is_file():
                yield Outcome(name, kind, 0.0, "not made the first time", missing="first")
            elif not other.is_file():
                promised = None if part else 0.0
                yield Outcome(name, kind, promised, "not made the second time", missing="second")
            else:
                yield Outcome(name, kind, promise(kind, one, other), *difference(one, other))


def promises(outcomes: Sequence[Outcome]) -> str:
    """What is promised of the outcomes of one kind, in words."""
    counts = Counter(outcome.promised for outcome in outcomes)
    told = []
    for promised, count in sorted(counts.items(), key=lambda pair: (pair[0] is None, pair[0] or 0)):
        what = "none" if promised is None else f"to {promised:g}" if promised else "the same"
        told.append(what if count == len(outcomes) else f"{what} for {count}")
    return ", ".join(told)


def table(outcomes: Sequence[Outcome]) -> str:
    """Markdown: promise and outcome for each kind of artefact."""
    rows = []
    for kind in dict.fromkeys(outcome.kind for outcome in outcomes):
        mine = [outcome for outcome in outcomes if outcome.kind == kind]
        cells = [
            *(kind, len(mine), promises(mine)),
            sum(not outcome.difference for outcome in mine),
            sum(bool(outcome.difference) and not outcome.missing for outcome in mine),
            sum(outcome.missing == "second" for outcome in mine),
            sum(outcome.missing == "first" for outcome in mine),
            "kept" if all(outcome.kept for outcome in mine) else "BROKEN",
        ]
        rows.append([str(cell) for cell in cells])
    return markdown_table(COLUMNS, rows)


@click.command()
@click.argument("first", type=File)
@click.argument("second", type=File)
@click.option("--part", is_flag=True, help="SECOND holds only some of the artefacts.")
def main(first: Path, second: Path, part: bool) -> int:
    """Compare the results of a preset in two folders, FIRST and SECOND.

    Exit status 2 if something that was promised to be the same differs or is missing.
    """
    for folder in (first, second):
        if not folder.is_dir():
            raise InputError(f"{folder} is not a folder with a preset's results")
    outcomes = list(compare(first, second, part))
    for outcome in outcomes:
        if outcome.difference and not (part and outcome.missing == "second"):
            print(outcome)
    print(table(outcomes), end="")
    return 0 if all(outcome.kept for outcome in outcomes) else 2
