"""Records: what each artefact was made from, with what, by which command."""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NotRequired

from pydantic import ConfigDict
from typing_extensions import TypedDict

from gud.config.sections.section import Section
from gud.config.sections.validation import validate
from gud.errors import InputError
from gud.provenance.command import command_record
from gud.provenance.places import name_of
from gud.provenance.versions import code_version, loaded_sources, package_versions
from gud.provenance.writing import sha256, write_text

FORMAT = 2
"""Of records. Those of format 1 hold no digests of other records and no command."""
TIMES = ("finished", "seconds", "training_seconds")
"""What two records of the same work may differ in."""
SEAL = "record_sha256"
OPEN = Section.model_config | ConfigDict(extra="allow")
"""Of what holds further keys than those that others build on."""


def record_path(path: str | Path) -> Path:
    return Path(f"{path}.json")


def record_digest(record: Mapping[str, object]) -> str:
    """sha256 of what a record says, but for when the work was done and how long it took."""
    said = {key: value for key, value in record.items() if key not in (*TIMES, SEAL)}
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _digest_beside(path: str | Path) -> str | None:
    """The digest of the record of a file; None if it has none that can be read.

    A download is known by its bytes: its record is written anew once a checksum is published.
    """
    try:
        record = json.loads(record_path(path).read_text())
        return None if "verified" in record else record_digest(record)
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return None


def input_names(inputs: Iterable[str | Path], folder: Path) -> dict[str, dict[str, str]]:
    """The keys `inputs` and `records` of a record in a folder: digests of files and records."""
    names = {name_of(source, folder): source for source in inputs}
    digests = {name: _digest_beside(source) for name, source in names.items()}
    return {
        "inputs": {name: sha256(source) for name, source in names.items()},
        "records": {name: digest for name, digest in digests.items() if digest},
    }


def write_record(
    path: str | Path,
    *,
    inputs: Iterable[str | Path] = (),
    parts: Iterable[str | Path] = (),
    made_with: Iterable[str | Path] = (),
    settings: dict[str, Any] | None = None,
    seed: int | None = None,
    started: float | None = None,
    device: str = "cpu",
    **more: Any,
) -> None:
    """Write the provenance record of a finished artefact.

    Args:
        path: the artefact, already under its final name.
        inputs: files it was made from.
        parts: files that were joined in it, which may be deleted afterwards.
        made_with: other files that the same work made.
        settings: the resolved settings it was made with (JSON values).
        seed: the seed of every random draw in it, if any.
        started: `time.time()` when the work began.
        device: name of the device that did the work.
        more: further JSON values, e.g. the URL of a download.
    """
    folder = Path(path).parent
    record = {
        "format": FORMAT,
        "artefact": Path(path).name,
        "sha256": sha256(path),
        **input_names(inputs, folder),
        "parts": {name_of(part, folder): sha256(part) for part in parts},
        "made_with": {name_of(other, folder): sha256(other) for other in made_with},
        "settings": settings or {},
        "seed": seed,
        **command_record(folder),
        "code": code_version(),
        "sources": loaded_sources(),
        "packages": package_versions(),
        "device": device,
        "machine": platform.platform(),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": None if started is None else round(time.time() - started, 3),
        **more,
    }
    # As they will be read: settings may hold tuples, which JSON has not.
    record = json.loads(json.dumps(record))
    sealed = record | {SEAL: record_digest(record)}
    write_text(record_path(path), json.dumps(sealed, indent=1, sort_keys=True) + "\n")


def write_records(paths: Sequence[str | Path], **record: Any) -> None:
    """Write the records of artefacts that one piece of work has made, each naming the others."""
    for path in paths:
        write_record(path, made_with=[other for other in paths if other != path], **record)


class Code(TypedDict):
    """`code_version()`."""

    __pydantic_config__ = OPEN  # type: ignore[misc]

    gud_sha256: str
    git: NotRequired[str]


class Maker(TypedDict):
    """What made some of the shards of an artefact."""

    __pydantic_config__ = OPEN  # type: ignore[misc]

    code: Code
    packages: NotRequired[Any]
    device: NotRequired[Any]
    machine: NotRequired[Any]
    shards: NotRequired[Any]


class Record(TypedDict):
    """What `write_record` writes, as far as others build on it; further keys are free."""

    __pydantic_config__ = OPEN  # type: ignore[misc]

    sha256: str
    inputs: dict[str, str]
    settings: dict[str, Any]
    code: Code
    format: NotRequired[int]
    records: NotRequired[dict[str, str]]
    parts: NotRequired[dict[str, str]]
    made_with: NotRequired[dict[str, str]]
    sources: NotRequired[dict[str, str]]
    packages: NotRequired[dict[str, str]]
    command: NotRequired[str]
    directory: NotRequired[str]
    seed: NotRequired[int | None]
    seconds: NotRequired[float | None]
    device: NotRequired[str]
    finished: NotRequired[str]
    made_by: NotRequired[list[Maker]]
    artefact: NotRequired[Any]
    machine: NotRequired[Any]
    images: NotRequired[Any]
    evaluations: NotRequired[Any]
    training_seconds: NotRequired[Any]
    verified: NotRequired[Any]
    record_sha256: NotRequired[Any]


def files_of(record: Record) -> dict[str, dict[str, str]]:
    """The files that a record names, with their sha256, by what they are to its artefact."""
    return {
        "inputs": record["inputs"],
        "parts": record.get("parts", {}),
        "made_with": record.get("made_with", {}),
    }


def as_record(raw: Any, source: str) -> Record:
    """JSON as a record, to the letter; `InputError` if it is none.

    Args:
        source: where it is from.
    """
    validate(Record, raw, source)
    return raw


def read_record(path: str | Path) -> Record:
    """The record of an artefact.

    Raises:
        OSError: there is none.
        InputError: it is malformed.
    """
    file = record_path(path)
    try:
        record = json.loads(file.read_text())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file} is not JSON: {error}") from None
    return as_record(record, str(file))
