"""Noise test images up to a time t and reconstruct them with several random keys (Figure 8).

    python -m gud.reconstruct --settings JSON --model MODEL --data DATA.npz --out FILE.npz

Writes 8-bit `original` (images, channels, height, width) and `reconstructions` (images, keys,
channels, height, width), `noised` (images, channels, height, width), which is in [-1, 1] where it
is clean, `index` (images,) of the images in the test split and the `time`.
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
from jaxtyping import Float, UInt8
from torch import Tensor

from gud import data
from gud.devices import resolve_device
from gud.errors import InputError, command_line
from gud.model import Model, load
from gud.noising import NoisingState
from gud.processes import OrnsteinUhlenbeck, State
from gud.provenance import atomic, write_record
from gud.randomness import ImageStreams, generator
from gud.samplers import sample_euler_maruyama
from gud.schedules import Schedule
from gud.settings import Parameters, Section, point_name, validate
from gud.shards import Arrays, Shards, compute_all
from gud.tasks import ReconstructionSettings


class Settings(Section):
    experiment: str
    parameters: Parameters
    seed: int
    reconstruction: ReconstructionSettings


def noise_from_start(schedule: Schedule, z: State, t: float, noise: State) -> State:
    """z(t) of the process that has z at t = 0.

    It has run for the clock time tau(t) - tau(0); a component whose clock stood still keeps its
    value to the bit.
    """
    now, start = (
        schedule(torch.tensor(at, dtype=torch.float64, device=z.device).expand(len(z)))
        for at in (t, 0.0)
    )
    elapsed = (now.tau - start.tau).expm1().log()
    return OrnsteinUhlenbeck().perturb(z, NoisingState(elapsed, torch.zeros_like(elapsed)), noise)


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
    if not isinstance(model.process, OrnsteinUhlenbeck):
        raise InputError("reconstructions need the process ou")
    streams = functools.partial(ImageStreams, model.device, seed, images=index)
    phi = [
        data.dequantise(image[None], stream)
        for image, stream in zip(images, streams("dequantise").generators, strict=True)
    ]
    z = model.representation.encode(torch.cat(phi))[:, None]
    z = noise_from_start(schedule, z, settings.time, streams("noise").normal(z.shape[1:]))
    keys = [
        sample_euler_maruyama(
            model.eps,
            schedule,
            model.process,
            z,
            streams(f"key {key}"),
            steps=settings.steps,
            start=settings.time,
        )
        for key in range(settings.keys)
    ]
    if not torch.stack(keys).isfinite().all():
        raise InputError("the sampler left the finite numbers; more steps may be needed")
    decoded = torch.stack([model.decode(key[:, 0]) for key in keys], 1)
    return model.representation.decode(z[:, 0]), decoded


@command_line
def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--settings", type=json.loads, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: a GPU if there is one")
    arguments = parser.parse_args(argv)
    started = time.time()
    settings = validate(Settings, arguments.settings, "--settings")
    section = settings.reconstruction
    device = resolve_device(arguments.device)
    model = load(arguments.model, device)
    schedule = model.schedule(**settings.parameters)
    test = data.load(arguments.data, "test")
    if section.images > len(test):
        raise InputError(
            f"reconstruction.images = {section.images} is more than the {len(test)} test images "
            f"of {arguments.data}"
        )
    order = torch.randperm(len(test), generator=generator("cpu", settings.seed, "test images"))

    def evaluate(shards: Shards, numbers: np.ndarray) -> Arrays:
        block = order[numbers].numpy()
        noised, decoded = reconstruct(
            model, schedule, test[block], block.tolist(), section, settings.seed
        )
        return {
            "original": test[block].numpy(),
            "noised": noised.cpu().numpy(),
            "reconstructions": decoded.cpu().numpy(),
            "index": block,
        }

    inputs = (arguments.model, arguments.data)
    shards = Shards(arguments.out, arguments.settings, inputs, section.images, section.batch_size)
    label = f"reconstructions {settings.experiment} {point_name(settings.parameters)}"
    arrays = compute_all(shards, evaluate, label=label, device=device.type)
    with atomic(arguments.out) as temporary:
        np.savez(temporary, allow_pickle=False, time=np.array(section.time), **arrays)
    write_record(
        arguments.out,
        inputs=inputs,
        settings=arguments.settings,
        seed=settings.seed,
        started=started,
        device=device.type,
    )


if __name__ == "__main__":
    sys.exit(main())
