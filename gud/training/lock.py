"""One writer of a folder at a time, also when a job that was given up for dead lives on."""

from __future__ import annotations

import fcntl
import logging
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from gud.errors import Interrupted
from gud.training.stopping import Stop

POLL_SECONDS = 1.0
REPEAT_SECONDS = 60.0

log = logging.getLogger(__name__)


@contextmanager
def locked(folder: Path, stop: Stop | None = None) -> Iterator[None]:
    """Be the only writer of `folder`, once whoever writes it now has ended.

    Args:
        folder: is made if there is none.
        stop: a request to end the wait.

    Raises:
        Interrupted: on that request.
    """
    lock, told = _taken(folder), -REPEAT_SECONDS
    while isinstance(lock, str):
        if stop and stop.reason:
            raise Interrupted(f"{stop.reason} while {folder} was being written by {lock}")
        if time.monotonic() - told >= REPEAT_SECONDS:
            log.info("waiting for %s, which writes %s, to end", lock, folder)
            told = time.monotonic()
        time.sleep(POLL_SECONDS)
        lock = _taken(folder)
    with lock:
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {platform.node()}\n")
        lock.flush()
        yield


def _taken(folder: Path) -> IO[str] | str:
    """The locked file, or the name of the process that holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "lock"
    lock = open(path, "a+")  # noqa: SIM115
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        with lock:
            lock.seek(0)
            return lock.read().strip() or "an unknown process"
    except OSError as error:
        log.warning("folder %s cannot be locked: %s", folder, error.strerror)
        return lock
    if path.exists() and os.path.samestat(path.stat(), os.fstat(lock.fileno())):
        return lock
    # Somebody deleted the folder in the meantime.
    lock.close()
    return _taken(folder)
