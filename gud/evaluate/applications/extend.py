"""Draw strips of image of any length from a model of the column-wise schedule (section 5.2).

An artefact holds 8-bit `strips` (strips, channels, height, width), the columns `seams` at which
windows begin and what a picture of the window needs: `snapshot` (strips, channels, height, columns)
of the window in the middle, the column `position` of the strip at which it begins, and `gamma` and
`beta` (columns,) of its noising state at the `time`, for the parameter `b`. Pixels of the snapshot
are in [-1, 1] where they are clean. The record says how gradients across the seams compare with
those elsewhere, whether the strips drift along their length, and how the mean and variance of their
columns compare with those of the training images (in grey levels).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from gud.cli import input_option
from gud.config.applications import StripJob
from gud.config.sections.evaluation import StripSettings
from gud.config.sections.section import Parameters
from gud.data import datasets
from gud.devices import float32_precision
from gud.diffusion.dequantisation import quantise
from gud.diffusion.schedules.sequential import Sequential
from gud.diffusion.strips import SlidingWindow, Strips, generate_strips, sliding_window
from gud.errors import InputError
from gud.evaluate.applications import seams
from gud.evaluate.applications.application import Application, command
from gud.evaluate.shards import Arrays
from gud.model import Model, load
from gud.progress import progress
from gud.randomness import ImageStreams


def window_of(model: Model, parameters: Parameters, strip: StripSettings) -> SlidingWindow:
    """The sliding window of a model; `InputError` where a shift by columns means nothing to it."""
    settings = model.settings
    found = {
        "basis": settings.basis.name,
        "prior": settings.prior,
        "schedule": settings.schedule.name,
    }
    needed = {"basis": "pixel", "prior": "isotropic", "schedule": "columns"}
    wrong = [f"{key} {found[key]}" for key in needed if found[key] != needed[key]]
    if wrong:
        raise InputError(
            f"strips need the basis pixel, the prior isotropic and the schedule columns, "
            f"not {', '.join(wrong)}"
        )
    path = model.schedule(**parameters).path
    assert isinstance(path, Sequential)
    columns = model.representation.basis.image_size
    return sliding_window(path, columns, strip.shift, strip.time, strip.residual)


@float32_precision("float32")
def draw_strips(
    model: Model,
    window: SlidingWindow,
    index: Sequence[int],
    strip: StripSettings,
    seed: int,
    label: str = "strips",
) -> Strips:
    """Strips of a trained model.

    Args:
        index: numbers of the strips; each has random streams of its own.
    """
    streams = functools.partial(ImageStreams, model.device, seed)
    return generate_strips(
        model.eps,
        window,
        model.process,
        model.representation.mean,
        model.process.prior_sample(streams("prior", index).normal(model.state_shape)),
        streams("steps", index),
        streams("appended", index),
        windows=strip.windows,
        steps_per_unit=strip.steps_per_unit,
        progress=functools.partial(progress, unit="window", label=label),
    )


def extend(job: StripJob, model: Path, data: Path | None, out: Path, device: torch.device) -> None:
    """Strips of the model in a file, with their record."""
    strip = job.strip
    made = Application(job, (model,), out, device, strip.strips, strip.batch_size)
    network = load(model, device)
    window = window_of(network, job.parameters, strip)
    real = datasets.load(data, "train", network.image_shape).numpy() if data else None

    def evaluate(_parameters: Parameters, numbers: np.ndarray) -> Arrays:
        strips = draw_strips(network, window, numbers.tolist(), strip, job.seed, made.label)
        return {
            "strips": quantise(strips.images).cpu().numpy(),
            "snapshot": strips.snapshot.cpu().numpy(),
        }

    state = window.schedule(torch.tensor([window.time], dtype=torch.float64))
    positions = window.positions(strip.windows).numpy()
    arrays = made.compute(evaluate) | {
        "seams": positions[1:],
        "position": positions[len(positions) // 2],
        "gamma": state.gamma[0, : window.columns].numpy(),
        "beta": state.beta[0, : window.columns].numpy(),
        "b": np.array(job.parameters["b"]),
        "time": np.array(window.time),
    }
    statistics = seams.summary(arrays["strips"], arrays["seams"], real)
    made.write(arrays, read=[data] if data else [], statistics=statistics)


main = command(
    "Draw image strips of any length with a model of the column-wise schedule.",
    StripJob,
    extend,
    input_option("--data", "Its data set, which the strips should resemble.", required=False),
)
