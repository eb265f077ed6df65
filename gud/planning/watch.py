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

import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import get_args

import click
import numpy as np

from gud.cli import File, NamedPreset, preset_argument
from gud.config import inputs, paths
from gud.config.applications import ClassifierName
from gud.config.jobs import Evaluation
from gud.config.preset import Preset
from gud.config.sections.evaluation import ClassifierSettings
from gud.config.sections.model import TrainingSettings
from gud.errors import InputError
from gud.planning.finished import DAMAGED, last_row
from gud.planning.signs import (
    PATIENCE,
    STATES,
    Row,
    errors_of,
    latest_age,
    lines_of,
    lock_holder,
    span,
    written,
)
from gud.planning.stages import stages

SHORTEST = 60.0
"""Seconds without a sign, at least, after which work of known pace counts as stopped."""
RECENT = 20
"""Shards that a pace is taken from."""


def training_row(what: str, training: TrainingSettings, model: Path, log: Path, now: float) -> Row:
    """The training of a model that is to lie in a file, and says what it does in a log."""
    table, folder = model.with_name(paths.HISTORY), model.with_name(paths.CHECKPOINTS)
    saved, lock = sorted(folder.glob("step-*.safetensors")), folder / "lock"
    done, course, left = 0, "", ""
    try:
        last = last_row(table)
        step, loss, rate = int(last["step"]), float(last["loss"]), float(last["images_per_second"])
        left = f"{span((training.steps - step) * training.batch_size / max(rate, 1e-9))} left"
        done, course = step, f"loss {loss:.4g}, {rate:.4g} images/s"
    except DAMAGED:
        pass
    holder, certain = lock_holder(lock)
    free = certain and not holder and lock.exists()
    if holder:
        sign = f"lock held by {holder}"
    elif free:
        kept = f"checkpoint of step {int(saved[-1].stem[5:])}" if saved else "no checkpoint"
        sign = f"{kept}, nobody holds the lock"
    else:
        sign = "its lock cannot be seen from here" if lock.exists() else "no lock yet"
    interrupted = "".join(lines_of(log)[-1:]).startswith("interrupted: ")
    return Row(
        f"{what} training",
        training.steps if model.exists() else done,
        training.steps,
        finished=model.exists(),
        held=holder is not None,
        errors=errors_of({log: [table, *saved]}),
        age=latest_age([table, lock, log, *saved], now),
        patience=0.0 if free or interrupted else SHORTEST,
        course=course,
        left=left,
        sign=sign,
    )


def patience(shards: Mapping[Path, float]) -> float:
    """Seconds without another shard that say nothing: some times those that the last one took."""
    try:
        with np.load(max(shards, key=lambda path: shards[path]), allow_pickle=False) as arrays:
            return max(SHORTEST, 3 * float(json.loads(str(arrays["made"]))["seconds"]))
    except DAMAGED:
        return PATIENCE


def quantity_row(evaluation: Evaluation, points: list[str], results: Path, now: float) -> Row:
    """Likelihoods or samples in the files of all points of one experiment."""
    experiment, quantity = evaluation.experiment, evaluation.name
    size = evaluation.settings.batch_size
    shards = {
        paths.job_file(experiment, quantity, name): [
            results / experiment / quantity / paths.shard_file(point, start)
            for point, (first, last) in job.items()
            for start in range(first, last, size)
        ]
        for name, job in evaluation.jobs().items()
    }
    planned, made = sum(map(len, shards.values())), written(results / evaluation.model)
    there = {path: at for job in shards.values() for path in job if (at := written(path))}
    times = sorted(at for at in there.values() if made and at >= made)
    unmerged = [file for file in points if written(results / file) < max(made, 1.0)]
    course, left = f"{len(points) - len(unmerged)}/{len(points)} points merged", ""
    if stale := len(there) - len(times):
        course += f", {stale} shards older than the model not counted"
    recent = times[-RECENT:]
    if len(recent) > 1 and recent[-1] > recent[0]:
        gap = (recent[-1] - recent[0]) / (len(recent) - 1)
        left = f"{3600 / gap:.4g} shards/h, {span(gap * (planned - len(times)))} left"
    begun = {
        results / paths.log_file(receipt): made_by_it
        for receipt, made_by_it in shards.items()
        if not (results / receipt).exists()
    }
    joined: dict[Path, list[Path]] = {results / paths.log_file(file): [] for file in unmerged}
    return Row(
        f"{experiment} {quantity}",
        len(times) if unmerged else planned,
        planned,
        finished=not unmerged,
        errors=errors_of(begun | joined),
        age=latest_age([*begun, *there], now),
        patience=patience(there),
        course=course,
        left=left,
    )


def artefacts_row(what: str, made: Mapping[Path, Sequence[Path]], now: float) -> Row:
    """Artefacts, given with the logs of the jobs behind each."""
    missing = [path for path in made if not path.exists()]
    logs = [log for path in missing for log in made[path]]
    return Row(
        what,
        len(made) - len(missing),
        len(made),
        finished=not missing,
        errors=errors_of(dict.fromkeys(logs, ())),
        age=latest_age(logs, now),
    )


def observe(preset: Preset, results: Path, now: float) -> Iterator[Row]:
    """All that a preset makes, in the order in which it is made."""

    def artefacts(what: str, files: Iterable[str]) -> Iterator[Row]:
        made = {results / file: [results / paths.log_file(file)] for file in files}
        if made:
            yield artefacts_row(what, made, now)

    sources = {}
    for name in preset.data:
        made, archives = paths.data_file(name), inputs.archives(preset, name)
        fetched = [Path(paths.DOWNLOADS, "logs", f"{archive}.log") for archive in archives]
        sources[results / made] = [results / paths.log_file(made), *fetched]
    yield artefacts_row("data", sources, now)
    fitted = map(paths.experiment_statistics, preset.experiments.values())
    yield from artefacts("statistics", dict.fromkeys(fitted))
    for stage in stages(preset):
        name, asked, files = stage.experiment, stage.asked, stage.made
        match asked:
            case TrainingSettings():
                log = results / paths.training_log(name)
                yield training_row(name, asked, results / files[0], log, now)
            case ClassifierSettings():
                for file, which in zip(files, get_args(ClassifierName), strict=True):
                    log, what = results / paths.classifier_log(name, which), f"{name} {which}"
                    yield training_row(what, asked.training, results / file, log, now)
            case Evaluation():
                yield quantity_row(asked, files, results, now)
            case _:
                yield from artefacts(f"{name} {stage.name}", files)
    tables, named = inputs.all_tables(preset), preset.figures.named()
    scales = {file for name in tables for file in inputs.scales(preset, Path(name).stem)}
    yield from artefacts("scales", sorted(scales))
    yield from artefacts("tables", tables)
    yield from artefacts("figures", inputs.figures(preset, "summary"))
    if named:
        yield from artefacts("pictures", inputs.pictures(preset))
        yield from artefacts("comparison", [paths.table_file("comparison")])
        yield from artefacts("verdict", [paths.summary_file("verdict")] if tables else [])
        yield from artefacts("summary", [paths.summary_file("summary")])


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
