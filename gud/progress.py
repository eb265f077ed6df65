"""Progress of long loops, on a terminal or in a log."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterable, Sized

from tqdm import tqdm

LOG_SECONDS = 10.0
LOG_LINE = (
    "{desc}: {n_fmt}/{total_fmt} {unit}s, {rate_noinv:.3g} {unit}/s, {remaining} left{postfix}"
)

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
