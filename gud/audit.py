"""Follow the records of an artefact back to the data and verify every file on the way.

python -m gud.audit ARTEFACT
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gud.errors import InputError, command_line
from gud.provenance import code_version, read_record, record_path, sha256

MADE_HERE = {".npz", ".safetensors", ".csv", ".json"}
"""Suffixes of the artefacts that serve as inputs: these must have a record. Other inputs, such as a
downloaded archive or a photograph, are leaves that their hash identifies."""
PASSED = {"OK", "UNVERIFIED"}


@dataclass(frozen=True)
class Finding:
    """One line of an audit.

    Args:
        path: the file.
        depth: steps from the artefact that is audited.
        status: OK, UNVERIFIED, CHANGED, MISSING FILE, MISSING RECORD or BAD RECORD.
        record: what the file was made with; None for a leaf.
        repeated: True where the file and its inputs were listed before.
    """

    path: Path
    depth: int
    status: str
    record: dict[str, Any] | None
    repeated: bool = False

    def __str__(self) -> str:
        path = os.path.relpath(self.path)
        if path.startswith(".." + os.sep):
            path = str(self.path)
        made = " (above)" if self.repeated else f"  {_made(self.record)}"
        return f"{'  ' * self.depth}{self.status}  {path}{made}".rstrip()


def audit(artefact: Path) -> Iterator[Finding]:
    """Findings on an artefact and all that it was made from, depth first, each in full once.

    A file is CHANGED if its sha256 differs from its own record or from the record of what was made
    from it. It is UNVERIFIED if it is a download as it came, for which no checksum is published: it
    has not changed since, but nothing tells whether it was right.
    """
    digest = functools.cache(sha256)
    seen: set[Path] = set()

    def visit(path: Path, depth: int, expected: str | None) -> Iterator[Finding]:
        # Links are not resolved: a linked file has its record beside the link.
        path = Path(os.path.abspath(path))
        record, status = _read(path, required=expected is None or path.suffix in MADE_HERE)
        if not path.is_file():
            status = "MISSING FILE"
        else:
            recorded = {expected, record["sha256"] if record else None} - {None}
            if recorded - {digest(path)}:
                status = "CHANGED"
        repeated = path in seen
        seen.add(path)
        yield Finding(path, depth, status, record, repeated)
        if record and not repeated:
            for name, used in record["inputs"].items():
                yield from visit(path.parent / name, depth + 1, used)

    return visit(artefact, 0, None)


def version_warnings(findings: Sequence[Finding]) -> list[str]:
    """A sentence for each version of the code but the present one that made an artefact."""
    present = code_version()["gud_sha256"]
    made: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.record and not finding.repeated:
            for version in _versions(finding.record):
                made.setdefault(version, []).append(finding)
    warnings = [
        f"{len(group)} of the artefacts, e.g. {group[0].path.name}, made by code {version[:8]}; "
        f"the present code is {present[:8]}"
        for version, group in made.items()
        if version != present
    ]
    if len(made) > 1:
        warnings.append(f"the artefacts were made by {len(made)} versions of the code")
    return warnings


def _versions(record: dict[str, Any]) -> set[str]:
    """The versions of the code that made an artefact; shards that were joined tell theirs."""
    makers = [record, *record.get("made_by", [])]
    return {maker["code"]["gud_sha256"] for maker in makers}


def _read(path: Path, required: bool) -> tuple[dict[str, Any] | None, str]:
    """The record of a file and the status that follows from it alone."""
    if not record_path(path).is_file():
        return None, "MISSING RECORD" if required else "OK"
    try:
        record = read_record(path)
        record["sha256"], record["inputs"].items(), record["code"]["gud_sha256"]
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError):
        return None, "BAD RECORD"
    return record, "UNVERIFIED" if record.get("verified") is False else "OK"


def _made(record: dict[str, Any] | None) -> str:
    if record is None:
        return ""
    parts = [f"code {record['code']['gud_sha256'][:8]}"]
    if "git" in record["code"]:
        commit, *dirty = record["code"]["git"].split("-dirty")
        parts.append(f"git {commit[:8]}{'-dirty' if dirty else ''}")
    if record.get("seed") is not None:
        parts.append(f"seed {record['seed']}")
    if record.get("device"):
        parts.append(str(record["device"]))
    if record.get("seconds") is not None:
        parts.append(f"{record['seconds']:.1f} s")
    parts.append(str(record.get("finished", "")))
    return ", ".join(part for part in parts if part)


@command_line
def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("artefact", type=Path)
    arguments = parser.parse_args(argv)
    findings = []
    for finding in audit(arguments.artefact):
        findings.append(finding)
        print(finding)
    for warning in version_warnings(findings):
        print(f"warning: {warning}")
    failures = Counter(finding.status for finding in findings if finding.status not in PASSED)
    if failures:
        counts = ", ".join(f"{count} {status}" for status, count in failures.items())
        raise InputError(f"audit of {arguments.artefact} failed: {counts}")
    first = Counter(finding.status for finding in findings if not finding.repeated)
    unverified = first["UNVERIFIED"]
    note = f", {unverified} of them UNVERIFIED downloads without a checksum" if unverified else ""
    print(f"all {first.total()} files are as recorded{note}")


if __name__ == "__main__":
    sys.exit(main())
