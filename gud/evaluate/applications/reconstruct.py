"""Noise test images up to a time t and reconstruct them with several random keys (Figure 8).

An artefact holds 8-bit `original` (images, channels, height, width) and `reconstructions` (images,
keys, channels, height, width), `noised` (images, channels, height, width), which is in [-1, 1]
where it is clean, `index` (images,) of the images in the test split and the `time`.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gud.cli import input_option
from gud.config.applications import ReconstructionJob
from gud.config.sections.evaluation import ReconstructionSettings
from gud.devices import float32_precision
from gud.diffusion.dequantisation import dequantise
from gud.diffusion.likelihood import draw_auxiliary
from gud.diffusion.processes import Process, State
from gud.diffusion.samplers import EulerMaruyama, sample_sde
from gud.diffusion.schedules import Schedule
from gud.evaluate.applications.application import Application, command
from gud.evaluate.shards import Arrays
from gud.model import Model, load
from gud.randomness import ImageStreams


def noise_from_start(
    process: Process, schedule: Schedule, z: State, t: float, noise: State
) -> State:
    """z(t) of the process that has z at t = 0.

    It has run for the clock time tau(t) - tau(0); a component whose clock stood still keeps its
    value, to the bit for Ornstein-Uhlenbeck.
    """
    now, start = (
        schedule(torch.tensor(at, dtype=torch.float64, device=z.device).expand(len(z)))
        for at in (t, 0.0)
    )
    return process.advance(z, process.clock(now) - process.clock(start), noise)


@float32_precision("float32")
def reconstruct(
    model: Model,
    schedule: Schedule,
    images: UInt8[Tensor, "batch channels height width"],
    index: Sequence[int],
    settings: ReconstructionSettings,
    seed: int,
) -> tuple[
    Float[Tensor, "batch channels height width"],
    UInt8[Tensor, "batch keys channels height width"],
]:
    """Noised images z(t) + mean, and reconstructions.

    Args:
        index: names the random streams of each image; all keys start from the same noised image.
    """
    streams = functools.partial(ImageStreams, model.device, seed, images=index)
    process, z = model.process, model.initial(dequantise(images, streams("dequantise")))
    z, _ = draw_auxiliary(process, z, streams("auxiliary").normal(z.shape[1:]))
    noise = streams("noise").normal(z.shape[1:])
    z = noise_from_start(process, schedule, z, settings.time, noise)
    keys = [
        sample_sde(
            model.eps,
            schedule,
            process,
            z,
            streams(f"key {key}"),
            method=EulerMaruyama(),
            steps=settings.steps,
            start=settings.time,
        )
        for key in range(settings.keys)
    ]
    decoded = torch.stack([model.decode(key[:, 0]) for key in keys], 1)
    return model.representation.decode(z[:, 0]), decoded


def reconstruct_images(
    job: ReconstructionJob, model: Path, data: Path, out: Path, device: torch.device
) -> None:
    """Reconstructions by the model in a file, with their record."""
    section = job.reconstruction
    made = Application(job, (model, data), out, device, section.images, section.batch_size)
    network = load(model, device)
    schedule = network.schedule(**job.parameters)

    def rebuild(images: Tensor, index: list[int]) -> Arrays:
        noised, decoded = reconstruct(network, schedule, images, index, section, job.seed)
        return {"noised": noised.cpu().numpy(), "reconstructions": decoded.cpu().numpy()}

    key = "reconstruction.images"
    arrays = made.compute_of_images(data, network.image_shape, key, rebuild)
    made.write({"time": np.array(section.time)} | arrays)


main = command(
    "Noise test images up to a time t and reconstruct them with several random keys.",
    ReconstructionJob,
    reconstruct_images,
    input_option("--data", "Its data set, .npz."),
)
