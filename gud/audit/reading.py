"""The records of files: beside them, inside shards, or in the bundle they were published in."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gud.config.sections.section import Section
from gud.config.sections.validation import validate
from gud.data.arrays import NOT_NPZ
from gud.errors import InputError
from gud.provenance import Record, as_record, read_record, record_digest, record_path, sha256
from gud.provenance.places import path_of

SHARD = "made"
"""Array of a shard that holds its record."""
BUNDLE = "records.json"
"""In a folder of published artefacts: the records of what they were made from."""


def read_any(path: Path) -> Record | None:
    """The record of a file, beside it or inside a shard; None if it has none.

    Raises:
        InputError: it is malformed.
    """
    if os.path.isfile(record_path(path)):
        return read_record(path)
    if path.suffix != ".npz" or path.parent.parent.name != "shards":
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            record = json.loads(str(arrays[SHARD]))
    except NOT_NPZ as error:
        raise InputError(f"shard {path} holds no record of how it was made: {error}") from None
    if not isinstance(record, dict):
        raise InputError(f"shard {path} holds no record of how it was made")
    # Of a shard it is its arrays that the record hashes: `gud.evaluate.shards` checks them.
    record = {"inputs": {}, "settings": {}} | record | {"sha256": sha256(path)}
    return as_record(record, f"the record in {path}")


class Published(Section):
    """An artefact in a folder of published ones, and the path that it was made at."""

    sha256: str
    made_at: str


class _Bundle(Section):
    files: dict[str, Published]
    records: list[Record]
    unrecorded: list[str]


@dataclass(frozen=True)
class Bundle:
    """Published artefacts and the records of all that they were made from, which need not be there.

    Args:
        folder: that holds the artefacts.
        files: the artefacts by their names.
        records: of what they were made from, by the sha256 of the file.
        unrecorded: sha256 of files that they were made from and that have no record.
    """

    folder: Path
    files: dict[str, Published] = field(default_factory=dict)
    records: dict[str, list[Record]] = field(default_factory=dict)
    unrecorded: frozenset[str] = frozenset()

    @classmethod
    def beside(cls, artefact: Path) -> Bundle:
        """The bundle in the folder of an artefact; an empty one if there is none."""
        folder = Path(os.path.abspath(artefact)).parent
        file = folder / BUNDLE
        if not file.is_file():
            return cls(folder)
        try:
            raw = json.loads(file.read_text())
        except (ValueError, RecursionError) as error:
            raise InputError(f"{file} is not JSON: {error}") from None
        found = validate(_Bundle, raw, str(file))
        records: dict[str, list[Record]] = {}
        for record in raw["records"]:
            records.setdefault(record["sha256"], []).append(record)
        return cls(folder, found.files, records, frozenset(found.unrecorded))

    def path_of(self, name: str, digest: str, user: Path) -> Path:
        """Where a file lies that the record of `user` names: there, or among the published ones."""
        folder = user.parent
        if folder == self.folder and user.name in self.files:
            folder = (self.folder / self.files[user.name].made_at).parent
        path = path_of(name, folder)
        if os.path.isfile(path):
            return path
        same = (self.folder / own for own, file in self.files.items() if file.sha256 == digest)
        return next(same, path)

    def record(self, digest: str, of_record: str | None) -> Record | None:
        """The record of a file that is not there, if the bundle has the one that is asked for.

        Args:
            digest: sha256 of the file.
            of_record: digest of its record, where that is known.
        """
        for record in self.records.get(digest, []):
            if of_record in (None, record_digest(record)):
                return record
        return None

    def knows(self, digest: str) -> bool:
        """Whether the bundle says of a file that it is not there."""
        return digest in self.unrecorded or digest in self.records

    def text(self) -> str:
        """What its file holds."""
        files = {name: file.model_dump() for name, file in self.files.items()}
        records = [record for digest in sorted(self.records) for record in self.records[digest]]
        content = {"files": files, "records": records, "unrecorded": sorted(self.unrecorded)}
        return json.dumps(content, indent=1, sort_keys=True) + "\n"
