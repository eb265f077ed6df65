"""Start the processes of a training on this machine, pass signals on to them, end as they do."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import NoReturn

from gud.devices import check_processes
from gud.training.stopping import STOP_SIGNALS

LOOK_SECONDS = 0.1
AGAIN_SECONDS = 1.0
"""After which a signal is passed on once more, for a process that only came to heed signals."""
GRACE_SECONDS = 60.0
"""For the others to end once one has failed: some wait for it and never will."""


def launch(processes: int, arguments: Sequence[str], device: str | None) -> NoReturn:
    """Run a `gud` command in several processes and exit with the status of the first that fails.

    Unlike `torchrun` this gives them the time that they need to stop, and says how they ended.

    Raises:
        InputError: if they are more than the GPUs here.
    """
    check_processes(device, processes)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
    common = {"WORLD_SIZE": processes, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    command = [sys.executable, "-m", "gud", *arguments]
    # Ignored signals stay so in the processes until these heed them.
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    workers = []
    for rank in range(processes):
        places = {"RANK": rank, "LOCAL_RANK": rank} | common
        environment = os.environ | {key: str(value) for key, value in places.items()}
        workers.append(subprocess.Popen(command, env=environment))
    raise SystemExit(supervise(workers))


def supervise(workers: Sequence[subprocess.Popen]) -> int:
    """Wait for processes, passing on the signals that come; returns the first failure's status.

    One that died of a signal counts as shells count it, with 128 and the signal's number.
    """
    asked: set[int] = set()
    for number in STOP_SIGNALS:
        signal.signal(number, lambda received, _: asked.add(received))
    status, deadline, again = 0, float("inf"), 0.0
    while running := [worker for worker in workers if worker.poll() is None]:
        now = time.monotonic()
        failed = next((worker.returncode for worker in workers if worker.returncode), 0)
        if failed and not status:
            status, deadline = failed, now + GRACE_SECONDS
        if asked and now >= again:
            again = now + AGAIN_SECONDS
            for worker, received in itertools.product(running, sorted(asked)):
                worker.send_signal(received)
        if now >= deadline:
            for worker in running:
                worker.kill()
        time.sleep(LOOK_SECONDS)
    status = status or next((worker.returncode for worker in workers if worker.returncode), 0)
    return status if status >= 0 else 128 - status
