"""Progress of long loops on a terminal or in a log, and requests to stop them."""

from __future__ import annotations

import io
import logging
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from dataclasses import dataclass

from tqdm import tqdm

from gud.training.allocation import TimeLimit

LOG_SECONDS = 10.0
LOG_LINE = (
    "{desc}: {n_fmt}/{total_fmt} {unit}s, {rate_noinv:.3g} {unit}/s, {remaining} left{postfix}"
)
STOP_SIGNALS = (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT)
OUT_OF_TIME = ("time limit", "SIGUSR1")
REASONS = (None, *OUT_OF_TIME, "SIGTERM", "SIGINT")
"""Why to stop; if there are several reasons, the last of them counts. Sites send SIGUSR1 as a
warning that a job's time will soon be over."""

log = logging.getLogger(__name__)


class _LogLines(tqdm):
    """A progress bar that writes lines to the log."""

    monitor_interval = 0

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:
        log.info("%s", self)
        return True


def progress(
    work: Iterable, *, unit: str, label: str, total: int | None = None, show: bool = True
) -> tqdm:
    """Iterate over `work` showing how far it is: a bar on a terminal, else a line every 10 seconds.

    The bar's `set_postfix_str("loss 0.1234", refresh=False)` adds a quantity to what it shows.
    Loops of less than 10 seconds write no line.

    Args:
        work: what to iterate over.
        unit: what one item is, in the singular.
        label: the name of the run.
        total: number of items; when larger than the length of `work`, the difference counts as
            done before.
        show: False for a process whose progress another one shows.
    """
    known = len(work) if isinstance(work, Sized) else None
    total = known if total is None else total
    options = {
        "desc": label,
        "total": total,
        "initial": total - known if total is not None and known is not None else 0,
        "disable": not show,
    }
    if sys.stderr.isatty():
        return tqdm(work, unit=f" {unit}", dynamic_ncols=True, **options)
    every = {"mininterval": LOG_SECONDS, "delay": LOG_SECONDS, "miniters": 1}
    return _LogLines(work, unit=unit, bar_format=LOG_LINE, file=io.StringIO(), **every, **options)


@dataclass
class Stop:
    """Whether a signal or the time limit asks for the end of the work."""

    signal: str | None = None
    limit: TimeLimit | None = None

    @property
    def reason(self) -> str | None:
        """One of `REASONS`."""
        if self.signal or not self.limit or not self.limit.near(time.time()):
            return self.signal
        return "time limit"


@contextmanager
def stop_signals(limit: TimeLimit | None = None) -> Iterator[Stop]:
    """Note SIGINT, SIGTERM and SIGUSR1 instead of dying of them, so that a step can be finished."""
    stop = Stop(limit=limit)

    def note(number: int, _frame: object) -> None:
        stop.signal = max(stop.signal, signal.Signals(number).name, key=REASONS.index)

    before = {number: signal.signal(number, note) for number in STOP_SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
