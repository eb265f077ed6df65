"""Check every artefact of a preset against its record and against mathematics.

An artefact passes if it, its record and the files that this names are as recorded and all checks of
its kind hold (`gud.audit.checks`). It is stale if code or settings that matter have changed since
it was made; else it fails. The exit status is 0 if all pass, 1 if some are stale and none fails, 2
if one fails.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from gud.audit.chain import PASSED, examine, links
from gud.audit.checks import Artefact, Check, Kind, Run, kind_of
from gud.audit.reading import BUNDLE, Bundle, read_any
from gud.audit.root import artefacts, below, root_hash
from gud.audit.staleness import changed_sources
from gud.cli import File, NamedPreset, preset_argument
from gud.data.arrays import NOT_NPZ
from gud.errors import InputError
from gud.provenance import FORMAT, sha256
from gud.provenance.places import PROJECT, path_of

UNREADABLE = (*NOT_NPZ, ArithmeticError)
"""What checks of a spoilt artefact raise."""
STATUSES = ("pass", "stale", "fail")


@dataclass(frozen=True)
class Verdict:
    """What was found of one artefact.

    Args:
        path: below the results of the preset.
        kind: of artefact.
        checks: all that was looked at.
    """

    path: str
    kind: str
    checks: tuple[Check, ...]

    @property
    def status(self) -> str:
        broken = [check for check in self.checks if not check.holds]
        if not broken:
            return "pass"
        return "stale" if all(check.stale for check in broken) else "fail"

    @property
    def reasons(self) -> list[str]:
        """The checks that do not hold, those that fail first."""
        broken = sorted((c for c in self.checks if not c.holds), key=lambda check: check.stale)
        return [f"does not hold: {c.statement} ({c.measured or 'no'})" for c in broken]

    def __str__(self) -> str:
        held = f"{sum(check.holds for check in self.checks)} of {len(self.checks)} checks hold"
        first = f"{self.status:<5}  {self.path}  ({self.kind}, {held})"
        return "\n".join([first, *(f"       {reason}" for reason in self.reasons)])

    def as_json(self) -> dict[str, object]:
        checks = [asdict(check) for check in self.checks]
        return {"path": self.path, "kind": self.kind, "status": self.status, "checks": checks}


def verify(run: Run) -> Iterator[Verdict]:
    """The verdict on each artefact of a preset.

    Raises:
        InputError: they are published ones, without the files that they were made from.
    """
    if (run.results / BUNDLE).exists():
        raise InputError(
            f"{run.results} holds {BUNDLE}, and so published artefacts without what they were made "
            "from, which cannot be made again: `gud audit` follows their records, `--root` prints "
            "their hash"
        )
    digest = functools.cache(sha256)
    for path in artefacts(run.results):
        yield judge(path, run, digest)


def judge(path: Path, run: Run, digest: Callable[[Path], str] = sha256) -> Verdict:
    """The verdict on one artefact."""
    name = below(path, run.results)
    if (known := kind_of(name)) is None:
        unknown = Check("it is of a known kind", False, "no check is made", stale=True)
        return Verdict(name, "unknown", (unknown,))
    kind, names = known
    return Verdict(name, kind.name, tuple(_checks(path, kind, names, run, digest)))


def _checks(
    path: Path, kind: Kind, names: dict[str, str], run: Run, digest: Callable[[Path], str]
) -> Iterator[Check]:
    """Checks of the record, then of the file that it describes."""
    of_record = tuple(_record_checks(path, kind, digest))
    yield from of_record
    if not all(check.holds or check.stale for check in of_record):
        return
    try:
        with _quiet():
            yield from kind.check(Artefact(path, read_any(path), names, run))
    except UNREADABLE as error:
        text = " ".join(str(error).split()) or type(error).__name__
        yield Check("it can be read and made again", False, text)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Making again says nothing new."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _record_checks(path: Path, kind: Kind, digest: Callable[[Path], str]) -> Iterator[Check]:
    """Whether an artefact, its record, and the files that this names are as recorded."""
    bundle = Bundle(path.parent)
    record, status = examine(path, None, bundle, digest)
    if status == "MISSING RECORD" and not kind.recorded:
        return
    yield Check("file and record belong together", status in PASSED, status)
    if record is None or status not in PASSED:
        return
    wrong = []
    for link in links(record):
        _, found = examine(path_of(link.name, path.parent), link, bundle, digest)
        # One of the project that has changed makes stale: see `changed_sources`.
        if found not in PASSED and not (found == "CHANGED" and link.name.startswith(PROJECT)):
            wrong.append(f"{found} {link.name}")
    yield Check("the files that the record names are as it says", not wrong, "; ".join(wrong))
    old = record.get("format", 1) < FORMAT
    yield Check(
        "its record hashes those of its inputs", not old, "a record of an earlier form", stale=True
    )
    changed = changed_sources(record)
    yield Check("the code that made it is the present code", not changed, changed, stale=True)


def summary(verdicts: Sequence[Verdict]) -> str:
    """How many artefacts have each status."""
    counts = Counter(verdict.status for verdict in verdicts)
    return ", ".join(f"{counts[status]} {status}" for status in STATUSES)


@contextlib.contextmanager
def running(preset: NamedPreset, results: Path | None = None) -> Iterator[Run]:
    """The results of a preset, by default in results/NAME, to be checked."""
    folder = results or preset.results
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder with a preset's results")
    with TemporaryDirectory() as scratch:
        yield Run(preset, folder.absolute(), Path(scratch))


@click.command()
@preset_argument()
@click.option("--results", type=File, help="Folder of the artefacts; default: results/NAME.")
@click.option("--json", "as_json", is_flag=True, help="Print all checks as JSON.")
@click.option("--all", "every", is_flag=True, help="Also list what passes.")
@click.option("--root", is_flag=True, help="Print only one hash of all artefacts and records.")
def main(preset: NamedPreset, results: Path | None, as_json: bool, every: bool, root: bool) -> int:
    """Check every artefact of a preset against its record and against mathematics.

    Exit status 1 if some are stale, 2 if one fails.
    """
    verdicts = []
    with running(preset, results) as run:
        if root:
            print(root_hash(run.results))
            return 0
        for verdict in verify(run):
            verdicts.append(verdict)
            if not as_json and (every or verdict.status != "pass"):
                print(verdict, flush=True)
    if as_json:
        print(json.dumps([verdict.as_json() for verdict in verdicts], indent=1))
    else:
        print(f"{len(verdicts)} artefacts: {summary(verdicts)}")
    return max((STATUSES.index(verdict.status) for verdict in verdicts), default=0)
