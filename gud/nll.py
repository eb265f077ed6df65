"""Bits/dim of test images under a trained model, at points of its schedule family.

    python -m gud.nll --settings JSON --model MODEL --data DATA.npz --out FOLDER/jobs/NAME.json

Computes shards (`gud.shards`) of the artefacts FOLDER/POINT.npz: `bits_per_dim` (images, probes),
`index` (images,) of the images in the test split and `evaluations` (shards,) of the network.
Images, dequantisation noise and probes are the same at every point, so that differences between
points have a small (paired) error.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gud import data
from gud.devices import resolve_device
from gud.errors import InputError, command_line
from gud.likelihood import bits_per_dim, log_likelihood, noise_data
from gud.model import Model, load
from gud.randomness import ImageStreams, generator
from gud.schedules import Schedule
from gud.settings import validate
from gud.shards import Arrays, Shards, run_job
from gud.tasks import LikelihoodJob


def image_bits(
    model: Model,
    schedule: Schedule,
    images: UInt8[Tensor, "batch channels height width"],
    index: Sequence[int],
    settings: dict[str, Any],
    seed: int,
) -> tuple[Float[Tensor, "batch probes"], int]:
    """Bits/dim of 8-bit images, one estimate a probe, and the network evaluations it took.

    Args:
        index: names the random stream of each image.
        settings: a `gud.tasks.Likelihood` section as JSON values.
        seed: of dequantisation and probes.
    """
    device = model.device

    def streams(name: str) -> ImageStreams:
        return ImageStreams(device, seed, name, index)

    phi = torch.cat(
        [
            data.dequantise(image[None], stream)
            for image, stream in zip(
                images.to(device), streams("dequantise").generators, strict=True
            )
        ]
    )
    z = model.representation.encode(phi)[:, None]
    if model.process.k != 1:
        raise InputError(f"likelihoods need a process with k = 1, not {model.process.k}")
    correction = torch.zeros(len(z), dtype=torch.float64)
    if settings["start"] == "noised":
        noise = streams("start").normal(z.shape[1:])
        z, correction = noise_data(schedule, model.process, z, noise)
    probes = streams("probes").rademacher((settings["probes"], *z.shape[1:])).movedim(1, 0)
    standardised = settings["coordinates"] == "standardised"
    result = log_likelihood(
        model.eps,
        schedule,
        model.process,
        z,
        probes,
        method=settings["method"],
        rtol=settings["rtol"],
        atol=settings["atol"],
        steps=settings["steps"],
        standardise=model.representation.log_variance.exp() if standardised else None,
    )
    log_prob = result.log_prob.cpu() + correction.cpu()[:, None]
    return bits_per_dim(log_prob, model.representation), result.evaluations


def choose_images(available: int, wanted: int, seed: int, source: Path) -> np.ndarray:
    """Sorted indices of `wanted` random images of the test split."""
    if wanted > available:
        raise InputError(
            f"likelihood.images = {wanted} is more than the {available} test images of {source}"
        )
    order = torch.randperm(available, generator=generator("cpu", seed, "test images"))
    return np.sort(order[:wanted].numpy())


@command_line
def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--settings", type=json.loads, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="the receipt, FOLDER/jobs/*.json")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: a GPU if there is one")
    arguments = parser.parse_args(argv)
    job = validate(LikelihoodJob, arguments.settings, "--settings")
    device = resolve_device(arguments.device)
    model = load(arguments.model, device)
    test = data.load(arguments.data, "test")
    index = choose_images(len(test), job.likelihood.images, job.seed, arguments.data)
    likelihood = job.likelihood.model_dump()

    def evaluate(shards: Shards, numbers: np.ndarray) -> Arrays:
        schedule = model.schedule(**shards.settings["parameters"])
        chosen = index[numbers]
        bits, evaluations = image_bits(
            model, schedule, test[chosen], chosen.tolist(), likelihood, job.seed
        )
        if not bits.isfinite().all():
            raise InputError(f"the likelihood of some images under {arguments.model} is not finite")
        return {
            "bits_per_dim": bits.numpy(),
            "index": chosen,
            "evaluations": np.array([evaluations]),
        }

    inputs = [arguments.model, arguments.data]
    run_job(
        arguments.settings, "likelihood", inputs, evaluate, out=arguments.out, device=device.type
    )


if __name__ == "__main__":
    sys.exit(main())
