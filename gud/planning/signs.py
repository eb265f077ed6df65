"""What files tell of work: a row of the watch, and the signs by which its state is known."""

from __future__ import annotations

import fcntl
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

STATES = ("finished", "running", "waiting", "stopped", "failed")
PATIENCE = 600.0
"""Seconds without a sign after which work of unknown pace counts as stopped."""


@dataclass(frozen=True)
class Row:
    """One line of the screen.

    Args:
        done, planned: steps, shards or files.
        finished: all that was planned is there.
        errors: that logs end with and that nothing has come after.
        age: seconds since the latest file was written; None if there is none.
        patience: seconds of that age after which work counts as stopped.
        held: somebody holds its lock.
        course: how it went so far.
        left: the time left, which is told while it runs.
        sign: of its lock.
    """

    what: str
    done: int
    planned: int
    finished: bool
    errors: list[str]
    age: float | None
    patience: float = PATIENCE
    held: bool = False
    course: str = ""
    left: str = ""
    sign: str = ""

    @property
    def state(self) -> str:
        """One of `STATES`."""
        if self.finished:
            return "finished"
        if self.held:
            return "running"
        if self.errors:
            return "failed"
        if self.age is None:
            return "waiting"
        return "running" if self.age < self.patience else "stopped"

    @property
    def evidence(self) -> str:
        """Why the state is known, and how far the work is."""
        latest = f"last file {span(self.age or 0.0)} ago"
        told = {
            "finished": [],
            "running": [self.left, self.sign, latest],
            "waiting": ["no job has begun"],
            "stopped": [self.sign, latest],
            "failed": [f"{len(self.errors)} failed", *self.errors[:1]],
        }
        return ", ".join(filter(None, [self.course, *told[self.state]]))

    def __str__(self) -> str:
        return f"{self.what:<34} {self.state:<9} {self.done:>7}/{self.planned:<7} {self.evidence}"


def span(seconds: float) -> str:
    """A time as people read it."""
    return f"{seconds:.0f} s" if seconds < 120 else str(timedelta(seconds=round(seconds)))


def written(path: Path) -> float:
    """When a file was written, in seconds since the epoch; 0 if there is none."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def latest_age(files: Iterable[Path], now: float) -> float | None:
    """Seconds since the latest of some files was written; None if there is none of them."""
    latest = max(map(written, files), default=0.0)
    return max(0.0, now - latest) if latest else None


def lines_of(log: Path) -> list[str]:
    """The lines of a log that are not empty; none if there is no log."""
    try:
        return [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    except OSError:
        return []


def errors_of(logs: Mapping[Path, Iterable[Path]]) -> list[str]:
    """The errors that logs end with, but where one of some files has been written since."""
    found = []
    for log, newer in logs.items():
        lines, end = lines_of(log), written(log)
        crashed = any(line.startswith("Traceback (most recent call last)") for line in lines)
        failed = bool(lines) and (crashed or lines[-1].startswith("error: "))
        if failed and all(written(path) <= end for path in newer):
            found.append(f"{log.name}: {lines[-1]}")
    return found


def lock_holder(lock: Path) -> tuple[str | None, bool]:
    """Who holds a lock, if anybody, and whether a lock that seems free is free for certain."""
    try:
        with open(lock) as file:
            holder = file.read().strip() or "an unknown process"
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return None, True
    except BlockingIOError:
        return holder, True
    except OSError:
        return None, False
    return None, holder.endswith(f" on {platform.node()}")
