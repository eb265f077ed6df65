"""How far a preset is, from its files alone, while a cluster computes it or after.

    python -m gud.watch config/demo.yaml [--results results/demo] [--every SECONDS]

Writes nothing. States, with the evidence for each:

    finished  what was planned is there
    running   a training holds its lock, or files have changed a short while ago
    stopped   begun, not finished, and nothing tells that anybody works on it
    failed    a log ends with an error and nothing has come after it
    waiting   not begun

A training's lock is seen by a try that takes a shared lock for an instant. A network file system
may hide the lock of another machine: there the age of the latest file tells instead. Exit status 1
if something failed.
"""

from __future__ import annotations

import argparse
import csv
import fcntl
import json
import platform
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np

from gud.errors import InputError, command_line
from gud.plan import Evaluation, evaluations
from gud.preset import (
    Columns,
    Experiment,
    Figure3,
    Figure5,
    OneExperiment,
    Preset,
    load_preset,
    points,
)
from gud.settings import TrainingSettings, archive_names

TABLED = (Figure3, Figure5, OneExperiment, Columns)
STATES = ("finished", "running", "waiting", "stopped", "failed")
PATIENCE = 600.0  # seconds without a sign after which work of unknown pace counts as stopped
SHORTEST = 60.0  # the same, at least, for work of known pace
RECENT = 20  # shards that a rate is taken from


@dataclass(frozen=True)
class Row:
    """One line of the screen: what, how much of it is done, its state and why that is known."""

    what: str
    state: str
    done: int
    planned: int
    evidence: str

    def __str__(self) -> str:
        return f"{self.what:<34} {self.state:<9} {self.done:>7}/{self.planned:<7} {self.evidence}"


def written(path: Path) -> float | None:
    """When a file was written, in seconds since the epoch; None if there is none."""
    try:
        return path.stat().st_mtime
    except OSError:
        return None


def latest_age(paths: Iterable[Path], now: float) -> float | None:
    """Seconds since the latest of some files was written; None if there is none of them."""
    times = [time for path in paths if (time := written(path)) is not None]
    return max(0.0, now - max(times)) if times else None


def span(seconds: float) -> str:
    """A time as people read it."""
    return f"{seconds:.0f} s" if seconds < 120 else str(timedelta(seconds=round(seconds)))


