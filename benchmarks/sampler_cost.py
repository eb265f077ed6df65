"""What samples of fewer network evaluations cost in quality, against 1000 steps of Euler-Maruyama.

    python benchmarks/sampler_cost.py --preset config/demo.yaml --results results/demo \\
        --out docs/reference/sampler_cost.csv [--images N] [--point EXPERIMENT/a=1_r=0]... \\
        [--baseline METHOD/GRID/STEPS/END] [--sampler METHOD/GRID/STEPS/END]...

Draws images from trained networks by each sampler, from the same prior noise at each point, and
measures their Frechet distance to the training images of the preset, on its features. A point may
have a number N of images of its own. END is `noised`, where samples end at t = 0 of the schedule,
or `clean`, where the last step removes the noise that is left there. Batches that are finished are
kept beside the models and never drawn again, so that the command may be stopped, and asked for
more, at any time.

Writes a row for each point and sampler: the distance and its standard error over images, that
distance over the one of the same number of images by the baseline (the paper's sampler), the
standard error of this ratio, the evaluations and the seconds of an image, and the bias of the
variance of Gaussian data by the sampler itself. Draws the ratios against evaluations, a panel for
each point, into a .png beside it.
"""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from gud.cli import NamedPreset, keep_freed_memory, out_option, preset_option, reported
from gud.config.jobs import Evaluation, get_experiment, model_of, trained
from gud.config.preset import Preset
from gud.config.sections.evaluation import Sampling
from gud.config.sections.points import parameters_of_point
from gud.config.sections.validation import validate
from gud.data import datasets
from gud.errors import InputError
from gud.evaluate.quality.features import extract_features
from gud.evaluate.quality.frechet import Moments, distance
from gud.evaluate.quality.measure import reference_moments
from gud.evaluate.samples import samples_of_batches
from gud.evaluate.shards import Arrays, Shards, compute_all
from gud.figures.drawing.style import (
    OKABE_ITO,
    WIDTH,
    logarithmic,
    small_print,
    style,
    write_figure,
)
from gud.figures.further.samplers import NAMES
from gud.model import load
from gud.provenance import atomic, write_record

BASELINE = "euler_maruyama/uniform/1000/noised"
SAMPLERS = [
    f"{method}/active/{steps}/clean"
    for method in ("exponential_ode3", "exponential_sde2", "exponential_mixed2")
    for steps in (10, 25, 50)
]
POINTS = [
    *(f"a_scan_{prior}/a={a}_r=0" for prior in ("isotropic", "matching") for a in (1, 0.4, 1.6)),
    "columns_b05/b=0.5",
    "wavelets/a=0.5_b=0.5",
]
BATCH = 128
GROUPS = 16
"""Of images, one of which the jackknife leaves out."""
FEWEST = 20
"""Images, so that no group is empty."""

log = logging.getLogger(__name__)


def sampling_of(name: str, images: int) -> Sampling:
    """The settings that METHOD/GRID/STEPS/END stands for."""
    try:
        method, grid, steps, end = name.split("/")
        raw: dict[str, Any] = {"method": method, "grid": grid, "steps": int(steps)}
        raw["denoise"] = {"clean": True, "noised": False}[end]
    except (ValueError, KeyError):
        raise InputError(f"--sampler {name} must read like {BASELINE}") from None
    raw |= {"images": images, "batch_size": BATCH, "noise_free_last_step": True}
    raw |= {"rtol": 1e-4, "atol": 1e-4, "precision": "float32"}
    return validate(Sampling, raw, f"--sampler {name}")


