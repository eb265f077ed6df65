"""All artefacts of a folder, and one hash of them and their records."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from gud.audit.checks import kind_of
from gud.audit.reading import read_any
from gud.config.paths import EVENTS
from gud.errors import InputError
from gud.provenance import record_digest, record_path, sha256

NO_FOLDERS = {"logs", "benchmarks"}
"""Beside the artefacts of a preset."""
NO_ARTEFACTS = {
    *("lock", "report.html", "report.html.json", "report-quick.zip", "report-summary.zip"),
    *("root.sha256", "root.sha256.sig"),
}


def artefacts(results: Path) -> list[Path]:
    """The artefacts of a preset, also those of which the record alone is left."""
    found = set()
    for folder, folders, files in os.walk(results):
        left_out = NO_FOLDERS if Path(folder) == results else {EVENTS}
        folders[:] = [name for name in folders if name not in left_out]
        for path in (Path(folder, name) for name in files if not name.startswith(".")):
            described = path.with_suffix("")
            is_record = path.suffix == ".json" and kind_of(below(described, results))
            found.add(described if is_record else path)
    return sorted(path for path in found if path.name not in NO_ARTEFACTS)


def below(path: Path, results: Path) -> str:
    return path.relative_to(results).as_posix()


def root_hash(folder: Path) -> str:
    """sha256 over each artefact's sha256, the digest of its record, if any, and its path.

    It does not depend on when the work was done.
    """
    found = hashlib.sha256()
    for path in artefacts(folder):
        if not path.is_file():
            raise InputError(f"{path} is not there, but its record {record_path(path)} is")
        record = read_any(path)
        digest = record_digest(record) if record else "-"
        found.update(f"{sha256(path)} {digest} {below(path, folder)}\n".encode())
    return found.hexdigest()
