"""Bits/dim of test images under a trained model, at points of its schedule family.

Images, dequantisation noise and probes are the same at every point, so that differences between
points have a small (paired) error.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gud.config.jobs import Evaluation
from gud.config.sections.evaluation import BOUND_REPLICATES, Likelihood, Precision
from gud.config.sections.section import Parameters
from gud.data import datasets
from gud.data.arrays import FINER, Arrays
from gud.devices import float32_precision
from gud.diffusion.dequantisation import dequantise
from gud.diffusion.likelihood import (
    bits_per_dim,
    draw_auxiliary,
    log_likelihood,
    noise_data,
    variational_bound,
)
from gud.diffusion.samplers import Denoiser
from gud.diffusion.schedules import Schedule
from gud.errors import InputError
from gud.evaluate.shards import Evaluate
from gud.model import Model
from gud.randomness import ImageStreams, Stream, derive


def image_bits(
    model: Model,
    schedule: Schedule,
    images: UInt8[Tensor, "batch channels height width"],
    *,
    index: Sequence[int] | None = None,
    probes: int = 3,
    renewals: int = 0,
    method: str = "tsit5",
    rtol: float = 1e-4,
    atol: float = 1e-4,
    steps: int | None = None,
    coordinates: Literal["components", "standardised"] = "components",
    start: Literal["data", "noised"] = "data",
    precision: Precision = "float32",
    seed: int = 0,
    denoiser: Denoiser | None = None,
) -> tuple[Float[Tensor, "batch probes"], int]:
    """Bits/dim of 8-bit images, one estimate a probe, and the network evaluations of an image.

    The defaults are the paper's (App. B).

    Args:
        index: names the random stream of each image; by default 0, 1, ...
        probes: of Hutchinson's estimate of the divergence, for each image.
        renewals: how often each takes new signs along the path; of the method `adams`.
        method, rtol, atol, steps: of the ODE; see `gud.diffusion.likelihood.log_likelihood`.
        coordinates: `standardised` divides each component by the standard deviation that Gaussian
            data would have: the same flow in fewer steps.
        start: `data` takes the data as already at t = 0, `noised` adds the noise that the schedule
            prescribes there, for a bound. Auxiliary numbers are drawn with either, for a bound.
        precision: `float32`, or `tf32` on GPUs that have it.
        seed: of dequantisation and probes.
        denoiser: in place of the model's own prediction of eps.
    """
    if renewals < 0:
        raise InputError(f"renewals = {renewals} must be 0 or more")
    index = range(len(images)) if index is None else index
    streams = functools.partial(ImageStreams, model.device, seed, images=index)
    z = model.initial(dequantise(images, streams("dequantise")))
    noise = streams("start").normal(z.shape[1:])
    if start == "noised":
        z, correction = noise_data(schedule, model.process, z, noise)
    else:
        z, correction = draw_auxiliary(model.process, z, noise)
    standardised = coordinates == "standardised"
    with float32_precision(precision):
        result = log_likelihood(
            denoiser or model.eps,
            schedule,
            model.process,
            z,
            streams("probes").rademacher(((renewals + 1) * probes, *z.shape[1:])).movedim(1, 0),
            method=method,
            rtol=rtol,
            atol=atol,
            steps=steps,
            nodes=model.preconditioning.nodes,
            renewals=renewals,
            standardise=model.representation.log_variance.exp() if standardised else None,
        )
    log_prob = result.log_prob.cpu() + correction.cpu()[:, None]
    return bits_per_dim(log_prob, model.representation), result.evaluations


def image_bound(
    model: Model,
    schedule: Schedule,
    images: UInt8[Tensor, "batch channels height width"],
    *,
    index: Sequence[int] | None = None,
    times: int = 16,
    replicates: int = BOUND_REPLICATES,
    precision: Precision = "float32",
    seed: int = 0,
) -> Float[Tensor, "batch replicates"]:
    """Variational bounds on the bits/dim of 8-bit images: no ODE, no derivatives.

    Args:
        index: names the random stream of each image; by default 0, 1, ...
        times: network evaluations of an image for each replicate.
        replicates: independent estimates, whose scatter is the error of the times and noises.
        precision, seed: as of `image_bits`, whose dequantisation noise it shares.
    """
    index = range(len(images)) if index is None else index
    streams = functools.partial(ImageStreams, model.device, seed, images=index)
    z = model.initial(dequantise(images, streams("dequantise")))
    noise = streams("bound")
    with float32_precision(precision), torch.no_grad():
        bound = variational_bound(
            model.eps,
            schedule,
            model.process,
            z,
            model.representation.log_variance.exp(),
            streams("times").uniform((replicates,)).T,
            lambda: noise.normal(z.shape[1:]),
            times=times,
        )
    return bits_per_dim(bound.cpu(), model.representation)


def choose_images(
    available: int,
    wanted: int,
    seed: int,
    source: Path,
    *,
    sort: bool = True,
    key: str = "likelihood.images",
) -> np.ndarray:
    """Indices of `wanted` random images of the test split; unsorted, fewer of them are random.

    Args:
        source: the file of the images.
        key: of the settings, that wants so many.
    """
    if wanted > available:
        raise InputError(f"{key} = {wanted} is more than the {available} test images of {source}")
    order = Stream("cpu", seed, "test images").permutation(available)
    chosen = order[:wanted].numpy()
    return np.sort(chosen) if sort else chosen


def likelihood_of_batches(
    model: Model,
    test: UInt8[Tensor, "n 3 height width"],
    evaluation: Evaluation,
    source: Path,
    draw: int = 0,
) -> Evaluate:
    """What computes a shard: `bits_per_dim`, `index`, `region` and `evaluations` of a batch.

    Further estimates that the settings ask for are `noised_bits_per_dim` (images, probes) and
    `bound_bits_per_dim` (images, replicates). The first images have those of both ODEs in finer
    steps too, named with `FINER`.

    Args:
        test: the test images, those of the file `source`.
        draw: number of the random draws; those of 0 are the seed's own.
    """
    settings = evaluation.settings
    assert isinstance(settings, Likelihood)
    index = choose_images(
        len(test), settings.images, evaluation.seed, source, sort=not settings.shuffled
    )
    seed = derive(evaluation.seed, "draw", draw) if draw else evaluation.seed
    region = datasets.load_regions(source, "test", len(test))

    def evaluate(parameters: Parameters, numbers: np.ndarray) -> Arrays:
        chosen = index[numbers]
        schedule, images = model.schedule(**parameters), test[chosen]
        shared: dict[str, Any] = {
            "index": chosen.tolist(),
            "precision": settings.precision,
            "seed": seed,
        }
        keys = {"probes", "renewals", "method", "rtol", "atol", "steps", "coordinates"}
        ode = shared | settings.model_dump(include=keys)
        levels = {"": ode}
        if settings.finer and numbers[0] < settings.finer.images:
            levels[FINER] = ode | {"steps": settings.finer.steps}
        found: dict[str, Tensor] = {}
        counts: dict[str, int] = {}
        for level, ode in levels.items():
            bits, counts[level] = image_bits(model, schedule, images, start=settings.start, **ode)
            found[f"{level}bits_per_dim"] = bits
            if "noised" in settings.also:
                noised, _ = image_bits(model, schedule, images, start="noised", **ode)
                found[f"{level}noised_bits_per_dim"] = noised
        if "bound" in settings.also:
            bound = image_bound(model, schedule, images, times=settings.bound_times, **shared)
            found["bound_bits_per_dim"] = bound
        if not all(values.isfinite().all() for values in found.values()):
            raise InputError("the likelihood of some images is not finite")
        return {name: values.numpy() for name, values in found.items()} | {
            "index": chosen,
            "region": region[chosen],
            "evaluations": np.array([counts[""]]),
        }

    return evaluate
