"""What a preset will cost, before paying: jobs, network evaluations, hours, disk and memory.

    python -m gud.bill config/paper.yaml [--rates FILE.json | --teraflops X] [--csv OUT]

Seconds of an image are those of finished jobs of results/PRESET, or else measured here, on the very
network of the preset (on a GPU node they are a GPU's). They may be stated instead: --rates gives
`gud.rates.Rates` of each experiment, --teraflops the operations, in 10^12 a second, that a device
sustains. Everything else is counted from the preset; what is assumed is said.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd
import torch

from gud.devices import resolve_device
from gud.errors import InputError, command_line
from gud.plan import Evaluation, evaluations
from gud.preset import Preset, load_preset
from gud.provenance import atomic, write_record
from gud.rates import (
    Cost,
    Finished,
    Rates,
    build_network,
    count,
    finished_shards,
    finished_training,
    measure,
    read_rates,
)
from gud.tasks import Likelihood
from gud.workload import Found, Work, image_size, planned, stage_of

GIGA = 1e9
DOWNLOADS = Path("resources/downloads")


def finished_work(preset: Preset, results: Path) -> Found:
    """What jobs of a preset that are finished took, by experiment and stage."""
    found: dict[tuple[str, str], Finished | None] = {}
    for name, experiment in preset.experiments.items():
        found[name, "training"] = finished_training(results / name, experiment)
    for evaluation in evaluations(preset):
        folder = results / evaluation.experiment
        finished = finished_shards(folder, evaluation) or finished_table(results, evaluation)
        found[evaluation.experiment, stage_of(evaluation)] = finished
    return {key: finished for key, finished in found.items() if finished}


def finished_table(results: Path, evaluation: Evaluation) -> Finished | None:
    """What the likelihoods in a finished table took, where shards have been deleted."""
    if not isinstance(evaluation.settings, Likelihood):
        return None
    asked = {"experiment": evaluation.experiment} | {
        key: getattr(evaluation.settings, key)
        for key in ("method", "coordinates", "images", "probes")
    }
    for path in sorted((results / "tables").glob("*.csv")):
        table = pd.read_csv(path)
        if not {*asked, "seconds", "network_evaluations", "device"} <= set(table):
            continue
        rows = table[(table[list(asked)] == list(asked.values())).all(axis=1)]
        if len(rows):
            devices = " and ".join(sorted(rows.device.unique()))
            return Finished(
                float(rows.seconds.sum() / rows.images.sum()),
                float(rows.network_evaluations.mean()),
                f"results ({path.name}, {len(rows)} points on {devices})",
            )
    return None


def network_key(preset: Preset, name: str) -> str:
    """Experiments with the same key have the same network and batches, so the same rates."""
    experiment = preset.experiments[name]
    size = image_size(preset.data[experiment.data])
    asked = [
        experiment.training.batch_size,
        experiment.training.precision,
        bool(experiment.nll.grids),
    ]
    return json.dumps([experiment.network.model_dump(), size, *asked], sort_keys=True)


def network_costs(preset: Preset) -> dict[str, Cost]:
    """The cost of one image, by experiment."""
    known: dict[str, Cost] = {}
    for name, experiment in preset.experiments.items():
        if (key := network_key(preset, name)) not in known:
            size = image_size(preset.data[experiment.data])
            known[key] = count(build_network(experiment, size), 3, size)
    return {name: known[network_key(preset, name)] for name in preset.experiments}


def measured_rates(preset: Preset, device: torch.device) -> dict[str, Rates]:
    """Rates measured here, each network once, by experiment."""
    if not preset.compute.gpu:
        torch.set_num_threads(preset.compute.threads)
    known: dict[str, Rates] = {}
    for name, experiment in preset.experiments.items():
        if (key := network_key(preset, name)) not in known:
            known[key] = measure(experiment, image_size(preset.data[experiment.data]), device)
    return {name: known[network_key(preset, name)] for name in preset.experiments}


def bill(
    works: Sequence[Work], rates: Mapping[str, Rates], source: str, found: Found
) -> pd.DataFrame:
    """One row for each stage: wall-clock `hours`, bytes, and where the rate comes from."""
    rows = []
    for work in works:
        finished = found.get((work.experiment, work.stage))
        seconds, rate = math.nan, "none"
        if finished:
            seconds, rate = work.images * finished.seconds, finished.source
        elif work.forward:
            seconds, rate = work.seconds(rates[work.experiment]), source
        rows.append(
            {
                "experiment": work.experiment,
                "stage": work.stage,
                "jobs": work.jobs,
                "batches": work.batches,
                "images": work.images,
                "forward": work.forward,
                "backward": work.backward,
                "hours": seconds / 3600,
                "longest_job_hours": seconds / 3600 * work.largest,
                "disk_bytes": work.disk,
                "memory_bytes": work.memory,
                "rate": rate,
                "assumed": work.assumed,
            }
        )
    return pd.DataFrame(rows)


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
    subprocess.run([sys.executable, "-m", "gud.nll", "--help"], capture_output=True, check=True)
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
        f"activations of a batch in float32; a job asks for {compute.mem_mb} MB"
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
    files = [DOWNLOADS / name / download.file for name, download in preset.downloads.items()]
    there = [file.stat().st_size for file in files if file.is_file()]
    if files:
        yield (
            f"downloads: {len(there)} of {len(files)} are in {DOWNLOADS} ({sum(there) / GIGA:.3g} "
            "GB); the preset does not tell the size of the others"
        )


def _named(rows: pd.DataFrame) -> str:
    return ", ".join(rows.experiment + " " + rows.stage)


@command_line
def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("preset", type=Path)
    stated = parser.add_mutually_exclusive_group()
    stated.add_argument("--rates", type=Path, metavar="FILE.json", help="of each experiment")
    stated.add_argument("--teraflops", type=float, metavar="X", help="that a device sustains")
    parser.add_argument(
        "--evaluations",
        type=int,
        default=100,
        help="network evaluations assumed of an adaptive solver where no finished job tells; "
        "each kink of a schedule adds 8 (default: %(default)s)",
    )
    parser.add_argument("--results", type=Path, help="default: results/PRESET")
    parser.add_argument("--csv", type=Path, metavar="OUT", help="write the table")
    arguments = parser.parse_args(argv)
    if arguments.teraflops is not None and not 0 < arguments.teraflops < math.inf:
        raise InputError(f"--teraflops {arguments.teraflops:g}: expected a positive number")
    if arguments.evaluations < 1:
        raise InputError(f"--evaluations {arguments.evaluations}: expected at least 1")
    started = time.time()
    preset = load_preset(arguments.preset)
    results = arguments.results or Path("results") / arguments.preset.stem
    rates = read_rates(arguments.rates, preset.experiments) if arguments.rates else None
    costs, device = network_costs(preset), resolve_device(None)
    found = finished_work(preset, results)
    works = list(planned(preset, costs, arguments.evaluations, found))
    if arguments.teraflops is not None:
        rates = {name: cost.at(arguments.teraflops) for name, cost in costs.items()}
        source = f"stated ({arguments.teraflops:g} teraflops)"
    elif rates:
        source = f"stated ({arguments.rates.name})"
    else:
        rates, source = measured_rates(preset, device), f"measured ({device_name(device)})"
    measured = source.startswith("measured")
    here = measured and device.type == "cpu" and preset.compute.gpu > 0
    table = bill(works, rates, source, found if measured else {})
    print(show(table), end="\n\n")
    for note in notes(preset, table, start_seconds(), here):
        print(note)
    for rate in dict.fromkeys(rates.values()):
        names = [name for name in rates if rates[name] == rate]
        print(
            f"rates of {', '.join(names)}, {source}: {costs[names[0]].weights:,} weights; seconds "
            f"of an image: training {rate.train:.3g}, forward {rate.forward:.3g}, "
            f"backward {rate.backward:.3g}; of a step besides {rate.step:.3g}"
        )
    if here:
        print("warning: the preset asks for a GPU, but the rates were measured on a CPU")
    if measured and (load := os.getloadavg()[0]) > (os.cpu_count() or 1):
        print(f"warning: this machine is busy (load {load:.1f}): the measured rates are too slow")
    if arguments.csv:
        with atomic(arguments.csv) as temporary:
            table.to_csv(temporary, index=False)
        write_record(arguments.csv, inputs=[arguments.preset], started=started)


def device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name()
    return f"cpu, {torch.get_num_threads()} threads"


if __name__ == "__main__":
    sys.exit(main())
