"""Errors a user can act on; `gud.cli` turns them into an exit status."""

from __future__ import annotations

import errno

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class InputError(ValueError):
    """Bad input: one sentence naming the value, where it came from and what was expected."""


class Interrupted(RuntimeError):
    """Work stopped on request after saving its state; running the same command resumes it."""


class OutOfTime(Interrupted):
    """Work stopped because its time is over; it made progress, and will if run again."""
