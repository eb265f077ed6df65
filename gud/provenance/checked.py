"""Records of artefacts that are still what they were."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from gud.errors import InputError
from gud.provenance.record import Record, read_record
from gud.provenance.writing import sha256


def checked_record(path: Path) -> Record:
    """The record of an artefact whose present content it describes."""
    record = record_of(path)
    if record.get("sha256") != sha256(path):
        raise InputError(f"{path} has changed since {path}.json was written: make it again")
    return record


def inputs_of(
    path: Path, record: Record, suffixes: tuple[str, ...]
) -> Iterator[tuple[Path, Record]]:
    """The inputs of an artefact with some suffixes, and their records, if they are what they were.

    Args:
        record: of the artefact.
    """
    for name, digest in record["inputs"].items():
        if not name.endswith(suffixes):
            continue
        file = Path(os.path.normpath(path.parent / name))
        found = record_of(file)
        if found["sha256"] != digest:
            raise InputError(
                f"{file} was made anew after {path} was made from it: make {path} again"
            )
        yield file, found


def record_of(path: Path) -> Record:
    """The record beside an artefact."""
    try:
        return read_record(path)
    except OSError:
        raise InputError(f"{path} has no record {path}.json, which must lie beside it") from None
