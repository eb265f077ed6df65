"""Errors a user can act on, and the one place where they become an exit status."""

from __future__ import annotations

import contextlib
import errno
import functools
import logging
import os
import sys
from collections.abc import Callable, Sequence

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class InputError(ValueError):
    """Bad input: one sentence naming the value, where it came from and what was expected."""


class Interrupted(RuntimeError):
    """Work stopped on request after saving its state; running the same command goes on."""


class OutOfTime(Interrupted):
    """Work stopped because its time is over; it got on, and would with another turn."""


def command_line(main: Callable[[Sequence[str] | None], None]) -> Callable[..., int]:
    """Turn errors into one line on stderr and an exit status.

    `InputError`, a full disk and a file that cannot be opened give status 2, `Interrupted` 75 and
    Ctrl-C in work that saves no state 130. A stderr that nobody reads
    any more (a `tee` that was killed) changes no exit status.
    """

    @functools.wraps(main)
    def run(argv: Sequence[str] | None = None) -> int:
        logging.basicConfig(
            level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S"
        )
        try:
            main(argv)
        except InputError as error:
            return _end(2, f"error: {error}")
        except Interrupted as stop:
            return _end(75, f"interrupted: {stop}")
        except OSError as error:
            if error.errno in FULL:
                return _end(2, f"error: {error.filename or 'a file'} cannot be written: {error}")
            if error.filename is None:
                raise
            return _end(2, f"error: {error.filename}: {error.strerror}")
        except KeyboardInterrupt:
            return _end(130, "interrupted")
        return _end(0)

    return run


def _end(status: int, line: str = "") -> int:
    for stream in (sys.stdout, sys.stderr):
        try:
            if line and stream is sys.stderr:
                print(line, file=stream)
            stream.flush()
        except OSError:
            # Python flushes once more as it exits, and would exit with another status.
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return status
