"""What a preset will cost, before paying: jobs, network evaluations, hours, disk and memory.

Seconds of an image are those of finished jobs of results/PRESET, or else measured here, on the very
network of the preset (on a GPU node they are a GPU's); or --teraflops states the operations, in
10^12 a second, that a device sustains. Everything else is counted from the preset; what is assumed
is said.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import click
import pandas as pd
import torch

from gud.cli import File, NamedPreset, OutFile, preset_argument
from gud.config.preset import Preset
from gud.devices import resolve_device
from gud.errors import InputError
from gud.planning.costs import by_network, network_cost
from gud.planning.memory import GIGA, advice
from gud.planning.rates import Rates, measure, stated
from gud.planning.workload import Work, planned
from gud.provenance import write_record, write_text

COLUMNS = [
    *("experiment", "stage", "jobs", "images", "forward", "backward"),
    *("hours", "longest_job_hours", "disk_bytes", "memory_bytes", "rate", "assumed"),
]


def bill(
    works: Sequence[Work], rates: Mapping[str, Rates], source: str, measured: bool
) -> pd.DataFrame:
    """One row for each stage: wall-clock `hours`, bytes, and where the rate comes from.

    Args:
        rates: of each experiment.
        source: of the rates.
        measured: and not stated: seconds of finished work then take the place of the rates'.
    """
    rows = []
    for work in works:
        hours, rate = math.nan, "none"
        if measured and work.finished:
            hours, rate = work.images * work.finished.seconds / 3600, work.finished.source
        elif work.forward:
            hours, rate = work.seconds(rates[work.experiment]) / 3600, source
        priced = {"hours": hours, "longest_job_hours": hours * work.largest, "rate": rate}
        rows.append(asdict(work) | priced)
    return pd.DataFrame(rows)[COLUMNS]


def show(table: pd.DataFrame) -> str:
    """The table for a terminal."""

    def digits(column: str, unit: float = 1.0, number: int = 3) -> pd.Series:
        return (table[column] / unit).map(f"{{:.{number}g}}".format)

    shown = table[["experiment", "stage", "jobs", "images"]].assign(
        **{
            "forward/1e6": digits("forward", 1e6, 4),
            "backward/1e6": digits("backward", 1e6, 4),
            "hours": digits("hours"),
            "longest job": digits("longest_job_hours"),
            "disk GB": digits("disk_bytes", GIGA),
            "memory GB": digits("memory_bytes", GIGA),
            "rate": table.rate,
        }
    )
    return shown.replace("nan", "-").to_string(index=False)


def notes(preset: Preset, table: pd.DataFrame, here: bool) -> Iterator[str]:
    """What the table rests on, and its sums.

    Args:
        here: the hours are those of this CPU, though the preset asks for GPUs.
    """
    compute = preset.compute
    devices = 1 if here else compute.gpu or compute.threads
    unit = f"{'GPU' if compute.gpu else 'core'}-hours ({devices} a job)"
    yield (
        f"total: {table.hours.sum() * devices:.4g} {'hours of this CPU' if here else unit}, "
        f"{table.jobs.sum()} jobs, {table.disk_bytes.sum() / GIGA:.3g} GB on disk without data and "
        "downloads"
    )
    yield (
        "not in it: the start of jobs, data, statistics, scales, quality, tables, figures, pictures"
    )
    yield (
        "extrapolated: hours by the numbers of images and evaluations; memory from weights and the "
        f"activations of the images held at once, in float32; a job asks for {compute.mem_mb} MB"
    )
    for assumed, rows in table[table.assumed != ""].groupby("assumed", sort=False):
        yield f"assumed: {assumed}: {', '.join(rows.experiment + ' ' + rows.stage)}"
    for row in () if here else table.itertuples():
        minutes = compute.train_minutes if row.stage == "training" else compute.evaluate_minutes
        if row.longest_job_hours > minutes / 60:
            yield (
                f"warning: {row.experiment} {row.stage}: a job of {row.longest_job_hours:.3g} h "
                f"exceeds the {minutes / 60:g} h that the preset asks for"
            )


@click.command()
@preset_argument()
@click.option("--teraflops", type=float, help="Stated, not measured: what a device sustains.")
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
    teraflops: float | None,
    evaluations: int,
    gpu_gb: float | None,
    results: Path | None,
    csv: Path | None,
) -> None:
    """Count what a preset will cost before it runs: jobs, hours, disk and memory."""
    for option, number in (("--teraflops", teraflops), ("--gpu-gb", gpu_gb)):
        if number is not None and not 0 < number < math.inf:
            raise InputError(f"{option} {number:g}: expected a positive number")
    if evaluations < 1:
        raise InputError(f"--evaluations {evaluations}: expected at least 1")
    started, chosen = time.time(), preset.preset
    costs = by_network(chosen, network_cost)
    works = list(planned(chosen, costs, evaluations, results or preset.results))
    here = False
    if teraflops is None:
        device = resolve_device(None)
        if not chosen.compute.gpu:
            torch.set_num_threads(chosen.compute.threads)
        rates = by_network(chosen, lambda experiment, size: measure(experiment, size, device))
        here = device.type == "cpu" and chosen.compute.gpu > 0
        cpu = f"cpu, {torch.get_num_threads()} threads"
        source = f"measured ({cpu if device.type == 'cpu' else torch.cuda.get_device_name()})"
    else:
        rates = {name: stated(cost, teraflops) for name, cost in costs.items()}
        source = f"stated ({teraflops:g} teraflops)"
    table = bill(works, rates, source, measured=teraflops is None)
    print(show(table), end="\n\n")
    print(*notes(chosen, table, here), sep="\n")
    if gpu_gb:
        print(*advice(chosen, costs, gpu_gb), sep="\n")
    for rate in dict.fromkeys(rates.values()):
        names = [name for name in rates if rates[name] == rate]
        print(
            f"rates of {', '.join(names)}, {source}: {costs[names[0]].weights:,} weights; seconds "
            f"of an image: training {rate.train:.3g}, forward {rate.forward:.3g}, "
            f"backward {rate.backward:.3g}; of a step besides {rate.step:.3g}"
        )
    if here:
        print("warning: the preset asks for a GPU, but the rates were measured on a CPU")
    if teraflops is None and (load := os.getloadavg()[0]) > (os.cpu_count() or 1):
        print(f"warning: this machine is busy (load {load:.1f}): the measured rates are too slow")
    if csv:
        write_text(csv, table.to_csv(index=False))
        write_record(csv, inputs=[preset.file], started=started)
