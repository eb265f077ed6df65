"""Errors a user can act on, and the one place where they become an exit status."""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Callable, Sequence


class InputError(ValueError):
    """Bad input: one sentence naming the value, where it came from and what was expected."""


class Interrupted(RuntimeError):
    """Work stopped on a signal after saving its state; running the same command goes on."""


def command_line(main: Callable[[Sequence[str] | None], None]) -> Callable[..., int]:
    """Turn `InputError` into one line on stderr and exit status 2, `Interrupted` into status 75."""

    @functools.wraps(main)
    def run(argv: Sequence[str] | None = None) -> int:
        logging.basicConfig(
            level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S"
        )
        try:
            main(argv)
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        except Interrupted as stop:
            print(f"interrupted: {stop}", file=sys.stderr)
            return 75
        return 0

    return run
