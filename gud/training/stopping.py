"""When a process must stop: signals, its time limit, and another turn in SLURM's queue."""

from __future__ import annotations

import logging
import math
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from gud.errors import OutOfTime
from gud.training.distributed import Processes

SMALLEST_MARGIN = 30.0
"""Seconds for what comes after the last checkpoint, and for clocks that differ."""
LAST_MINUTE = 60.0
"""Seconds that SLURM gets to end a job that it has taken back into its queue."""
ASK_SECONDS = 60.0
STOP_SIGNALS = (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT)
OUT_OF_TIME = ("time limit", "SIGUSR1")
REASONS = (None, *OUT_OF_TIME, "SIGTERM", "SIGINT")
"""Why to stop; if there are several reasons, the last of them counts. Sites send SIGUSR1 as a
warning that a job's time will soon be over."""

log = logging.getLogger(__name__)


@dataclass
class TimeLimit:
    """When a process will be stopped from outside, and how long before that it must stop itself.

    Args:
        started: when the process started, in seconds since the epoch.
        end: when it will be stopped, likewise.
    """

    started: float
    end: float = math.inf
    longest: float = 0.0

    def took(self, seconds: float) -> None:
        """Note how long a piece of work took that must not be left half done."""
        self.longest = max(self.longest, seconds)

    @property
    def margin(self) -> float:
        """Seconds before the end at which to stop: twice the longest work, but half of all."""
        margin = max(SMALLEST_MARGIN, 2 * self.longest)
        return min(margin, (self.end - self.started) / 2)

    def near(self, now: float) -> bool:
        return now >= self.end - self.margin


def time_limit(
    minutes: float | None, started: float, environment: Mapping[str, str] = os.environ
) -> TimeLimit:
    """Until the end of this process's SLURM allocation if it has one, else `minutes` long.

    Args:
        minutes: the limit of the job, None if there is none.
        started: when the process started, in seconds since the epoch.
        environment: of the process.
    """
    end = _end_of_allocation(environment)
    if end is None or end <= started:
        end = math.inf if minutes is None else started + 60 * minutes
    return TimeLimit(started, end)


def _end_of_allocation(environment: Mapping[str, str]) -> float | None:
    job = environment.get("SLURM_JOB_ID")
    if job is None:
        return None
    try:
        if "SLURM_JOB_END_TIME" in environment:
            return float(environment["SLURM_JOB_END_TIME"])
        answer = _ask("squeue", "--noheader", "--jobs", job, "--format", "%e")
        return datetime.fromisoformat(answer).timestamp()
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


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


@contextmanager
def another_turn(processes: Processes) -> Iterator[None]:
    """Put the SLURM job back into the queue when the block ends by `OutOfTime`.

    The error is raised all the same, but a job that is back in the queue is first left to SLURM to
    end, so that nobody takes it for a failed one.
    """
    try:
        yield
    except OutOfTime as error:
        if processes.maximum(int(processes.leads and _requeue(error))):
            time.sleep(LAST_MINUTE)
        raise


def _requeue(error: OutOfTime) -> bool:
    job = os.environ.get("SLURM_JOB_ID")
    if job is None:
        return False
    try:
        _ask("scontrol", "requeue", job)
    except (OSError, subprocess.SubprocessError) as refusal:
        reason = (getattr(refusal, "stderr", None) or str(refusal)).strip()
        log.warning("SLURM did not requeue job %s: %s", job, reason)
        return False
    log.info("%s: job %s is back in the queue of SLURM", error, job)
    return True


def _ask(*command: str) -> str:
    return subprocess.run(
        command,
        env={**os.environ, "SLURM_TIME_FORMAT": "standard"},
        capture_output=True,
        check=True,
        text=True,
        timeout=ASK_SECONDS,
    ).stdout.strip()
