"""Draw images from a trained model, at one point of its schedule family.

    python -m gud.sample --settings JSON --model MODEL --out FILE.npz

Writes 8-bit `images` (images, channels, height, width). Image n is drawn from the same random
numbers at every point.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from gud.blocks import Arrays, compute_blocks, fingerprint, finish
from gud.errors import InputError, command_line
from gud.model import Model, load
from gud.progress import progress
from gud.provenance import atomic, write_record
from gud.randomness import ImageStreams
from gud.samplers import (
    ancestral_step,
    euler_maruyama_step,
    prior_sample,
    sample_ode,
    sample_sde,
)
from gud.schedules import Schedule
from gud.settings import point_name

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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--settings", type=json.loads, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args(argv)
    started = time.time()
    settings, sampling = arguments.settings, arguments.settings["sampling"]
    model = load(arguments.model, arguments.device)
    schedule = model.schedule(**settings["parameters"])
    label = f"samples {settings['experiment']} {point_name(settings['parameters'])}"

    def compute(block: np.ndarray) -> Arrays:
        images, evaluations = draw_images(
            model, schedule, block.tolist(), sampling, settings["seed"], f"{label} from {block[0]}"
        )
        return {"images": images.numpy(), "evaluations": np.array([evaluations])}

    key = fingerprint(settings, [arguments.model])
    arrays = compute_blocks(
        np.arange(sampling["images"]),
        sampling["batch_size"],
        compute,
        out=arguments.out,
        key=key,
        label=label,
    )
    with atomic(arguments.out) as temporary:
        np.savez(temporary, images=arrays["images"])
    write_record(
        arguments.out,
        inputs=[arguments.model],
        settings=settings,
        seed=settings["seed"],
        started=started,
        device=arguments.device,
        evaluations=int(arrays["evaluations"].max()),
    )
    finish(arguments.out, key)


if __name__ == "__main__":
    sys.exit(main())