def drawn(
    preset: Preset, results: Path, experiment: str, point: str, sampling: Sampling
) -> tuple[Arrays, float]:
    """Samples of a trained network with what is told of them, and the seconds of an image."""
    model, points = model_of(preset, experiment), {point: parameters_of_point(point)}
    made = trained(preset, experiment)
    evaluation = Evaluation(experiment, model, made, preset.seed, "samples", points, sampling, 1)
    settings = evaluation.record(point)
    # However many images are asked for, a batch of them is the same.
    del settings["sampling"]["images"]
    file = results / model
    end = "clean" if sampling.denoise else "noised"
    name = f"{point}_{sampling.method}_{sampling.grid}_{sampling.steps}_{end}"
    out = results / experiment / "sampler_cost" / f"{name}.npz"
    shards = Shards(out, settings, (file,), sampling.images, BATCH)
    draw = samples_of_batches(load(file), evaluation)
    arrays = compute_all(shards, draw, label=f"{experiment} {name}", device="cpu")
    return arrays, sum(shard["seconds"] for shard in shards.merge()[1]) / sampling.images


def reference_of(preset: Preset, results: Path, experiment: str) -> Moments:
    """Moments of the features of the images that samples should resemble."""
    found = get_experiment(preset, experiment)
    metric, data = found.quality.metric, results / "data" / f"{found.data}.npz"
    images = datasets.load(data, metric.reference)
    region = datasets.load_regions(data, metric.reference, len(images))
    return reference_moments(data, images, region, metric)


def distances(samples: Moments, reference: Moments) -> np.ndarray:
    """The distance of all samples, then those with one group of them left out."""
    target = reference.statistics()
    left_out = [None, *range(len(samples.count))]
    return np.array([distance(samples.statistics(without=group), target) for group in left_out])


def jackknife(values: np.ndarray) -> float:
    """The standard error of the first value, from those with one group left out."""
    return float(np.sqrt(np.var(values[1:]) * (len(values) - 2)))


def rows_of_point(
    preset: Preset, results: Path, experiment: str, point: str, samplings: list[Sampling]
) -> list[dict[str, Any]]:
    """A row for each sampler, the first of which is the baseline."""
    metric, rows = get_experiment(preset, experiment).quality.metric, []
    reference, baseline = reference_of(preset, results, experiment), None
    for sampling in samplings:
        arrays, seconds = drawn(preset, results, experiment, point, sampling)
        images = torch.from_numpy(arrays["images"])
        group = np.arange(len(images)) % GROUPS
        found = distances(Moments.of(extract_features(images, metric), group), reference)
        baseline = found if baseline is None else baseline
        rows.append(
            {
                "experiment": experiment,
                "point": point,
                "method": sampling.method,
                "grid": sampling.grid,
                "end": "clean" if sampling.denoise else "noised",
                "evaluations": int(arrays["evaluations"].max()),
                "images": len(images),
                "fd": found[0],
                "fd_stderr": jackknife(found),
                "fd_over_baseline": found[0] / baseline[0],
                "fd_over_baseline_stderr": jackknife(found / baseline),
                "sampler_variance_bias": float(arrays["variance_bias"].mean()),
                "sampler_variance_rms": float(arrays["variance_rms"].mean()),
                "seconds_per_image": seconds,
            }
        )
        row = rows[-1]
        log.info(
            "%s %s %s: FD %.4g, %.3f +- %.3f of the baseline at %.3g of its evaluations",
            *(experiment, point, "/".join(str(row[key]) for key in ("method", "grid", "end"))),
            *(row["fd"], row["fd_over_baseline"], row["fd_over_baseline_stderr"]),
            row["evaluations"] / rows[0]["evaluations"],
        )
    return rows


