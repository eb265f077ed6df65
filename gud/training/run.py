r"""Train the score network of one experiment (App. B).

Beside the model lie `training.csv` (one row per `log_every` steps) and `checkpoints/`. Everything
that is random in step n is a function of the seed and n alone, so that a run that was interrupted,
even by SIGKILL, and started again by the same command ends with the same weights to the last bit.
This holds on one kind of machine and with one number of threads (OMP_NUM_THREADS), which the record
states: other kernels add in another order. A GPU has other masks of dropout and other sums than a
CPU, and each precision has its own, so that a run that was begun on one kind of device or in one
precision does not resume in another: it says so and ends.

A run that finds another one writing the same folder waits for its end, and resumes from there.

Exit status 75 says that the run stopped with a checkpoint and that the same command resumes it:
after SIGTERM or SIGINT, after SIGUSR1 (which sites send as a warning), or when the time limit is
near: the end of the SLURM allocation if there is one, else M minutes after the start. If it is the
time that was over (SIGUSR1 or the limit), a SLURM job is first put back into the queue, and resumes
without anybody noticing; if SLURM refuses, the run says so and ends, to be started again.

Several GPUs share every batch; training.batch_size stays the size of the whole batch. Those of one
machine are taken by --processes N; or else

torchrun --nproc-per-node N --signals-to-handle SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1 \
    -m gud train ...
srun --kill-on-bad-exit --ntasks N python -m gud train ...

Their number changes the result by no more than the order of its sums, and may change when a run
resumes.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, get_args

import click
import torch
from torch import Tensor

from gud.cli import NamedPreset, device_option, experiment_option, input_option, out_option
from gud.config.applications import ClassifierJob, ClassifierName, classifier_job
from gud.config.jobs import TrainingJob, training_job
from gud.config.paths import CHECKPOINTS, EVENTS, HISTORY
from gud.data import datasets
from gud.devices import resolve_device
from gud.errors import InputError, Interrupted, OutOfTime
from gud.progress import progress
from gud.provenance import write_records
from gud.training.checkpoint import Checkpoints
from gud.training.classifier import ClassifierTraining
from gud.training.distributed import join, placement
from gud.training.events import Events
from gud.training.launcher import launch
from gud.training.step import NetworkTraining, Training, load_statistics, run_identity
from gud.training.stopping import (
    OUT_OF_TIME,
    REASONS,
    Stop,
    TimeLimit,
    another_turn,
    stop_signals,
    time_limit,
)

log = logging.getLogger(__name__)


def begin(job: TrainingJob, data: Path, images: Tensor, *arguments: Any) -> NetworkTraining[Any]:
    """A training before its first step.

    Args:
        data: the file of the images, which holds the labels that a classifier learns.
        arguments: further ones of `NetworkTraining`.
    """
    if not isinstance(job, ClassifierJob):
        return Training(job, images, *arguments)
    labels, classes = datasets.load_labels(data, "train", len(images))
    return ClassifierTraining(job, images, *arguments, labels=labels, classes=classes)


def resume(training: NetworkTraining[Any], checkpoints: Checkpoints) -> int:
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
            log.info("%s: resumes after step %d", run.experiment, start)
    return start


def train(
    training: NetworkTraining[Any],
    checkpoints: Checkpoints,
    table: Path,
    stop: Stop,
    events: Events | None = None,
) -> None:
    """Do the steps that are still to do, writing checkpoints, the table and event files, if any.

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
                    if events:
                        events.add(history.rows[-1])
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
                f"checkpoint written, the same command resumes from there"
            )


def finish(training: NetworkTraining[Any], table: Path, out: Path, **record: Any) -> None:
    """Write table, model and their records; if that fails, the checkpoints stay."""
    training.history.write(table, training.settings.steps)
    training.averaged_model().save(out)
    write_records(
        [table, out],
        settings=training.run.model_dump(mode="json"),
        seed=training.run.seed,
        training_seconds=round(training.history.seconds, 3),
        **record,
    )


@click.command()
@experiment_option()
@input_option("--data", "A data set, .npz.")
@input_option("--statistics", "Statistics of the data in the experiment's basis.")
@out_option("The model, .safetensors.")
@device_option()
@click.option("--minutes", type=float, help="Time limit of this job.")
@click.option("--processes", type=int, default=1, help="Usually one per GPU.", show_default=True)
@click.option(
    "--classifier",
    type=click.Choice(get_args(ClassifierName)),
    help="Train this classifier of noised states instead of the network.",
)
def main(
    preset: NamedPreset,
    experiment: str,
    data: Path,
    statistics: Path,
    out: Path,
    device: str | None,
    minutes: float | None,
    processes: int,
    classifier: ClassifierName | None,
) -> None:
    """Train the network of an experiment, from its last checkpoint if there is one.

    Exit status 75 says that it stopped with a checkpoint, and that the same command resumes it.
    """
    if minutes is not None and not minutes > 0:
        raise InputError(f"--minutes {minutes:g}: expected more than 0")
    if processes > 1 and "WORLD_SIZE" not in os.environ:
        launch(processes, sys.argv[1:], device)
    job = (
        classifier_job(preset.preset, experiment, classifier)
        if classifier
        else training_job(preset.preset, experiment)
    )
    events = Events(out.with_name(EVENTS)) if preset.preset.compute.tensorboard else None
    run(job, data, statistics, out, device=device, minutes=minutes, events=events)


def run(
    job: TrainingJob,
    data: Path,
    statistics: Path,
    out: Path,
    *,
    device: str | None = None,
    minutes: float | None = None,
    events: Events | None = None,
) -> None:
    """One training, from its last checkpoint if there is one, to its model and their records."""
    started = time.time()
    place = placement(os.environ)
    where = resolve_device(device, place.local_rank if place.size > 1 else None)
    images = datasets.load(data, "train")
    fitted = load_statistics(statistics, images, job)
    identity = run_identity(job, data, statistics, where)
    checkpoints = Checkpoints(out.with_name(CHECKPOINTS), identity)
    limit = time_limit(minutes, started)
    with ExitStack() as stack:
        stop = stack.enter_context(stop_signals(limit))
        processes = stack.enter_context(join(place, where))
        if not processes.leads:
            logging.disable(logging.INFO)
        stack.enter_context(another_turn(processes))
        with processes.together():
            if processes.leads:
                stack.enter_context(checkpoints.locked(stop))
        training = begin(job, data, images, fitted, where, processes)
        resolved = {
            "precision": training.precision,
            "device": torch.cuda.get_device_name() if where.type == "cuda" else "cpu",
            "threads": torch.get_num_threads(),
            "processes": processes.size,
        }
        log.info(
            "%s: %d images, %d weights, %s",
            job.experiment,
            len(images),
            sum(weight.numel() for weight in training.network.parameters()),
            ", ".join(f"{key} {value}" for key, value in resolved.items()),
        )
        table = out.with_name(HISTORY)
        train(training, checkpoints, table, stop, events)
        with processes.together():
            if processes.leads:
                inputs = [data, statistics]
                finish(training, table, out, inputs=inputs, started=started, **resolved)
