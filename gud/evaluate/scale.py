"""A scale for bits/dim: what is free, for the same test images as a likelihood.

A table of `model`, `bits_per_dim` with `stderr`, `images` and `regions`, one row for each of

    gaussian_independent   the Gaussian of independent components in the experiment's basis, whose
                           variances Sigma_i its schedules know (one for all channels)
    gaussian               the Gaussian with the mean and the full covariance of the training images
    png, webp              files of single images, lossless, by Pillow, headers included
"""

from __future__ import annotations

import io
import math
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
import PIL.features
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from gud.cli import NamedPreset, experiment_option, input_option, out_option
from gud.config.jobs import get_experiment
from gud.config.preset import Experiment
from gud.data import datasets, statistics
from gud.data.blocks import centred
from gud.diffusion.dequantisation import DEQUANTISATION_VARIANCE, dequantise
from gud.diffusion.likelihood import bits_per_dim
from gud.diffusion.representation import Representation
from gud.evaluate.likelihood import choose_images
from gud.evaluate.uncertainty import standard_error
from gud.provenance import write_record, write_text
from gud.randomness import Stream

LARGEST = 4096
"""Dimensions of an image up to which the full covariance is fitted: CIFAR-10 has 3,072."""
FORMATS: dict[str, dict[str, Any]] = {
    "png": {"format": "PNG", "optimize": True},
    "webp": {"format": "WEBP", "lossless": True, "quality": 100, "method": 6},
}

Images = UInt8[Tensor, "images channels height width"]


def independent_gaussian_bits(
    representation: Representation, phi: Float[Tensor, "images channels height width"]
) -> Float[Tensor, " images"]:
    """Bits/dim of images phi under N(mean, U^T diag(Sigma) U), each channel alike."""
    scale = representation.statistics.variance.sqrt()
    chi = representation.basis.forward(phi.double() - representation.statistics.mean) / scale
    log_prob = -0.5 * (chi**2 + math.log(2 * math.pi)) - scale.log()
    unwhitened = Representation(representation.basis, representation.statistics, whitened=False)
    return bits_per_dim(log_prob.flatten(1).sum(1), unwhitened)


def gaussian_bits(
    train: UInt8[Tensor, "train channels height width"],
    phi: Float[Tensor, "images channels height width"],
    *,
    mirrored: bool,
) -> Float[Tensor, " images"]:
    """Bits/dim of images phi under the Gaussian that fits the dequantised training images best.

    Args:
        mirrored: whether left and right of the training images may be exchanged, as in training.
    """
    size, count = train[0].numel(), len(train) * (1 + mirrored)
    total, products = torch.zeros(size).double(), torch.zeros(size, size).double()
    # About zero, where sums of grey levels and of their products are exact.
    for block in centred(train, torch.zeros(train.shape[1:]).double(), mirrored):
        values = block.flatten(1)
        total += values.sum(0)
        products += values.T @ values
    mean = total / count
    covariance = products / count - torch.outer(mean, mean)
    covariance += DEQUANTISATION_VARIANCE * torch.eye(size).double()
    normal = torch.distributions.MultivariateNormal(mean, covariance)
    return -normal.log_prob(phi.double().flatten(1)) / (size * math.log(2)) + 7


def file_bits(images: Images, **options: Any) -> Float[np.ndarray, " images"]:
    """Bits/dim of a file of each image that Pillow writes with these options."""
    sizes = []
    for image in images.permute(0, 2, 3, 1).numpy():
        with io.BytesIO() as buffer:
            Image.fromarray(image).save(buffer, **options)
            sizes.append(8 * buffer.tell() / image.size)
    return np.array(sizes)


def measure_scale(
    experiment: Experiment, seed: int, data: Path, fitted: Path
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The table for the test images of an experiment's likelihood, and the settings it depends on.

    Args:
        seed: of the preset, which chooses the images.
        fitted: statistics of the experiment's basis.
    """
    wanted = experiment.nll.settings.images
    test = datasets.load(data, "test")
    region = datasets.load_regions(data, "test", len(test))
    index = choose_images(len(test), wanted, seed, data)
    images, region = test[index], region[index]
    phi = dequantise(images, Stream("cpu", seed, "scale"))
    of_training = statistics.load(fitted)
    representation = Representation(experiment.basis.of(of_training), of_training, whitened=False)
    bits = {"gaussian_independent": independent_gaussian_bits(representation, phi).numpy()}
    mirrored = experiment.training.flip
    if images[0].numel() <= LARGEST:
        train = datasets.load(data, "train")
        bits["gaussian"] = gaussian_bits(train, phi, mirrored=mirrored).numpy()
    for name, options in FORMATS.items():
        if name == "png" or PIL.features.check(name):
            bits[name] = file_bits(images, **options)
    rows = [
        {
            "model": name,
            "bits_per_dim": values.mean(),
            "stderr": standard_error(values, region),
            "images": wanted,
            "regions": len(set(region.tolist())),
        }
        for name, values in bits.items()
    ]
    return pd.DataFrame(rows), {
        "basis": experiment.basis.model_dump(),
        "images": wanted,
        "mirrored": mirrored,
    }


@click.command()
@experiment_option()
@input_option("--data", "The data set of the experiment, .npz.")
@input_option("--statistics", "Statistics of its basis, .safetensors.")
@out_option("The table, .csv.")
def main(preset: NamedPreset, experiment: str, data: Path, statistics: Path, out: Path) -> None:
    """Measure what Gaussians, PNG and WebP need for the test images of an experiment."""
    started, seed = time.time(), preset.preset.seed
    table, settings = measure_scale(
        get_experiment(preset.preset, experiment), seed, data, statistics
    )
    write_text(out, table.to_csv(index=False))
    write_record(
        out,
        inputs=[data, statistics],
        settings=settings | {"experiment": experiment},
        seed=seed,
        started=started,
    )
