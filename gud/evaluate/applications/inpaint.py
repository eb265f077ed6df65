"""Complete test images of which a part is given, by a network that knows of no parts.

An artefact holds 8-bit `original` (images, channels, height, width), `completions` (images, keys,
channels, height, width), `known` (height, width), 1 where pixels are given and else 0, and `index`
(images,) of the images in the test split. What is given keeps its grey levels.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gud.cli import input_option
from gud.config.applications import InpaintingJob
from gud.config.sections.evaluation import InpaintingSettings
from gud.diffusion.dequantisation import dequantise
from gud.diffusion.processes import State
from gud.diffusion.samplers import Inpainting
from gud.diffusion.schedules import Schedule
from gud.errors import InputError
from gud.evaluate.applications.application import Application, command
from gud.evaluate.samples import draw_images
from gud.evaluate.shards import Arrays
from gud.model import Model, load
from gud.randomness import ImageStreams, derive

TIMES = 65
"""At which the components are compared."""


def known_pixels(known: str, size: int) -> Float[Tensor, "size size"]:
    """1 where pixels are given, 0 where they are to be completed; `known` as in the settings."""
    mask, half, quarter = torch.ones(size, size), size // 2, size // 4
    hidden = {
        "left": (slice(None), slice(half, None)),
        "upper": (slice(half, None), slice(None)),
        "frame": (slice(quarter, size - quarter), slice(quarter, size - quarter)),
    }
    mask[hidden[known]] = 0
    return mask


def part_of(
    model: Model, schedule: Schedule, mask: Float[Tensor, "height width"]
) -> Callable[[State], State]:
    """The linear projection of states onto pixels, S^-1 U M U^T S.

    Raises:
        InputError: components are noised at different times and are no pixels, so that the noised
            state of the given pixels would tell of the others.
    """
    representation, basis = model.representation, model.representation.basis
    gamma = schedule(torch.linspace(0, 1, TIMES, dtype=torch.float64, device=model.device)).gamma
    if model.settings.basis.name != "pixel" and (gamma.amax(1) - gamma.amin(1)).max() > 1e-6:
        raise InputError(
            f"inpainting needs the basis pixel, or one clock for all components: those of the "
            f"basis {model.settings.basis.name} are noised at different times here"
        )

    def part(z: State) -> State:
        scale = representation.scale.to(z)
        return basis.forward(basis.inverse(scale * z) * mask.to(z)) / scale

    return part


def inpaint(
    model: Model,
    schedule: Schedule,
    images: UInt8[Tensor, "batch channels height width"],
    index: Sequence[int],
    settings: InpaintingSettings,
    seed: int,
    label: str = "inpainting",
) -> UInt8[Tensor, "batch keys channels height width"]:
    """Completions of images by `gud.diffusion.samplers.Inpainting`, which is biased where the
    parts depend on each other.

    Args:
        index: names the random streams of each image; each key has a seed of its own.
    """
    mask = known_pixels(settings.known, images.shape[-1])
    part = part_of(model, schedule, mask)
    streams = ImageStreams(model.device, seed, "dequantise", index)
    known = part(model.initial(dequantise(images, streams)))
    found = []
    for key in range(settings.keys):
        drawn, _ = draw_images(
            model,
            schedule,
            index,
            **settings.sampling.model_dump(exclude={"images", "batch_size"}),
            seed=derive(seed, "key", key),
            around=functools.partial(Inpainting, known=known, part=part),
            label=label,
        )
        found.append(torch.where(mask.bool(), images, drawn))
    return torch.stack(found, 1)


def inpaint_images(
    job: InpaintingJob, model: Path, data: Path, out: Path, device: torch.device
) -> None:
    """Completions by the model in a file, with their record."""
    section, sampling = job.inpainting, job.inpainting.sampling
    made = Application(job, (model, data), out, device, sampling.images, sampling.batch_size)
    network = load(model, device)
    schedule = network.schedule(**job.parameters)

    def complete(images: Tensor, index: list[int]) -> Arrays:
        found = inpaint(network, schedule, images, index, section, job.seed, made.label)
        return {"completions": found.numpy()}

    known = known_pixels(section.known, network.image_shape[1]).to(torch.uint8)
    key = "inpainting.sampling.images"
    arrays = made.compute_of_images(data, network.image_shape, key, complete)
    made.write({"known": known.numpy()} | arrays)


main = command(
    "Complete test images from a given part.",
    InpaintingJob,
    inpaint_images,
    input_option("--data", "Its data set, .npz."),
)
