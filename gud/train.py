r"""Train the score network of one experiment (App. B).

python -m gud.train --settings JSON --data DATA.npz --statistics STATS.safetensors \
    --out DIR/model.safetensors [--device cpu|cuda] [--minutes M] [--processes N]

Beside the model lie `training.csv` (one row per `log_every` steps) and `checkpoints/`. Everything
that is random in step n is a function of the seed and n alone, so that a run that was interrupted,
even by SIGKILL, and started again by the same command ends with the same weights to the last bit.
This holds on one kind of machine and with one number of threads (OMP_NUM_THREADS), which the record
states: other kernels add in another order. On a GPU the draws are the same, the sums need not be.

A run that finds another one writing the same folder waits for its end, and goes on from there.

Exit status 75 says that the run stopped with a checkpoint and that the same command goes on: after
SIGTERM or SIGINT, after SIGUSR1 (which sites send as a warning), or when the time limit is near:
the end of the SLURM allocation if there is one, else M minutes after the start. If it is the time
that was over (SIGUSR1 or the limit), a SLURM job is first put back into the queue, where it goes on
without anybody noticing; if SLURM refuses, the run says so and ends, to be started again.

Several GPUs share every batch; training.batch_size stays the size of the whole batch:

torchrun --nproc-per-node N --signals-to-handle SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1 \
    -m gud.train ...
srun --kill-on-bad-exit --ntasks N python -m gud.train ...

Their number changes the result by no more than the order of its sums, and may change when a run
goes on.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from gud import data
from gud.allocation import TimeLimit, another_turn, time_limit
from gud.checkpoint import Checkpoints
from gud.devices import resolve_device
from gud.distributed import join, launch, placement
from gud.errors import InputError, Interrupted, OutOfTime, command_line
from gud.progress import OUT_OF_TIME, REASONS, Stop, progress, stop_signals
from gud.provenance import write_record
from gud.settings import validate
from gud.training import RunSettings, Training, load_statistics, run_identity

log = logging.getLogger(__name__)


def resume(training: Training, checkpoints: Checkpoints) -> int:
    """Restore the latest checkpoint, the same in all processes; returns the number of steps done.

    Raises:
        InputError: if checkpoints are another run's or past the end.
    """
    run, processes = training.run, training.processes
    with processes.together():
        checkpoint = checkpoints.load() if processes.leads else None
        if checkpoint and checkpoint.step > run.training.steps:
            raise InputError(
                f"training.steps = {run.training.steps} lies before the checkpoint of step "
                f"{checkpoint.step}; delete the folder {checkpoints.folder} to start afresh"
            )
    start = processes.maximum(checkpoint.step if checkpoint else 0)
    with processes.together():
        if start:
            training.restore((checkpoint or checkpoints.read(start)).tensors)
            log.info("%s: goes on after step %d", run.experiment, start)
    return start


def train(training: Training, checkpoints: Checkpoints, table: Path, stop: Stop) -> None:
    """Do the steps that are still to do, writing checkpoints and the table.

    Raises:
        Interrupted: on a request to stop, with a checkpoint of the last step; `OutOfTime` if it is
            for want of time.
        InputError: if the loss is not finite, if checkpoints are another run's or past the end.
    """
    run, settings, history = training.run, training.settings, training.history
    processes, limit = training.processes, stop.limit or TimeLimit(time.time())
    start = resume(training, checkpoints)
    bar = progress(
        range(start, settings.steps),
        unit="step",
        label=run.experiment,
        total=settings.steps,
        show=processes.leads,
    )
    clock = time.monotonic() - history.seconds
    for step in bar:
        began = time.monotonic()
        training.update(step)
        done = step + 1
        last = done == settings.steps
        reason = REASONS[processes.maximum(REASONS.index(stop.reason))]
        save = last or reason is not None or done % settings.checkpoint_every == 0
        if save or done % settings.log_every == 0:
            training.check_losses(done)
            history.seconds = time.monotonic() - clock
        if done % settings.log_every == 0:
            history.close_row(done)
            bar.set_postfix_str(f"loss {history.rows[-1, 1]:.4f}", refresh=False)
            with processes.together():
                if processes.leads:
                    history.write(table, done)
        if save:
            training.check_state(done)
            with processes.together():
                if processes.leads:
                    checkpoints.save(done, training.tensors())
        limit.took(time.monotonic() - began)
        if reason and not last:
            kind = OutOfTime if reason in OUT_OF_TIME else Interrupted
            raise kind(
                f"{run.experiment}: {reason} after step {done} of {settings.steps}; "
                f"checkpoint written, the same command goes on from there"
            )


def finish(training: Training, table: Path, out: Path, **record: Any) -> None:
    """Write table, model and their records.

    Raises:
        InputError: if the model cannot be written; the checkpoints stay.
    """
    training.history.write(table, training.settings.steps)
    try:
        training.averaged_model().save(out)
    except SafetensorError as error:
        raise InputError(f"model {out} cannot be written: {error}") from None
    for artefact in (table, out):
        write_record(
            artefact,
            settings=training.run.model_dump(mode="json"),
            seed=training.run.seed,
            training_seconds=round(training.history.seconds, 3),
            **record,
        )


@command_line
def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--settings", type=json.loads, required=True, help="experiment, model, training, seed"
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--statistics", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="the model, .safetensors")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: a GPU if there is one")
    parser.add_argument("--minutes", type=float, help="time limit of this job")
    parser.add_argument("--processes", type=int, default=1, help="one for each GPU")
    arguments = parser.parse_args(argv)
    started = time.time()
    if arguments.minutes is not None and not arguments.minutes > 0:
        raise InputError(f"--minutes {arguments.minutes:g}: expected more than 0")
    run = validate(RunSettings, arguments.settings, "--settings")
    if arguments.processes > 1 and "WORLD_SIZE" not in os.environ:
        launch("gud.train", arguments.processes, sys.argv[1:] if argv is None else argv)
    place = placement(os.environ)
    device = resolve_device(arguments.device, place.local_rank if place.size > 1 else None)
    images = data.load(arguments.data, "train")
    statistics = load_statistics(arguments.statistics, images)
    identity = run_identity(run, arguments.data, arguments.statistics)
    checkpoints = Checkpoints(arguments.out.parent / "checkpoints", identity)
    limit = time_limit(arguments.minutes, started)
    with ExitStack() as stack:
        stop = stack.enter_context(stop_signals(limit))
        processes = stack.enter_context(join(place, device))
        if not processes.leads:
            logging.disable(logging.INFO)
        stack.enter_context(another_turn(processes))
        with processes.together():
            if processes.leads:
                stack.enter_context(checkpoints.locked(stop))
        training = Training(run, images, statistics, device, processes)
        resolved = {
            "precision": training.precision,
            "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
            "threads": torch.get_num_threads(),
            "processes": processes.size,
        }
        log.info(
            "%s: %d images, %d weights, %s",
            run.experiment,
            len(images),
            sum(weight.numel() for weight in training.network.parameters()),
            ", ".join(f"{key} {value}" for key, value in resolved.items()),
        )
        table = arguments.out.with_name("training.csv")
        train(training, checkpoints, table, stop)
        with processes.together():
            if processes.leads:
                inputs = [arguments.data, arguments.statistics]
                finish(training, table, arguments.out, inputs=inputs, started=started, **resolved)


if __name__ == "__main__":
    sys.exit(main())
