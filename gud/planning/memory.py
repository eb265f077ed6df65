"""The memory that a network takes on a GPU, and the batches of it that fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gud.config.preset import Preset
from gud.config.sections.experiments import Experiment
from gud.networks.cost import Cost

BYTES = 4
"""Of a number in float32."""
COPIES = 5
"""Of all weights, in training: weights, gradients, Adam's two moments and the average."""
ROOM = 0.85
"""Part of a GPU's memory that is counted on: the rest is for CUDA, the workspaces of convolutions
and what a layer computes in passing, such as dropout's mask of the whole batch."""
GIGA = 1e9


def memory(cost: Cost, images: int, copies: int) -> int:
    """Bytes of weights, and of the activations of images that a backward pass needs, in float32."""
    return copies * cost.weights * BYTES + cost.activations * images


def share_of(preset: Preset, experiment: Experiment) -> int:
    """Images of a batch that fall to each GPU of a training."""
    return experiment.training.batch_size // max(1, preset.compute.train_gpu)


def together(preset: Preset, experiment: Experiment) -> int:
    """Images that a training holds at once on each of its GPUs."""
    return experiment.training.together(max(1, preset.compute.train_gpu))


def micro_batch(cost: Cost, share: int, gigabytes: float) -> int | None:
    """The largest divisor of a share of a batch that fits a GPU; None if not even one image does.

    Args:
        share: images of a batch that fall to each GPU.
        gigabytes: of the GPU, 10^9 bytes.
    """
    divisors = (images for images in range(share, 0, -1) if share % images == 0)
    fitting = (n for n in divisors if memory(cost, n, COPIES) <= ROOM * gigabytes * GIGA)
    return next(fitting, None)


def advice(preset: Preset, costs: Mapping[str, Cost], gigabytes: float) -> Iterator[str]:
    """What of a preset fits GPUs of a size, and the batches to take where it does not.

    Args:
        costs: of one image, by experiment.
        gigabytes: of one GPU, 10^9 bytes.
    """
    room = ROOM * gigabytes * GIGA
    yield (
        f"a GPU of {gigabytes:g} GB: up to {ROOM:.0%} for weights and activations in float32, of "
        f"which bfloat16 needs less"
    )
    for name, experiment in preset.experiments.items():
        cost, batch = costs[name], experiment.nll.settings.batch_size
        if experiment.weights_of is None:
            now = together(preset, experiment)
            needed, one = (memory(cost, n, COPIES) / GIGA for n in (now, 1))
            best = micro_batch(cost, share_of(preset, experiment), gigabytes)
            if best is None:
                said = f"not one image fits, {one:.3g} GB"
            elif needed * GIGA > room:
                fits = f"{best}, {memory(cost, best, COPIES) / GIGA:.3g} GB"
                said = (
                    f"{now} images at once need {needed:.3g} GB: set training.micro_batch: {fits}"
                )
            else:
                said = f"{now} images at once fit, {needed:.3g} GB"
                said += f"; up to training.micro_batch: {best} fits" if best > now else ""
            yield f"{name} training: {said}"
        if experiment.nll.grids and memory(cost, batch, 1) > room:
            most = max(0, int((room - memory(cost, 0, 1)) // cost.activations))
            yield (
                f"{name} likelihood: {batch} images at once need "
                f"{memory(cost, batch, 1) / GIGA:.3g} GB: nll.settings.batch_size must be at most "
                f"{most}"
            )