def draw(table: pd.DataFrame, preset: Preset) -> Figure:
    """Distances over that of the baseline against evaluations, a panel for each point."""
    points = table.groupby(["experiment", "point"], sort=False)
    columns = min(len(points), 4)
    rows = -(-len(points) // columns)
    figure = Figure(figsize=(WIDTH, 0.8 + 1.5 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axis, ((experiment, point), found) in zip(axes.flat, points, strict=False):
        shown = preset.experiments[experiment].title
        where = point.removesuffix("_r=0").replace("_", ", ").replace("=", " = ")
        axis.set_title(f"{shown}\n{where}", fontsize=6.5)
        axis.axhline(1, color=OKABE_ITO[0], linewidth=0.6)
        curves = found.iloc[1:].groupby(["method", "grid"], sort=False)
        for ((method, grid), curve), color in zip(curves, OKABE_ITO[1:], strict=False):
            axis.errorbar(
                curve.evaluations,
                curve.fd_over_baseline,
                curve.fd_over_baseline_stderr,
                color=color,
                marker="o",
                capsize=1.8,
                label=NAMES.get((method, grid), f"{method}, {grid}"),
            )
        axis.set(xscale="log")
        logarithmic(axis)
    for axis in axes.flat[len(points) :]:
        axis.set_axis_off()
    ticks = sorted({*table[table.fd_over_baseline_stderr > 0].evaluations})
    axes[0, 0].set_xticks(ticks, map(str, ticks))
    axes[0, 0].minorticks_off()
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    figure.supylabel(f"FD over that of {table.evaluations.iloc[0]} steps", fontsize=7.5)
    baseline = NAMES.get((table.method.iloc[0], table.grid.iloc[0]), table.method.iloc[0])
    few, many = table.images.min(), table.images.max()
    small_print(
        figure,
        f"Against network evaluations; {f'{few:,}' if few == many else f'{few:,} to {many:,}'} "
        "samples by each sampler from the same prior noise; bars: standard error of the ratio over "
        f"samples. The baseline is {baseline}. One training seed. "
        f"Stand-ins: {preset.stand_in}.",
    )
    return figure


@click.command()
@preset_option()
@click.option(
    "--results",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="Results of the preset, with trained networks and their data.",
)
@click.option("--point", "points", multiple=True, default=POINTS, help="EXPERIMENT/POINT[@IMAGES].")
@click.option("--sampler", "samplers", multiple=True, default=SAMPLERS, help="As the baseline.")
@click.option("--baseline", default=BASELINE, show_default=True, help="METHOD/GRID/STEPS/END.")
@click.option("--images", type=click.IntRange(min=FEWEST), default=2048, show_default=True)
@out_option()
def main(
    preset: NamedPreset,
    results: Path,
    points: tuple[str, ...],
    samplers: tuple[str, ...],
    baseline: str,
    images: int,
    out: Path,
) -> None:
    """Compare samplers of few network evaluations with 1000 steps of Euler-Maruyama."""
    started = time.time()
    rows: list[dict[str, Any]] = []
    for place in points:
        name, _, number = place.partition("@")
        experiment, _, point = name.partition("/")
        if number and not (number.isdecimal() and int(number) >= FEWEST):
            told = f"{POINTS[0]}@{images}, with at least {FEWEST} images"
            raise InputError(f"--point {place} must read like {told}")
        count = int(number or images)
        samplings = [sampling_of(one, count) for one in (baseline, *samplers)]
        rows += rows_of_point(preset.preset, results, experiment, point, samplings)
        with atomic(out) as temporary:
            pd.DataFrame(rows).to_csv(temporary, index=False, float_format="%.6g")
    experiments = dict.fromkeys(place.partition("/")[0] for place in points)
    settings = {"preset": preset.name, "points": points, "images": images}
    settings |= {"baseline": baseline, "samplers": samplers}
    write_record(
        out,
        inputs=[results / name / "model.safetensors" for name in experiments],
        settings=settings,
        seed=preset.preset.seed,
        started=started,
        device="cpu",
        threads=torch.get_num_threads(),
    )
    with style():
        figure = draw(pd.DataFrame(rows), preset.preset)
    picture = [out.with_suffix(".png")]
    title = "What samples of fewer network evaluations cost in quality"
    write_figure(figure, picture, title, inputs=[out], settings=settings, started=started)


if __name__ == "__main__":
    keep_freed_memory()
    sys.exit(reported(lambda: main(standalone_mode=False)))