def lines_of(log: Path) -> list[str]:
    """The lines of a log that are not empty; none if there is no log."""
    try:
        return [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    except OSError:
        return []


def failure(log: Path, newer: Iterable[Path] = ()) -> str | None:
    """The error that a log ends with, unless one of some files has been written after it."""
    lines, end = lines_of(log), written(log) or 0.0
    crashed = any(line.startswith("Traceback (most recent call last)") for line in lines)
    failed = bool(lines) and (crashed or lines[-1].startswith("error: "))
    return lines[-1] if failed and all((written(path) or 0.0) <= end for path in newer) else None


def lock_holder(lock: Path) -> tuple[str | None, bool]:
    """Who holds a lock, if anybody, and whether a lock that seems free is free for certain."""
    try:
        with open(lock) as file:
            holder = file.read().strip() or "an unknown process"
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return None, True
    except BlockingIOError:
        return holder, True
    except OSError:
        return None, False
    return None, holder.endswith(f" on {platform.node()}")


def last_row(table: Path, training: TrainingSettings) -> tuple[int, str, str]:
    """The step of the last row of a training's table, its loss and rate, and the time left."""
    try:
        with open(table) as file:
            *_, last = csv.DictReader(file)
        step, loss, rate = int(last["step"]), float(last["loss"]), float(last["images_per_second"])
    except (OSError, ValueError, KeyError):
        return 0, "", ""
    seconds = (training.steps - step) * training.batch_size / max(rate, 1e-9)
    return step, f"loss {loss:.4g}, {rate:.4g} images/s, ", f"{span(seconds)} left, "


def training_row(name: str, experiment: Experiment, results: Path, now: float) -> Row:
    """The training of one experiment."""
    folder, log = results / name, results / "logs" / name / "train.log"
    steps, model = experiment.training.steps, folder / "model.safetensors"
    table, lock = folder / "training.csv", folder / "checkpoints" / "lock"
    step, course, left = last_row(table, experiment.training)

    def row(state: str, evidence: str, done: int = step) -> Row:
        return Row(f"{name} training", state, done, steps, evidence)

    if model.exists():
        return row("finished", f"{course}model {span(latest_age([model], now) or 0.0)} old", steps)
    saved = sorted((folder / "checkpoints").glob("step-*.safetensors"))
    seconds = latest_age([table, lock, log, *saved], now)
    if seconds is None:
        return row("waiting", "nothing there yet")
    row_age = latest_age([table], now)
    latest = f"last {'file' if row_age is None else 'row'} {span(row_age or seconds)} ago"
    holder, certain = lock_holder(lock)
    if holder:
        return row("running", f"{course}{left}lock held by {holder}, {latest}")
    if error := failure(log, [table, *saved]):
        return row("failed", f"{course}{error}")
    if seconds < SHORTEST and not "".join(lines_of(log)[-1:]).startswith("interrupted: "):
        if not lock.exists():
            return row("running", f"log of {span(seconds)} ago, no lock yet")
        if not certain:
            return row("running", f"{course}{left}{latest}, its lock cannot be seen from here")
    checkpoint = f"checkpoint of step {int(saved[-1].stem[5:])}" if saved else "no checkpoint"
    return row("stopped", f"{course}{checkpoint}, nobody holds the lock, {latest}")


def patience(shards: Mapping[Path, float]) -> float:
    """Seconds without another shard that say nothing: some times those that the last one took."""
    try:
        with np.load(max(shards, key=lambda path: shards[path]), allow_pickle=False) as arrays:
            return max(SHORTEST, 3 * json.loads(str(arrays["made"]))["seconds"])
    except (OSError, ValueError, KeyError):
        return PATIENCE


def quantity_row(evaluation: Evaluation, batches: int, results: Path, now: float) -> Row:
    """Likelihoods or samples at all points of one experiment: shards, points and jobs."""
    folder = results / evaluation.experiment / evaluation.name
    logs = results / "logs" / evaluation.experiment / evaluation.name
    jobs, size = evaluation.jobs(batches), evaluation.settings.batch_size
    shards = [
        [
            folder / "shards" / point / f"{start:06d}.npz"
            for point, (first, last) in job.items()
            for start in range(first, last, size)
        ]
        for job in jobs
    ]
    planned, made = sum(map(len, shards)), written(folder.parent / "model.safetensors")
    there = {path: time for job in shards for path in job if (time := written(path)) is not None}
    times = sorted(time for time in there.values() if made is not None and time >= made)
    merged = {point: written(folder / f"{point}.npz") or 0.0 for point in evaluation.points}
    unmerged = [point for point in merged if merged[point] < max(made or 0.0, 1.0)]
    counts = f"{len(merged) - len(unmerged)}/{len(merged)} points merged, "
    if stale := len(there) - len(times):
        counts += f"{stale} shards older than the model not counted, "

    def row(state: str, evidence: str, done: int = len(times)) -> Row:
        name = f"{evaluation.experiment} {evaluation.name}"
        return Row(name, state, done, planned, counts + evidence)

    if not unmerged:
        return row("finished", "nothing left", planned)
    recent, left = times[-RECENT:], ""
    if len(recent) > 1 and recent[-1] > recent[0]:
        gap = (recent[-1] - recent[0]) / (len(recent) - 1)
        left = f"{3600 / gap:.4g} shards/h, {span(gap * (planned - len(times)))} left, "
    receipts = {n: folder / "jobs" / f"{n}.json" for n in range(len(jobs))}
    begun = {n: logs / "jobs" / f"{n}.log" for n in receipts if not receipts[n].exists()}
    errors = {f"job {n}": failure(log, shards[n]) for n, log in begun.items()}
    errors |= {point: failure(logs / f"{point}.log") for point in unmerged}
    failed = [f"{name}: {error}" for name, error in errors.items() if error]
    seconds = latest_age([*begun.values(), *there], now)
    if failed:
        return row("failed", f"{len(failed)} failed, {failed[0]}")
    if seconds is None:
        return row("waiting", "the model is not there yet" if made is None else "no job has begun")
    working = seconds < patience(there)
    evidence = f"{left if working else ''}last shard or log {span(seconds)} ago"
    return row("running" if working else "stopped", evidence)


def artefacts_row(what: str, made: Mapping[Path, Sequence[Path]], now: float) -> Row:
    """Artefacts, given with the logs of the jobs behind each."""
    missing = [path for path in made if not path.exists()]
    done, planned = len(made) - len(missing), len(made)
    if not missing:
        return Row(what, "finished", done, planned, "")
    logs = [log for path in missing for log in made[path]]
    failed = [f"{log.name}: {error}" for log in logs if (error := failure(log))]
    if failed:
        return Row(what, "failed", done, planned, f"{len(failed)} failed, {failed[0]}")
    seconds = latest_age(logs, now)
    if seconds is None:
        return Row(what, "waiting", done, planned, "no job of the others has begun")
    state = "running" if seconds < PATIENCE else "stopped"
    return Row(what, state, done, planned, f"last log {span(seconds)} ago")


def observe(preset: Preset, results: Path, now: float) -> Iterator[Row]:
    """All that a preset makes, in the order in which it is made."""
    logs, figures, batches = results / "logs", preset.figures, preset.compute.job_batches

    def artefacts(kind: str, folder: str, suffix: str, names: Iterable[str]) -> Iterator[Row]:
        made = {
            results / folder / f"{name}.{suffix}": [logs / folder / f"{name}.log"] for name in names
        }
        if made:
            yield artefacts_row(kind, made, now)

    sources = {}
    for name, data in preset.data.items():
        files = [f"{archive}/{preset.downloads[archive].file}" for archive in archive_names(data)]
        fetched = [Path("resources/downloads/logs", f"{file}.log") for file in files]
        sources[results / "data" / f"{name}.npz"] = [logs / "data" / f"{name}.log", *fetched]
    yield artefacts_row("data", sources, now)
    for name, experiment in preset.experiments.items():
        yield training_row(name, experiment, results, now)
        for evaluation in evaluations(preset):
            if evaluation.experiment == name and evaluation.points:
                number = batches.nll if evaluation.name == "nll" else batches.samples
                yield quantity_row(evaluation, number, results, now)
        quality = points(experiment.quality.grids)
        yield from artefacts(f"{name} quality", f"{name}/quality", "json", quality)
        for kind, figure in (("strips", figures.figure7), ("reconstructions", figures.figure8)):
            if figure and figure.experiment == name:
                yield from artefacts(
                    f"{name} {kind}", f"{name}/{kind}", "npz", points(figure.grids)
                )
    named = figures.named().items()
    tables = [name for name, section in named if isinstance(section, TABLED)]
    yield from artefacts("tables", "tables", "csv", tables)
    drawn = [name for name, section in named if not isinstance(section, Columns)]
    yield from artefacts("figures", "figures", "pdf", drawn)


@command_line
def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("preset", type=Path)
    parser.add_argument("--results", type=Path, help="default: results/PRESET")
    parser.add_argument("--every", type=float, metavar="SECONDS", help="until all is finished")
    arguments = parser.parse_args(argv)
    if arguments.every is not None and not arguments.every > 0:
        raise InputError(f"--every {arguments.every:g}: expected more than 0 seconds")
    preset, results = load_preset(arguments.preset), arguments.results
    results = results or Path("results") / arguments.preset.stem
    while True:
        rows = list(observe(preset, results, time.time()))
        clear = "\033[2J\033[H" if arguments.every and sys.stdout.isatty() else ""
        there = "" if results.is_dir() else " does not exist"
        print(f"{clear}{results}{there}, {time.strftime('%F %T')}")
        counts = Counter(row.state for row in rows)
        print(*rows, ", ".join(f"{counts[s]} {s}" for s in STATES), sep="\n", flush=True)
        if not arguments.every or counts["finished"] == len(rows):
            break
        time.sleep(arguments.every)
    if counts["failed"]:
        sys.exit(1)


if __name__ == "__main__":
    sys.exit(main())
