"""Artefacts for others: files with their records, those of their ancestors, and one root hash.

Beside the files lie `records.json`, with the records of all that they were made from, and
`root.sha256`. `gud audit` follows the records; what is not there is NOT SHIPPED, and its hash is
stated.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import click

from gud.audit.chain import PASSED, audit
from gud.audit.reading import BUNDLE, Bundle, Published, read_any
from gud.audit.root import artefacts, root_hash
from gud.cli import File
from gud.errors import InputError
from gud.provenance import Record, record_path, sha256, write_text
from gud.provenance.places import path_of

ROOT = "root.sha256"
"""Holds the root hash of the files beside it."""


def publish(files: tuple[Path, ...], folder: Path) -> str:
    """Copy artefacts and their records into a folder of published ones; returns its root hash.

    Those that lie there already stay, with what is known of their ancestors.

    Raises:
        InputError: one of the artefacts, or of those there, is not as recorded.
    """
    if folder.is_dir():
        root_hash(folder)
    before = Bundle.beside(folder / BUNDLE)
    made_at = {name: file.made_at for name, file in before.files.items()}
    records: dict[str, list[Record]] = dict(before.records)
    unrecorded = set(before.unrecorded)
    for file in files:
        for finding in audit(file):
            if finding.status not in PASSED:
                raise InputError(f"{finding.path} is {finding.status}: {file} is not published")
            link, record = finding.link, finding.record
            if link is None or link.relation != "inputs":
                continue
            if record is None:
                unrecorded.add(link.sha256)
            elif record not in records.setdefault(record["sha256"], []):
                records[record["sha256"]].append(record)
        if file.absolute().parent == folder.absolute():
            raise InputError(f"{file} lies in {folder} already: leave it out")
        made_at[file.name] = os.path.relpath(file)
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        for one in (file, record_path(file)):
            shutil.copyfile(one, folder / one.name)
    kept = {}
    for path in artefacts(folder):
        if path.name != BUNDLE and (record := read_any(path)):
            place = made_at.get(path.name, path.name)
            kept[path.name] = Published(sha256=sha256(path), made_at=place)
            unrecorded |= {
                digest
                for name, digest in record["inputs"].items()
                if digest not in records and not path_of(name, path.parent).is_file()
            }
    bundle = Bundle(folder, kept, records, frozenset(unrecorded))
    write_text(folder / BUNDLE, bundle.text())
    root = root_hash(folder)
    write_text(folder / ROOT, f"{root}\n")
    return root


@click.command()
@click.option("--out", type=File, required=True, help="Folder to publish in.")
@click.argument("files", type=File, nargs=-1)
def main(out: Path, files: tuple[Path, ...]) -> None:
    """Copy FILES with their records, and those of all their ancestors, and print one root hash.

    Without FILES, the records and the root hash of those in the folder are rewritten.
    """
    print(publish(files, out))
