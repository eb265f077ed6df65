"""How far a preset is, from its files alone, while a cluster computes it or after.

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
from typing import get_args

import click
import numpy as np

from gud.cli import File, NamedPreset, preset_argument
from gud.config import inputs, paths
from gud.config.applications import ClassifierName, applications
from gud.config.jobs import Evaluation, batches_in_job, evaluations
from gud.config.preset import Preset
from gud.config.sections.data import archive_names
from gud.config.sections.evaluation import ConditionalSettings
from gud.config.sections.model import TrainingSettings
from gud.errors import InputError
from gud.planning.finished import DAMAGED

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
        left = span((training.steps - step) * training.batch_size / max(rate, 1e-9))
    except DAMAGED:
        return 0, "", ""
    return step, f"loss {loss:.4g}, {rate:.4g} images/s, ", f"{left} left, "


def training_row(what: str, training: TrainingSettings, model: Path, log: Path, now: float) -> Row:
    """The training of a model that is to lie in a file, and says what it does in a log."""
    table, folder = model.with_name(paths.HISTORY), model.with_name(paths.CHECKPOINTS)
    steps, lock = training.steps, folder / "lock"
    step, course, left = last_row(table, training)

    def row(state: str, evidence: str, done: int = step) -> Row:
        return Row(what, state, done, steps, evidence)

    if model.exists():
        return row("finished", f"{course}model {span(latest_age([model], now) or 0.0)} old", steps)
    saved = sorted(folder.glob("step-*.safetensors"))
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
            return max(SHORTEST, 3 * float(json.loads(str(arrays["made"]))["seconds"]))
    except DAMAGED:
        return PATIENCE


def quantity_row(evaluation: Evaluation, batches: int, results: Path, now: float) -> Row:
    """Likelihoods or samples at all points of one experiment: shards, points and jobs."""
    experiment, quantity = evaluation.experiment, evaluation.name
    jobs, size = evaluation.jobs(batches), evaluation.settings.batch_size
    shards = {
        name: [
            results / experiment / quantity / paths.shard_file(point, start)
            for point, (first, last) in job.items()
            for start in range(first, last, size)
        ]
        for name, job in jobs.items()
    }
    planned = sum(map(len, shards.values()))
    made = written(results / evaluation.model)
    there = {
        path: time for job in shards.values() for path in job if (time := written(path)) is not None
    }
    times = sorted(time for time in there.values() if made is not None and time >= made)
    files = {point: paths.point_file(experiment, quantity, point) for point in evaluation.points}
    merged = {point: written(results / file) or 0.0 for point, file in files.items()}
    unmerged = [point for point in merged if merged[point] < max(made or 0.0, 1.0)]
    counts = f"{len(merged) - len(unmerged)}/{len(merged)} points merged, "
    if stale := len(there) - len(times):
        counts += f"{stale} shards older than the model not counted, "

    def row(state: str, evidence: str, done: int = len(times)) -> Row:
        return Row(f"{experiment} {quantity}", state, done, planned, counts + evidence)

    if not unmerged:
        return row("finished", "nothing left", planned)
    recent, left = times[-RECENT:], ""
    if len(recent) > 1 and recent[-1] > recent[0]:
        gap = (recent[-1] - recent[0]) / (len(recent) - 1)
        left = f"{3600 / gap:.4g} shards/h, {span(gap * (planned - len(times)))} left, "
    receipts = {name: paths.job_file(experiment, quantity, name) for name in jobs}
    begun = {
        name: results / paths.log_file(receipt)
        for name, receipt in receipts.items()
        if not (results / receipt).exists()
    }
    errors = {f"job {name}": failure(log, shards[name]) for name, log in begun.items()}
    errors |= {point: failure(results / paths.log_file(files[point])) for point in unmerged}
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

    def artefacts(kind: str, files: Iterable[str]) -> Iterator[Row]:
        made = {results / file: [results / paths.log_file(file)] for file in files}
        if made:
            yield artefacts_row(kind, made, now)

    sources = {}
    for name, data in preset.data.items():
        archives = [preset.downloads[part].kept for part in archive_names(data)]
        fetched = [Path(paths.DOWNLOADS, "logs", f"{archive}.log") for archive in archives]
        made = paths.data_file(name)
        sources[results / made] = [results / paths.log_file(made), *fetched]
    yield artefacts_row("data", sources, now)
    for name, experiment in preset.experiments.items():
        if experiment.weights_of is None:
            model, log = results / paths.model_file(name), results / paths.training_log(name)
            yield training_row(f"{name} training", experiment.training, model, log, now)
        if experiment.search:
            yield from artefacts(f"{name} path", [paths.path_file(name)])
        for evaluation in evaluations(preset):
            if evaluation.experiment == name and evaluation.points:
                batches, made = batches_in_job(preset, evaluation.name), evaluation.name
                yield quantity_row(evaluation, batches, results, now)
                if made.startswith("samples"):
                    folder = paths.quality_folder(made)
                    files = [paths.point_file(name, folder, p, "json") for p in evaluation.points]
                    yield from artefacts(f"{name} {folder}", files)
        for figure in applications(preset, name):
            if isinstance(figure.settings, ConditionalSettings):
                for classifier in get_args(ClassifierName):
                    yield training_row(
                        f"{name} {classifier} training",
                        figure.settings.classifier.training,
                        results / paths.classifier_file(name, classifier),
                        results / paths.classifier_log(name, classifier),
                        now,
                    )
            yield from artefacts(f"{name} {figure.made}", figure.sources(preset))
    yield from artefacts("tables", inputs.all_tables(preset))
    yield from artefacts("figures", inputs.figures(preset, "summary"))


@click.command()
@preset_argument()
@click.option("--results", type=File, help="Default: results/PRESET.")
@click.option("--every", type=float, metavar="SECONDS", help="Repeat until all is finished.")
def main(preset: NamedPreset, results: Path | None, every: float | None) -> int:
    """Show how far a preset is, from its files alone; status 1 if something failed."""
    if every is not None and not every > 0:
        raise InputError(f"--every {every:g}: expected more than 0 seconds")
    results = results or preset.results
    while True:
        rows = list(observe(preset.preset, results, time.time()))
        clear = "\033[2J\033[H" if every and sys.stdout.isatty() else ""
        there = "" if results.is_dir() else " does not exist"
        print(f"{clear}{results}{there}, {time.strftime('%F %T')}")
        counts = Counter(row.state for row in rows)
        print(*rows, ", ".join(f"{counts[s]} {s}" for s in STATES), sep="\n", flush=True)
        if not every or counts["finished"] == len(rows):
            break
        time.sleep(every)
    return 1 if counts["failed"] else 0
