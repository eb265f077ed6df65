"""What a preset will cost, before paying: jobs, network evaluations, hours, disk and memory.

Seconds of an image are those of finished jobs of results/PRESET, or else measured here, on the very
network of the preset (on a GPU node they are a GPU's). They may be stated instead: --rates gives
`gud.planning.costs.Rates` of each experiment, --teraflops the operations, in 10^12 a second, that a
device sustains. Everything else is counted from the preset; what is assumed is said.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import click
import pandas as pd
import torch

from gud.cli import File, NamedPreset, OutFile, preset_argument
from gud.config.paths import DOWNLOADS
from gud.config.preset import Preset
from gud.config.sections.bases import CHANNELS
from gud.config.sections.experiments import Experiment
from gud.devices import resolve_device
from gud.errors import InputError
from gud.planning.costs import Cost, Rates, count, untrained_network
from gud.planning.finished import Found, finished_work
from gud.planning.memory import GIGA, advice, together
from gud.planning.rates import measure, read_rates
from gud.planning.workload import Work, image_size, planned
from gud.provenance import write_record, write_text

T = TypeVar("T")
COLUMNS = [
    *("experiment", "stage", "jobs", "batches", "images", "forward", "backward"),
    *("hours", "longest_job_hours", "disk_bytes", "memory_bytes", "rate", "assumed"),
]


def network_key(preset: Preset, name: str) -> str:
    """Experiments with the same key have the same network and batches, so the same rates."""
    experiment = preset.experiments[name]
    size = image_size(preset.data[experiment.data])
    asked = [
        experiment.basis.components(size),
        together(preset, experiment),
        experiment.training.precision,
        experiment.quality.sampling.precision,
        bool(experiment.nll.grids),
    ]
    return json.dumps([experiment.network.model_dump(), size, *asked], sort_keys=True)


def by_network(preset: Preset, measure: Callable[[Experiment, int], T]) -> dict[str, T]:
    """What is measured of a network and the size of its images, once for each, by experiment."""
    known: dict[str, T] = {}
    found = {}
    for name, experiment in preset.experiments.items():
        key = network_key(preset, name)
        if key not in known:
            known[key] = measure(experiment, image_size(preset.data[experiment.data]))
        found[name] = known[key]
    return found


def network_costs(preset: Preset) -> dict[str, Cost]:
    """The cost of one image, by experiment."""
    return by_network(preset, counted)


def counted(made: Experiment, size: int) -> Cost:
    """The cost of the network of an experiment for one image of a size."""
    return count(untrained_network(made, size), CHANNELS, size, made.basis.components(size))


def measured_rates(preset: Preset, device: torch.device) -> dict[str, Rates]:
    """Rates measured here, by experiment."""
    if not preset.compute.gpu:
        torch.set_num_threads(preset.compute.threads)
    return by_network(preset, lambda experiment, size: measure(experiment, size, device))


def bill(
    works: Sequence[Work], rates: Mapping[str, Rates], source: str, found: Found
) -> pd.DataFrame:
    """One row for each stage: wall-clock `hours`, bytes, and where the rate comes from."""
    rows = []
    for work in works:
        hours, rate = math.nan, "none"
        if finished := found.get((work.experiment, work.stage)):
            hours, rate = work.images * finished.seconds / 3600, finished.source
        elif work.forward:
            hours, rate = work.seconds(rates[work.experiment]) / 3600, source
        priced = {"hours": hours, "longest_job_hours": hours * work.largest, "rate": rate}
        rows.append(asdict(work) | priced)
    return pd.DataFrame(rows)[COLUMNS]


def show(table: pd.DataFrame) -> str:
    """The table for a terminal."""
    shown = pd.DataFrame(
        {
            "experiment": table.experiment,
            "stage": table.stage,
            "jobs": table.jobs,
            "images": table.images,
            "forward/1e6": (table.forward / 1e6).map("{:.4g}".format),
            "backward/1e6": (table.backward / 1e6).map("{:.4g}".format),
            "hours": table.hours.map("{:.3g}".format),
            "longest job": table.longest_job_hours.map("{:.3g}".format),
            "disk GB": (table.disk_bytes / GIGA).map("{:.3g}".format),
            "memory GB": (table.memory_bytes / GIGA).map("{:.3g}".format),
            "rate": table.rate,
        }
    )
    return shown.replace("nan", "-").to_string(index=False)


def start_seconds() -> float:
    """Measured seconds that a job takes to start."""
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "gud", "evaluate", "--help"], capture_output=True, check=True
    )
    return time.perf_counter() - began


def notes(preset: Preset, table: pd.DataFrame, start: float, here: bool) -> Iterator[str]:
    """What the table rests on, and its sums.

    Args:
        start: seconds that a job takes to start.
        here: the hours are those of this CPU, though the preset asks for GPUs.
    """
    compute = preset.compute
    unit, devices = ("GPU", compute.gpu) if compute.gpu else ("core", compute.threads)
    unit, devices = ("", 1) if here else (unit + "-", devices)
    jobs, batches = table.jobs.sum(), table.batches.sum()
    yield (
        f"total: {table.hours.sum() * devices:.4g} {unit}hours"
        f"{' of this CPU' if here else f' ({devices} a job)'}, {jobs} jobs, "
        f"{table.disk_bytes.sum() / GIGA:.3g} GB on disk without data and downloads"
    )
    yield "not in it: data, statistics, quality, tables, figures"
    yield (
        f"start-up: {jobs} jobs x {start:.1f} s (one start measured here, without queue and "
        f"Snakemake) = {jobs * start / 3600:.3g} h; with one batch a job (no compute.job_batches) "
        f"{batches} x {start:.1f} s = {batches * start / 3600:.3g} h"
    )
    yield (
        "extrapolated: hours by the numbers of images and evaluations; memory from weights and the "
        f"activations of the images held at once, in float32; a job asks for {compute.mem_mb} MB"
    )
    for assumed, rows in table[table.assumed != ""].groupby("assumed", sort=False):
        yield f"assumed: {assumed}: {_named(rows)}"
    for row in () if here else table.itertuples():
        minutes = compute.train_minutes if row.stage == "training" else compute.evaluate_minutes
        if row.longest_job_hours > minutes / 60:
            yield (
                f"warning: {row.experiment} {row.stage}: a job of {row.longest_job_hours:.3g} h "
                f"exceeds the {minutes / 60:g} h that the preset asks for"
            )
    files = [Path(DOWNLOADS, file.kept) for file in preset.downloads.values()]
    there = [file.stat().st_size for file in files if file.is_file()]
    if files:
        yield (
            f"downloads: {len(there)} of {len(files)} are in {DOWNLOADS} ({sum(there) / GIGA:.3g} "
            "GB); the preset does not tell the size of the others"
        )


def _named(rows: pd.DataFrame) -> str:
    return ", ".join(rows.experiment + " " + rows.stage)


@click.command()
@preset_argument()
@click.option("--rates", type=File, help="Stated rates of each experiment, .json.")
@click.option("--teraflops", type=float, help="Stated instead: what a device sustains.")
@click.option(
    "--evaluations",
    type=int,
    default=100,
    show_default=True,
    help="Network evaluations assumed of an adaptive solver where no finished job tells; each kink "
    "of a schedule adds 8.",
)
@click.option("--gpu-gb", type=float, help="Memory of a GPU: say which batches fit it.")
@click.option("--results", type=File, help="Default: results/PRESET.")
@click.option("--csv", type=OutFile(), help="Write the table.")
def main(
    preset: NamedPreset,
    rates: Path | None,
    teraflops: float | None,
    evaluations: int,
    gpu_gb: float | None,
    results: Path | None,
    csv: Path | None,
) -> None:
    """Count what a preset will cost before it runs: jobs, hours, disk and memory."""
    if rates and teraflops is not None:
        raise InputError("--rates and --teraflops exclude each other")
    if teraflops is not None and not 0 < teraflops < math.inf:
        raise InputError(f"--teraflops {teraflops:g}: expected a positive number")
    if gpu_gb is not None and not 0 < gpu_gb < math.inf:
        raise InputError(f"--gpu-gb {gpu_gb:g}: expected a positive number")
    if evaluations < 1:
        raise InputError(f"--evaluations {evaluations}: expected at least 1")
    started, chosen = time.time(), preset.preset
    stated = read_rates(rates, chosen.experiments) if rates else None
    costs, device = network_costs(chosen), resolve_device(None)
    found = finished_work(chosen, results or preset.results)
    works = list(planned(chosen, costs, evaluations, found))
    if teraflops is not None:
        of_each = {name: cost.at(teraflops) for name, cost in costs.items()}
        source = f"stated ({teraflops:g} teraflops)"
    elif rates and stated:
        of_each, source = stated, f"stated ({rates.name})"
    else:
        of_each, source = measured_rates(chosen, device), f"measured ({device_name(device)})"
    measured = source.startswith("measured")
    here = measured and device.type == "cpu" and chosen.compute.gpu > 0
    table = bill(works, of_each, source, found if measured else {})
    print(show(table), end="\n\n")
    for note in notes(chosen, table, start_seconds(), here):
        print(note)
    for note in advice(chosen, costs, gpu_gb) if gpu_gb else ():
        print(note)
    for rate in dict.fromkeys(of_each.values()):
        names = [name for name in of_each if of_each[name] == rate]
        print(
            f"rates of {', '.join(names)}, {source}: {costs[names[0]].weights:,} weights; seconds "
            f"of an image: training {rate.train:.3g}, forward {rate.forward:.3g}, "
            f"backward {rate.backward:.3g}; of a step besides {rate.step:.3g}"
        )
    if here:
        print("warning: the preset asks for a GPU, but the rates were measured on a CPU")
    if measured and (load := os.getloadavg()[0]) > (os.cpu_count() or 1):
        print(f"warning: this machine is busy (load {load:.1f}): the measured rates are too slow")
    if csv:
        write_text(csv, table.to_csv(index=False))
        write_record(csv, inputs=[preset.file], started=started)


def device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name()
    return f"cpu, {torch.get_num_threads()} threads"
