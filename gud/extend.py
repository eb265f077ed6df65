"""Draw strips of image of any length from a model of the column-wise schedule (section 5.2).

    python -m gud.extend --settings JSON --model MODEL [--data DATA.npz] --out STRIPS.npz

Writes 8-bit `strips` (strips, channels, height, width), the columns `seams` at which windows begin
and what a picture of the window needs: `snapshot` (strips, channels, height, columns) of the window
in the middle, the column `position` of the strip at which it begins, and `gamma` and `beta`
(columns,) of its noising state at the `time`, for the parameter `b`. Pixels of the snapshot are in
[-1, 1] where they are clean. The record says how gradients across the seams compare with those
elsewhere, whether the strips drift along their length, and how the mean and variance of their
columns compare with those of the training images (in grey levels).
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from gud import data, seams
from gud.devices import resolve_device
from gud.errors import InputError, command_line
from gud.model import Model, load
from gud.progress import progress
from gud.provenance import atomic, write_record
from gud.randomness import ImageStreams
from gud.samplers import prior_sample
from gud.sequential import Sequential
from gud.settings import (
    Parameters,
    Section,
    point_name,
    validate,
)
from gud.shards import Arrays, Shards, compute_all
from gud.strips import SlidingWindow, Strips, generate_strips, sliding_window
from gud.tasks import StripSettings


class Settings(Section):
    experiment: str
    parameters: Parameters
    seed: int
    strip: StripSettings


def window_of(model: Model, parameters: Parameters, strip: StripSettings) -> SlidingWindow:
    """The sliding window of a model; `InputError` where a shift by columns means nothing to it."""
    settings = model.settings
    needed = {"basis": {"name": "pixel"}, "prior": "isotropic"}
    wrong = [f"{key} {settings[key]}" for key in needed if settings[key] != needed[key]]
    if settings["schedule"]["name"] != "columns":
        wrong.append(f"schedule {settings['schedule']['name']}")
    if wrong:
        raise InputError(
            f"strips need the basis pixel, the prior isotropic and the schedule columns, "
            f"not {', '.join(wrong)}"
        )
    path = model.schedule(**parameters).path
    assert isinstance(path, Sequential)
    columns = model.representation.basis.image_size
    return sliding_window(path, columns, strip.shift, strip.time, strip.residual)


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
    result = generate_strips(
        model.eps,
        window,
        model.process,
        model.representation.statistics.mean,
        prior_sample(model.process, streams("prior", index).normal(model.state_shape)),
        streams("steps", index),
        streams("appended", index),
        windows=strip.windows,
        steps_per_unit=strip.steps_per_unit,
        progress=functools.partial(progress, unit="window", label=label),
    )
    if not result.images.isfinite().all():
        raise InputError("the sampler left the finite numbers; more steps may be needed")
    return result


@command_line
def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--settings", type=json.loads, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, help="its data set, which the strips should resemble")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: a GPU if there is one")
    arguments = parser.parse_args(argv)
    started = time.time()
    settings = validate(Settings, arguments.settings, "--settings")
    device = resolve_device(arguments.device)
    model = load(arguments.model, device)
    window = window_of(model, settings.parameters, settings.strip)
    real = data.load(arguments.data, "train").numpy() if arguments.data else None
    label = f"strips {settings.experiment} {point_name(settings.parameters)}"

    def evaluate(_shards: Shards, numbers: np.ndarray) -> Arrays:
        index = numbers.tolist()
        strips = draw_strips(model, window, index, settings.strip, settings.seed, label)
        return {
            "strips": data.quantise(strips.images).cpu().numpy(),
            "snapshot": strips.snapshot.cpu().numpy(),
        }

    shards = Shards(
        arguments.out,
        arguments.settings,
        (arguments.model,),
        settings.strip.strips,
        settings.strip.batch_size,
    )
    arrays = compute_all(shards, evaluate, label=label, device=device.type)
    state = window.schedule(torch.tensor([window.time], dtype=torch.float64))
    positions = window.positions(settings.strip.windows).numpy()
    arrays |= {
        "seams": positions[1:],
        "position": positions[len(positions) // 2],
        "gamma": state.gamma[0, : window.columns].numpy(),
        "beta": state.beta[0, : window.columns].numpy(),
        "b": np.array(settings.parameters["b"]),
        "time": np.array(window.time),
    }
    with atomic(arguments.out) as temporary:
        np.savez(temporary, allow_pickle=False, **arrays)
    write_record(
        arguments.out,
        inputs=[arguments.model, *([arguments.data] if arguments.data else [])],
        settings=arguments.settings,
        seed=settings.seed,
        started=started,
        device=device.type,
        statistics=seams.summary(arrays["strips"], arrays["seams"], real),
    )


if __name__ == "__main__":
    sys.exit(main())
