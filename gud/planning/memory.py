"""The memory that a network takes on a GPU, and the batches of it that fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gud.config.preset import Experiment, Preset
from gud.planning.costs import BYTES, Cost

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
    share = share_of(preset, experiment)
    return min(experiment.training.micro_batch or share, share)


def micro_batch(cost: Cost, share: int, gigabytes: float) -> int | None:
    """The largest divisor of a share of a batch that fits a GPU; None if not even one image does.

    Args:
        share: images of a batch that fall to each GPU.
        gigabytes: of the GPU, 10^9 bytes.
    """
    divisors = (images for images in range(share, 0, -1) if share % images == 0)
    return next((n for n in divisors if _fits(memory(cost, n, COPIES), gigabytes)), None)


def advice(preset: Preset, costs: Mapping[str, Cost], gigabytes: float) -> Iterator[str]:
    """What of a preset fits GPUs of a size, and the batches to take where it does not.

    Args:
        costs: of one image, by experiment.
        gigabytes: of one GPU, 10^9 bytes.
    """
    yield (
        f"a GPU of {gigabytes:g} GB: up to {ROOM:.0%} for weights and activations in float32, of "
        f"which bfloat16 needs less"
    )
    for name, experiment in preset.experiments.items():
        if experiment.weights_of is None:
            yield f"{name} training: {_training_advice(preset, experiment, costs[name], gigabytes)}"
        if not experiment.nll.grids:
            continue
        cost, batch = costs[name], experiment.nll.settings.batch_size
        needed = memory(cost, batch, 1)
        if not _fits(needed, gigabytes):
            most = int((ROOM * gigabytes * GIGA - memory(cost, 0, 1)) // cost.activations)
            yield (
                f"{name} likelihood: {batch} images at once need {needed / GIGA:.3g} GB: "
                f"nll.settings.batch_size must be at most {max(0, most)}"
            )


def _training_advice(preset: Preset, experiment: Experiment, cost: Cost, gigabytes: float) -> str:
    """Whether the images that a training holds at once fit, and which number of them would."""
    share, now = share_of(preset, experiment), together(preset, experiment)
    needed, best = memory(cost, now, COPIES), micro_batch(cost, share, gigabytes)
    if best is None:
        return f"not one image fits, {memory(cost, 1, COPIES) / GIGA:.3g} GB"
    if not _fits(needed, gigabytes):
        return (
            f"{now} images at once need {needed / GIGA:.3g} GB: set training.micro_batch: {best}, "
            f"{memory(cost, best, COPIES) / GIGA:.3g} GB"
        )
    faster = f"; up to training.micro_batch: {best} fits" if best > now else ""
    return f"{now} images at once fit, {needed / GIGA:.3g} GB{faster}"


def _fits(needed: int, gigabytes: float) -> bool:
    return needed <= ROOM * gigabytes * GIGA
