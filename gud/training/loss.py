"""The denoising score matching loss (equation 11)."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from gud.diffusion.processes import Draws
from gud.diffusion.schedules import Schedule
from gud.model import Model


def denoising_loss(
    model: Model,
    images: Float[Tensor, "batch channels height width"],
    schedule: Schedule,
    t: Float[Tensor, " batch"],
    noise: Draws,
) -> Float[Tensor, ""]:
    """Mean squared error of the predicted noise: equation 11 with the weight lambda = sigma^2.

    For several variables per component it is hybrid or denoising score matching, as the process
    says.

    It depends on the schedule through gamma(t) alone, so that a time at which the rate of a
    reparametrised schedule is infinite is as good as any other.

    Args:
        model: whose `eps` is judged.
        images: dequantised, in [-1, 1].
        schedule: the path of noising states.
        t: one time for each image, in [0, 1].
        noise: standard normal, shape (batch, draws, channels, components).

    Returns:
        The mean over the batch and all entries that the network predicts.
    """
    state = schedule(t)
    z0 = model.initial(images)
    z, target = model.process.example(z0, state, noise)
    return model.predicted(model.eps(z, state) - target, state).square().mean()
