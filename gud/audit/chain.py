"""Follow the records of an artefact back to the data and verify every file on the way."""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from gud.audit.reading import Bundle, read_any
from gud.cli import File
from gud.errors import InputError
from gud.provenance import Record, code_version, files_of, sha256
from gud.provenance.record import FORMAT, SEAL, record_digest

MADE_HERE = {".npz", ".npy", ".safetensors", ".csv", ".json", ".md"}
"""Suffixes of the artefacts that serve as inputs: these must have a record. Other inputs, such as a
downloaded archive or a photograph, are leaves that their hash identifies."""
PASSED = {"OK", "UNVERIFIED", "NOT KEPT", "NOT SHIPPED"}


@dataclass(frozen=True)
class Link:
    """What a record says of another file.

    Args:
        name: of the file, as the record has it.
        relation: `inputs` it was made from, `parts` that were joined in it, or what was `made_with`
            it; only inputs must still be there.
        sha256: of the file.
        record: digest of its record, where that is known.
    """

    name: str
    relation: str
    sha256: str
    record: str | None = None


@dataclass(frozen=True)
class Finding:
    """One line of an audit.

    Args:
        path: the file.
        depth: steps from the artefact that is audited.
        status: OK, UNVERIFIED, NOT KEPT, NOT SHIPPED, CHANGED, CHANGED RECORD, MISSING FILE,
            MISSING RECORD or BAD RECORD.
        record: what the file was made with; None for a leaf.
        repeated: True where the file and its inputs were listed before.
        link: what the file before it says of it; None for the artefact itself.
        links: what it says of others that are followed, and where those lie.
    """

    path: Path
    depth: int
    status: str
    record: Record | None
    repeated: bool = False
    link: Link | None = None
    links: tuple[tuple[Link, Path], ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        made = " (above)" if self.repeated else f"  {_made(self.record)}"
        return f"{'  ' * self.depth}{self.status}  {shown(self.path)}{made}".rstrip()


def shown(path: Path) -> str:
    """A path as it is printed: relative where it lies below the current folder."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith(".." + os.sep) else relative


def links(record: Record) -> list[Link]:
    """What a record says of other files, its inputs first."""
    found = []
    for relation, files in files_of(record).items():
        digests = record.get("records", {}) if relation == "inputs" else {}
        for name, digest in files.items():
            found.append(Link(name, relation, digest, digests.get(name)))
    return found


def audit(
    artefact: Path, follows: Callable[[int, Link, Path], bool] = lambda *_: True
) -> Iterator[Finding]:
    """Findings on an artefact and all that it was made from, depth first, each in full once.

    A file is CHANGED if its sha256 differs from its own record or from the record of what was made
    from it; its record is CHANGED if it is not the one that was there when that was made. It is
    UNVERIFIED if it is a download as it came, for which no checksum is published: it has not
    changed since, but nothing tells whether it was right.

    Args:
        follows: whether what a finding of some depth says of a file in some place is followed.
    """
    digest = functools.cache(sha256)
    # Links are not resolved: a linked file has its record beside the link.
    first = Path(os.path.abspath(artefact))
    bundle = Bundle.beside(first)
    seen: set[Path] = set()
    ahead: list[tuple[Path, int, Link | None]] = [(first, 0, None)]
    while ahead:
        path, depth, link = ahead.pop()
        record, status = examine(path, link, bundle, digest)
        repeated = path in seen
        seen.add(path)
        below: tuple[tuple[Link, Path], ...] = ()
        if record and not repeated:
            try:
                placed = ((to, bundle.path_of(to.name, to.sha256, path)) for to in links(record))
                below = tuple((to, place) for to, place in placed if follows(depth, to, place))
            except ValueError:
                status = "BAD RECORD"
        yield Finding(path, depth, status, record, repeated, link, below)
        ahead += [(place, depth + 1, to) for to, place in reversed(below)]


def examine(
    path: Path, link: Link | None, bundle: Bundle, digest: Callable[[Path], str]
) -> tuple[Record | None, str]:
    """The record of a file and its status, by what it is now and what `link` says of it."""
    if not os.path.isfile(path):
        if link and link.relation == "inputs" and bundle.knows(link.sha256):
            record = bundle.record(link.sha256, link.record)
            changed = record is None and link.sha256 not in bundle.unrecorded
            return record, "CHANGED RECORD" if changed else "NOT SHIPPED"
        if link and link.relation != "inputs":
            return None, "NOT KEPT"
    try:
        record = read_any(path)
    except InputError:
        return None, "BAD RECORD" if os.path.isfile(path) else "MISSING FILE"
    if not os.path.isfile(path):
        return record, "MISSING FILE"
    recorded = {link.sha256 if link else None, record["sha256"] if record else None} - {None}
    if recorded - {digest(path)}:
        return record, "CHANGED"
    if record is None:
        needed = link is None or link.record or path.suffix in MADE_HERE
        return None, "MISSING RECORD" if needed else "OK"
    said = {link.record if link else None, record.get(SEAL)} - {None}
    if said - {record_digest(record)}:
        return record, "CHANGED RECORD"
    return record, "UNVERIFIED" if record.get("verified") is False else "OK"


def version_warnings(findings: Sequence[Finding]) -> list[str]:
    """A sentence for each version of the code but the present one, and of the records."""
    present = code_version()["gud_sha256"]
    made: dict[str, list[Finding]] = {}
    old: list[Finding] = []
    for finding in findings:
        if finding.record and not finding.repeated:
            for version in _versions(finding.record):
                made.setdefault(version, []).append(finding)
            if finding.record.get("format", 1) < FORMAT:
                old.append(finding)
    warnings = [
        f"{len(group)} of the artefacts, e.g. {group[0].path.name}, made by code {version[:8]}; "
        f"the present code is {present[:8]}"
        for version, group in made.items()
        if version != present
    ]
    if old:
        warnings.append(
            f"{len(old)} of the records, e.g. that of {old[0].path.name}, are of an earlier form, "
            "which does not hash other records: edits to those go undetected"
        )
    if len(made) > 1:
        warnings.append(f"the artefacts were made by {len(made)} versions of the code")
    return warnings


def _versions(record: Record) -> list[str]:
    """The versions of the code that made an artefact; shards that were joined tell theirs."""
    makers = [record, *record.get("made_by", [])]
    return sorted({maker["code"]["gud_sha256"] for maker in makers})


def code_name(record: Record) -> str:
    """The version of the code that made an artefact, in short."""
    name = f"code {record['code']['gud_sha256'][:8]}"
    if "git" in record["code"]:
        commit, *dirty = record["code"]["git"].split("-dirty")
        name += f", git {commit[:8]}{'-dirty' if dirty else ''}"
    return name


def _made(record: Record | None) -> str:
    if record is None:
        return ""
    parts = [code_name(record)]
    if record.get("seed") is not None:
        parts.append(f"seed {record['seed']}")
    if record.get("device"):
        parts.append(str(record["device"]))
    if record.get("seconds") is not None:
        parts.append(f"{record['seconds']:.1f} s")
    parts.append(str(record.get("finished", "")))
    return ", ".join(part for part in parts if part)


@click.command()
@click.argument("artefact", type=File)
def main(artefact: Path) -> None:
    """Follow an artefact to everything it was made from, and verify every hash."""
    findings = []
    for finding in audit(artefact):
        findings.append(finding)
        print(finding)
    for warning in version_warnings(findings):
        print(f"warning: {warning}")
    failures = Counter(finding.status for finding in findings if finding.status not in PASSED)
    if failures:
        counts = ", ".join(f"{count} {status}" for status, count in failures.items())
        raise InputError(f"audit of {artefact} failed: {counts}")
    first = Counter(finding.status for finding in findings if not finding.repeated)
    notes = [
        f"{first['UNVERIFIED']} of them UNVERIFIED downloads without a checksum",
        f"{first['NOT KEPT']} of them NOT KEPT, which only what is made later would need",
        f"{first['NOT SHIPPED']} of them NOT SHIPPED: their records or hashes alone are here",
    ]
    notes = [note for note in notes if not note.startswith("0 ")]
    print(", ".join([f"all {first.total()} files are as recorded", *notes]))
