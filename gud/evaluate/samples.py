"""Images drawn from a trained model, at points of its schedule family.

Image n is drawn from the same random numbers at every point.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from gud.config.jobs import Evaluation
from gud.config.sections.evaluation import Precision, Sampling
from gud.config.sections.points import point_name
from gud.config.sections.section import Parameters
from gud.devices import float32_precision
from gud.diffusion.samplers import (
    GRIDS,
    SAMPLERS,
    Denoiser,
    LogLikelihood,
    Options,
    ReverseProcess,
    Sampler,
    guided,
    noise_of,
)
from gud.diffusion.samplers.bias import sampled_variance
from gud.diffusion.samplers.gaussian import start_of
from gud.diffusion.schedules import Schedule
from gud.errors import InputError
from gud.evaluate.shards import Arrays, Evaluate
from gud.model import Model
from gud.progress import progress
from gud.randomness import ImageStreams

Entry = TypeVar("Entry")


def draw_images(
    model: Model,
    schedule: Schedule,
    index: Sequence[int],
    *,
    method: str = "euler_maruyama",
    grid: str = "uniform",
    steps: int = 1000,
    noise_free_last_step: bool = True,
    denoise: bool = False,
    start: str = "prior",
    rtol: float = 1e-4,
    atol: float = 1e-4,
    precision: Precision = "float32",
    seed: int = 0,
    given: LogLikelihood | None = None,
    scale: float = 1.0,
    around: Callable[[Sampler], Sampler] | None = None,
    label: str = "sampling",
) -> tuple[UInt8[Tensor, "batch channels height width"], int]:
    """8-bit images and the number of network evaluations; the defaults are the paper's.

    Args:
        index: numbers of the images; each has a random stream of its own.
        method, grid: of `gud.diffusion.samplers`: `SAMPLERS` and `GRIDS`.
        steps, noise_free_last_step, denoise, rtol, atol: see `gud.diffusion.samplers.Options`.
        start: what is sampled from; see `gud.diffusion.samplers.gaussian.start_of`.
        precision: `float32`, or `tf32` on GPUs that have it.
        given: log p(y | z(t)) of what the images should show, such as a classifier's of a class,
            and its `scale`; see `gud.diffusion.samplers.guided`.
        around: what is made of the sampler, such as an `Inpainting`.
        label: of the progress bar.
    """
    sampler, grid_of = _named(SAMPLERS, "method", method), _named(GRIDS, "grid", grid)
    sampler = around(sampler) if around else sampler
    streams = functools.partial(ImageStreams, model.device, seed)
    variance = model.representation.log_variance.exp()
    denoiser: Denoiser = model.eps
    if given is not None:
        denoiser = guided(model.eps, model.process, given, scale)
    noise = streams("prior", index).normal(model.state_shape)
    z = start_of(start, schedule, model.process, variance, noise)
    with float32_precision(precision):
        z, evaluations = sampler(
            ReverseProcess(denoiser, schedule, model.process, variance),
            z,
            noise_of(streams("steps", index)),
            Options(steps, grid_of, noise_free_last_step, denoise, rtol, atol),
            functools.partial(progress, unit="step", label=label),
        )
    return model.decode(z[:, 0]).cpu(), evaluations


def _named(registry: Mapping[str, Entry], what: str, name: str) -> Entry:
    if name not in registry:
        raise InputError(f"{what} = {name!r} must be one of {', '.join(registry)}")
    return registry[name]


def variance_error(
    model: Model, schedule: Schedule, sampling: Sampling
) -> Float[Tensor, " components"]:
    """Relative error of the variance that the sampler itself gives each component of an image.

    That of `gud.diffusion.samplers.bias`: on Gaussian data with the variances of the training set
    and the exact prediction of the noise. Whitening cancels, so that it holds in image space.
    """
    variance = model.representation.log_variance.exp()
    sampled = sampled_variance(
        SAMPLERS[sampling.method],
        schedule,
        model.process,
        variance,
        Options(
            sampling.steps,
            GRIDS[sampling.grid],
            sampling.noise_free_last_step,
            sampling.denoise,
            sampling.rtol,
            sampling.atol,
        ),
        sampling.start,
    )
    return sampled / variance - 1


def samples_of_batches(model: Model, evaluation: Evaluation) -> Evaluate:
    """What computes a shard.

    8-bit `images`, the `evaluations` that they took, and mean and root mean square over the
    components of `variance_error`, as `variance_bias` and `variance_rms`.
    """
    settings = evaluation.settings
    assert isinstance(settings, Sampling)

    def evaluate(parameters: Parameters, numbers: np.ndarray) -> Arrays:
        label = f"samples {evaluation.experiment} {point_name(parameters)} from {numbers[0]}"
        schedule = model.schedule(**parameters)
        images, evaluations = draw_images(
            model,
            schedule,
            numbers.tolist(),
            **settings.model_dump(exclude={"images", "batch_size"}),
            seed=evaluation.seed,
            label=label,
        )
        error = variance_error(model, schedule, settings)
        return {
            "images": images.numpy(),
            "evaluations": np.array([evaluations]),
            "variance_bias": error.mean()[None].cpu().numpy(),
            "variance_rms": error.square().mean().sqrt()[None].cpu().numpy(),
        }

    return evaluate
