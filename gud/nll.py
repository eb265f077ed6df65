"""Bits/dim of test images under a trained model, at one point of its schedule family.

    python -m gud.nll --settings JSON --model MODEL --data DATA.npz --out FILE.npz

Writes `bits_per_dim` (images, probes), `index` (images,) of the images in the test split and
`evaluations` (blocks,) of the network. Images, dequantisation noise and probes are the same at
every point, so that differences between points have a small (paired) error.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gud import data
from gud.blocks import Arrays, compute_blocks, fingerprint, finish
from gud.errors import InputError, command_line
from gud.likelihood import bits_per_dim, log_likelihood, noise_data
from gud.model import Model, load
from gud.provenance import atomic, write_record
from gud.randomness import ImageStreams, generator
from gud.schedules import Schedule
from gud.settings import point_name


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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--settings", type=json.loads, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args(argv)
    started = time.time()
    settings, likelihood = arguments.settings, arguments.settings["likelihood"]
    model = load(arguments.model, arguments.device)
    schedule = model.schedule(**settings["parameters"])
    test = data.load(arguments.data, "test")
    index = choose_images(len(test), likelihood["images"], settings["seed"], arguments.data)

    def compute(block: np.ndarray) -> Arrays:
        bits, evaluations = image_bits(
            model, schedule, test[block], block.tolist(), likelihood, settings["seed"]
        )
        return {
            "bits_per_dim": bits.numpy(),
            "index": block,
            "evaluations": np.array([evaluations]),
        }

    key = fingerprint(settings, [arguments.model, arguments.data])
    arrays = compute_blocks(
        index,
        likelihood["batch_size"],
        compute,
        out=arguments.out,
        key=key,
        label=f"nll {settings['experiment']} {point_name(settings['parameters'])}",
    )
    if not np.isfinite(arrays["bits_per_dim"]).all():
        raise InputError(f"the likelihood of some images under {arguments.model} is not finite")
    with atomic(arguments.out) as temporary:
        np.savez(temporary, allow_pickle=False, **arrays)
    write_record(
        arguments.out,
        inputs=[arguments.model, arguments.data],
        settings=settings,
        seed=settings["seed"],
        started=started,
        device=arguments.device,
    )
    finish(arguments.out, key)


if __name__ == "__main__":
    sys.exit(main())
