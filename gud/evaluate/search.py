"""Search for the path of noising states with the lowest variational bound, on training images.

The network knows gamma and not the schedule, so that any monotone path serves that stays where it
is trained (`gud.diffusion.schedules.free`). The artefact EXPERIMENT/path.safetensors is the network
with the path in its settings: the section `schedule` of a preset with its `levels`, evaluated like
any other at points s. No test image is seen.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

import click
import numpy as np
import torch
from jaxtyping import Float64, UInt8
from torch import Tensor

from gud.cli import NamedPreset, device_option, experiment_option, input_option, out_option
from gud.config.jobs import search_job
from gud.config.sections.schedules import FreePath, PathSearch
from gud.data import datasets
from gud.devices import float32_precision, resolve_device
from gud.diffusion.dequantisation import dequantise
from gud.diffusion.likelihood import bits_per_dim, variational_bound
from gud.diffusion.schedules import Free, Region, Schedule, region
from gud.errors import InputError
from gud.evaluate.likelihood import image_bound
from gud.evaluate.uncertainty import standard_error
from gud.model import Model, load
from gud.progress import progress
from gud.provenance import write_record
from gud.randomness import Stream, derive

log = logging.getLogger(__name__)

Images = UInt8[Tensor, "images channels height width"]


def region_of(model: Model, schedule: FreePath) -> Region:
    """Where the paths of a schedule may go for the data of a model."""
    ends = schedule.gamma_denoise, schedule.gamma_noise
    return region(model.representation, schedule.groups, schedule.a, *ends)


def find_levels(
    model: Model, images: Images, within: Region, knots: int, search: PathSearch, seed: int
) -> Float64[Tensor, "knots limits"]:
    """The levels of the path with the lowest variational bound on images, by Adam.

    Steps begin at standard diffusion and vary the slopes of each group at each knot. A step takes
    the gradient of the bound of a batch, each image at one time, those of a batch at equal
    quantiles. The path is the mean of the second half of the steps, which is in the region as
    all of them are.

    Args:
        images: training images.
        knots: of the path.
        seed: of the batches, times and noises.
    """
    low, high = within.a
    slopes = within.limits.new_ones(knots, len(within.limits) - 1).requires_grad_()
    optimizer = torch.optim.Adam([slopes], lr=search.learning_rate)
    representation = model.representation
    log_variance, ordering = representation.log_variance, -representation.log_data_variance
    variance, total = log_variance.exp(), within.standard(knots) * 0
    first = search.steps // 2
    for step in (bar := progress(range(search.steps), unit="step", label="search")):
        draws = Stream(model.device, seed, "search", number=step)
        chosen = draws.permutation(len(images))[: search.batch_size].cpu()
        batch = dequantise(images[chosen].to(model.device), draws)
        z = model.initial(batch)
        ranks = torch.arange(len(z), device=model.device)
        shifts = (ranks + draws.uniform((len(z),))) / len(z)
        bound = variational_bound(
            model.eps,
            Free(log_variance, ordering, within.limits, within.levels(slopes)),
            model.process,
            z,
            variance,
            shifts[None],
            lambda z=z, draws=draws: draws.normal(z.shape),  # type: ignore[misc]
            times=1,
        )
        bits = bits_per_dim(bound, representation).mean()
        if not bits.isfinite():
            raise InputError(f"the bound of the path is not finite at step {step} of its search")
        optimizer.zero_grad()
        bits.backward()
        optimizer.step()
        with torch.no_grad():
            slopes.clamp_(low, high)
            if step >= first:
                total += within.levels(slopes)
        bar.set_postfix_str(f"bound {float(bits.detach()):.4f}", refresh=False)
    return total / (search.steps - first)


def compare(
    model: Model,
    images: Images,
    index: np.ndarray,
    paths: dict[str, Schedule],
    search: PathSearch,
    seed: int,
    region: np.ndarray,
) -> dict[str, float]:
    """Bounds of two paths on the same images, with the paired difference of the second.

    Args:
        index: names the random streams of the images.
        region: of the data set that each image was cut from.
    """
    found = {}
    for name, path in paths.items():
        blocks = [
            image_bound(
                model, path, images[block], index=block.tolist(), times=search.times, seed=seed
            )
            for block in torch.from_numpy(index).split(search.batch_size)
        ]
        found[name] = torch.cat(blocks).mean(1).numpy()
    first, second = found.values()
    return {name: float(values.mean()) for name, values in found.items()} | {
        "difference": float((second - first).mean()),
        "difference_stderr": standard_error(second - first, region),
        "images": len(index),
    }


@click.command()
@experiment_option()
@input_option("--model", "The network that knows the region, .safetensors.")
@input_option("--data", "Its data set, .npz, of which training images are taken.")
@out_option("The network with the path found, .safetensors.")
@device_option()
def main(
    preset: NamedPreset,
    experiment: str,
    model: Path,
    data: Path,
    out: Path,
    device: str | None,
) -> None:
    """Find a custom path on training images, for an experiment of schedule `free`."""
    started, job = time.time(), search_job(preset.preset, experiment)
    schedule, search = job.schedule, job.search
    network = load(model, resolve_device(device))
    if network.settings.schedule.name != "soft_conditioning" or network.process.k != 1:
        raise InputError(
            f"model {model} has schedule {network.settings.schedule.name} and k = "
            f"{network.process.k}: a path is searched for a network of soft_conditioning with k = 1"
        )
    train = datasets.load(data, "train", network.image_shape)
    if search.images + search.batch_size > len(train):
        raise InputError(
            f"search.images = {search.images} and search.batch_size = {search.batch_size} are more "
            f"than the {len(train)} training images of {data}"
        )
    seed = derive(job.seed, "path")
    order = Stream("cpu", seed, "training images").permutation(len(train)).numpy()
    compared, searched = np.sort(order[: search.images]), np.sort(order[search.images :])
    within = region_of(network, schedule)
    with float32_precision("float32"):
        levels = (
            within.limits.new_tensor(schedule.levels)
            if schedule.levels is not None
            else find_levels(network, train[searched], within, schedule.knots, search, seed)
        )
    filled = schedule.model_copy(update={"levels": levels.tolist()})
    network.settings = network.settings.model_copy(update={"schedule": filled})
    paths = {name: network.schedule(s=s) for name, s in (("standard", 0.0), ("found", 1.0))}
    regions = datasets.load_regions(data, "train", len(train))[compared]
    bounds = compare(network, train, compared, paths, search, seed, regions)
    log.info(
        "bound on %d further training images: %.4f, standard diffusion %.4f, difference %+.4f "
        "with standard error %.4f",
        *(bounds[key] for key in ("images", "found", "standard", "difference")),
        bounds["difference_stderr"],
    )
    network.save(out)
    write_record(
        out,
        inputs=[model, data],
        settings=job.model_dump(mode="json"),
        seed=job.seed,
        started=started,
        device=network.device.type,
        bound_bits_per_dim=bounds,
    )
