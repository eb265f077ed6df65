"""Components chi = S^-1 U (phi - mean) of images: basis U and scale S (section 4.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gud.diffusion.bases import Basis
from gud.errors import InputError


@dataclass(frozen=True)
class Statistics:
    """What a representation needs to know of the (dequantised) training set, in double precision.

    Args:
        mean: mean image, shape (channels, height, width).
        variance: Sigma_i = variance of component i before whitening, averaged over the channels
            unless the basis mixes them, shape (components,).
        rotation: rows are principal components, shape (components, components); None for other
            bases.
        low_pass: filter of a basis `wavelet`, shape (taps,); None for other bases.
    """

    mean: Float[Tensor, "channels height width"]
    variance: Float[Tensor, " components"]
    rotation: Float[Tensor, "components components"] | None = None
    low_pass: Float[Tensor, " taps"] | None = None

    def tensors(self) -> dict[str, Tensor]:
        tensors = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: tensor for name, tensor in tensors.items() if tensor is not None}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Statistics:
        """The inverse of `tensors`; `InputError` unless they are statistics of square images."""
        if not {"mean", "variance"} <= tensors.keys() <= {field.name for field in fields(cls)}:
            raise InputError(
                "statistics must hold mean and variance and may hold rotation and low_pass, not "
                f"{[*tensors]}"
            )
        mean = tensors["mean"]
        if mean.ndim != 3 or not mean.shape[1] == mean.shape[2] > 0:
            raise InputError(f"mean has shape {tuple(mean.shape)}, expected (channels, size, size)")
        colours = tensors["variance"].shape == (mean.numel(),) and "rotation" in tensors
        components = mean.numel() if colours else mean[0].numel()
        shapes: dict[str, tuple[int, ...]] = {
            "mean": tuple(mean.shape),
            "variance": (components,),
            "rotation": (components, components),
            "low_pass": (tensors["low_pass"].numel() if "low_pass" in tensors else 0,),
        }
        for name, tensor in tensors.items():
            if tensor.dtype != torch.float64 or tensor.shape != shapes[name]:
                raise InputError(
                    f"{name} is {tensor.dtype} of shape {tuple(tensor.shape)}, expected float64 of "
                    f"shape {tuple(shapes[name])}"
                )
            if not tensor.isfinite().all():
                raise InputError(f"{name} holds values that are not finite")
        if not (tensors["variance"] > 0).all():
            raise InputError("variance holds values that are not positive")
        if (rotation := tensors.get("rotation")) is not None:
            # One vector tells for less than the product of two matrices would cost.
            vector = torch.arange(components, dtype=torch.float64).sin() + 0.5
            back = rotation.T @ (rotation @ vector)
            if not torch.allclose(back, vector, rtol=0, atol=1e-6 * components**0.5):
                raise InputError("rotation is not orthogonal")
        return cls(**tensors)


class Representation(nn.Module):
    """The map between images phi in [-1, 1] and components chi, and its scale.

    Its buffers lie on the device of the model, so that no step copies from the host; `statistics`
    and what is a number stay on the host.

    Args:
        basis: the orthogonal part U.
        statistics: of the training set.
        whitened: True for the variance-matching prior, S_i = sqrt(Sigma_i); False for S = 1.
        precision: of `mean` and `scale`; that of the images to be mapped.

    Attributes:
        mean: mean image, shape (channels, height, width).
        scale: S_i, shape (components,), as all below.
        log_data_variance: log Sigma_i, the variances of the data before any whitening; float64.
        log_variance: log V_i, the variances of the components as they are diffused; float64.
        frequency, columns, groups: of the basis; None where it has none.
        channels: that a state has: those of the images, over those that the basis mixes.
        least_log_variance, largest_log_variance, least_log_data_variance: extremes of these two.
        log_det: log|det S^-1| over all channels: what log p(chi) adds to give log p(phi).
    """

    mean: Tensor
    scale: Tensor
    log_data_variance: Tensor
    log_variance: Tensor
    frequency: Tensor | None
    columns: Tensor | None
    groups: Tensor | None

    def __init__(
        self,
        basis: Basis,
        statistics: Statistics,
        whitened: bool,
        precision: torch.dtype = torch.float64,
    ):
        super().__init__()
        self.basis, self.statistics, self.whitened = basis, statistics, whitened
        variance, log_data_variance = statistics.variance, statistics.variance.log()
        log_variance = torch.zeros_like(log_data_variance) if whitened else log_data_variance
        scale = variance.sqrt() if whitened else torch.ones_like(variance)
        buffers = {
            "mean": statistics.mean.to(precision),
            "scale": scale.to(precision),
            "log_data_variance": log_data_variance,
            "log_variance": log_variance,
            "frequency": basis.frequency,
            "columns": basis.columns,
            "groups": basis.groups,
        }
        for name, value in buffers.items():
            self.register_buffer(name, value, persistent=False)
        self.least_log_variance = float(log_variance.min())
        self.largest_log_variance = float(log_variance.max())
        self.least_log_data_variance = float(log_data_variance.min())
        self.channels = len(statistics.mean) // basis.mixed
        self.log_det = -float(scale.log().sum()) * self.channels

    @property
    def labels(self) -> Float[Tensor, " components"]:
        """Position labels for the network (App. A): the basis' own, or else -log Sigma_i."""
        labels = self.basis.labels
        return -self.log_data_variance if labels is None else labels

    def encode(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch state_channels components"]:
        """Components S^-1 U (phi - mean) of images phi in [-1, 1]."""
        return self.basis.forward(images - self.mean.to(images)) / self.scale.to(images)

    def decode(
        self, components: Float[Tensor, "batch state_channels components"]
    ) -> Float[Tensor, "batch channels height width"]:
        """Images U^T S chi + mean."""
        images = self.basis.inverse(components * self.scale.to(components))
        return images + self.mean.to(images)
