"""Draw images from a trained model, at points of its schedule family.

    python -m gud.sample --settings JSON --model MODEL --out FOLDER/jobs/NAME.json

Computes shards (`gud.shards`) of the artefacts FOLDER/POINT.npz: 8-bit `images` (images, channels,
height, width) and `evaluations` (shards,) of the network. Image n is drawn from the same random
numbers at every point.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from gud.devices import resolve_device
from gud.errors import InputError, command_line
from gud.model import Model, load
from gud.progress import progress
from gud.randomness import ImageStreams
from gud.samplers import (
    ancestral_step,
    euler_maruyama_step,
    prior_sample,
    sample_ode,
    sample_sde,
)
from gud.schedules import Schedule
from gud.settings import validate
from gud.shards import Arrays, Shards, run_job
from gud.tasks import SamplingJob

STEPS = {"euler_maruyama": euler_maruyama_step, "ancestral": ancestral_step}


def draw_images(
    model: Model,
    schedule: Schedule,
    index: Sequence[int],
    settings: dict[str, Any],
    seed: int,
    label: str = "sampling",
) -> tuple[UInt8[Tensor, "batch channels height width"], int]:
    """8-bit images and the number of network evaluations.

    Args:
        index: numbers of the images; each has a random stream of its own.
        settings: a `gud.tasks.Sampling` section as JSON values.
    """
    streams = functools.partial(ImageStreams, model.device, seed)
    z = prior_sample(model.process, streams("prior", index).normal(model.state_shape))
    if settings["method"] == "ode":
        z, evaluations = sample_ode(
            model.eps, schedule, model.process, z, rtol=settings["rtol"], atol=settings["atol"]
        )
    else:
        evaluations = settings["steps"]
        z = sample_sde(
            model.eps,
            schedule,
            model.process,
            z,
            streams("steps", index),
            step=STEPS[settings["method"]],
            steps=evaluations,
            noise_free_last_step=settings["noise_free_last_step"],
            progress=functools.partial(progress, unit="step", label=label),
        )
    if not z.isfinite().all():
        raise InputError("the sampler left the finite numbers; more steps may be needed")
    return model.decode(z[:, 0]).cpu(), evaluations


@command_line
def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--settings", type=json.loads, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="the receipt, FOLDER/jobs/*.json")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: a GPU if there is one")
    arguments = parser.parse_args(argv)
    job = validate(SamplingJob, arguments.settings, "--settings")
    device = resolve_device(arguments.device)
    model = load(arguments.model, device)
    sampling = job.sampling.model_dump()

    def evaluate(shards: Shards, numbers: np.ndarray) -> Arrays:
        schedule = model.schedule(**shards.settings["parameters"])
        label = f"samples {job.experiment} {shards.out.stem} from {numbers[0]}"
        images, evaluations = draw_images(
            model, schedule, numbers.tolist(), sampling, job.seed, label
        )
        return {"images": images.numpy(), "evaluations": np.array([evaluations])}

    inputs = [arguments.model]
    run_job(arguments.settings, "sampling", inputs, evaluate, out=arguments.out, device=device.type)


if __name__ == "__main__":
    sys.exit(main())
