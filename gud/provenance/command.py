"""The command that is running, for the records of what it makes."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from gud.provenance.versions import sources

WHERE_SAID = "--log"
"""Option of every command that changes nothing of what it makes."""


_RUNNING: ContextVar[tuple[str, Path] | None] = ContextVar("running", default=None)
"""A command and the folder that the paths in it start from."""


@contextmanager
def commanded(words: Sequence[str]) -> Iterator[None]:
    """State that all within is done by the command `gud WORDS` and the sources as they are now."""
    sources()
    kept = list(words)
    if WHERE_SAID in kept[:1]:
        kept = kept[2:]
    token = _RUNNING.set((shlex.join(["gud", *kept]), Path.cwd()))
    try:
        yield
    finally:
        _RUNNING.reset(token)


def command_record(folder: Path) -> dict[str, str]:
    """What the record of an artefact in a folder says of the command; empty in other programs."""
    running = _RUNNING.get()
    if running is None:
        return {}
    command, started_in = running
    return {"command": command, "directory": os.path.relpath(started_in, folder)}
