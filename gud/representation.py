"""Components chi = S^-1 U phi of a data set: mean, basis U, variances Sigma, scale S (section 4.1).

python -m gud.representation --settings JSON --data DATA.npz --out FILE.safetensors
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, UInt8
from safetensors.torch import load_file, save_file
from torch import Tensor

from gud import data
from gud.bases import PCA, Basis, Fourier, Haar, Pixel
from gud.errors import command_line
from gud.provenance import atomic, write_record


@dataclass(frozen=True)
class Statistics:
    """What a representation needs to know of the (dequantised) training set, in double precision.

    Args:
        mean: mean image, shape (channels, height, width).
        variance: Sigma_i = variance of component i before whitening, averaged over the channels,
            shape (components,).
        rotation: rows are principal components, shape (components, pixels); None for other bases.
    """

    mean: Float[Tensor, "channels height width"]
    variance: Float[Tensor, " components"]
    rotation: Float[Tensor, "components pixels"] | None = None

    def tensors(self) -> dict[str, Tensor]:
        tensors = {"mean": self.mean, "variance": self.variance}
        return tensors if self.rotation is None else tensors | {"rotation": self.rotation}

    @staticmethod
    def load(path: str | Path) -> Statistics:
        return Statistics(**load_file(path))


@dataclass(frozen=True)
class Representation:
    """The map between images phi in [-1, 1] and components chi, and its scale.

    Args:
        basis: the orthogonal part U.
        statistics: of the training set.
        whitened: True for the variance-matching prior, S_i = sqrt(Sigma_i); False for S = 1.
    """

    basis: Basis
    statistics: Statistics
    whitened: bool

    @property
    def log_sigma(self) -> Float[Tensor, " components"]:
        """log Sigma_i, the variances of the data before any whitening."""
        return self.statistics.variance.log()

    @property
    def log_variance(self) -> Float[Tensor, " components"]:
        """log V_i, the variances of the components as they are diffused."""
        return torch.zeros_like(self.log_sigma) if self.whitened else self.log_sigma

    @property
    def labels(self) -> Float[Tensor, " components"]:
        """Position labels for the network (App. A): the basis' own, or else -log Sigma_i."""
        labels = self.basis.labels
        return -self.log_sigma if labels is None else labels

    @property
    def scale(self) -> Float[Tensor, " components"]:
        """S_i."""
        variance = self.statistics.variance
        return variance.sqrt() if self.whitened else torch.ones_like(variance)

    @property
    def log_det(self) -> float:
        """log|det S^-1| over all channels: what log p(chi) adds to give log p(phi)."""
        return -float(self.scale.log().sum()) * len(self.statistics.mean)

    def encode(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels components"]:
        """Components S^-1 U (phi - mean) of images phi in [-1, 1]."""
        return self.basis.forward(images - self.statistics.mean.to(images)) / self.scale.to(images)

    def decode(
        self, components: Float[Tensor, "batch channels components"]
    ) -> Float[Tensor, "batch channels height width"]:
        """Images U^T S chi + mean."""
        images = self.basis.inverse(components * self.scale.to(components))
        return images + self.statistics.mean.to(images)


def basis_from_settings(
    settings: dict[str, Any], image_size: int, rotation: Tensor | None = None
) -> Basis:
    """The basis named in `settings`; a PCA basis takes its rotation from the statistics."""
    match settings["name"]:
        case "pixel":
            return Pixel(image_size)
        case "fourier":
            return Fourier(image_size)
        case "haar":
            return Haar(image_size, settings["levels"])
        case "pca":
            if rotation is None:
                raise ValueError("a PCA basis needs the rotation that `fit` computes")
            return PCA(image_size, rotation)
    raise ValueError(f"unknown basis {settings['name']!r}")


def fit(
    images: UInt8[Tensor, "count channels height width"], settings: dict[str, Any]
) -> Statistics:
    """Mean image, component variances and, for PCA, the rotation of a training set.

    The average over the uniform dequantisation noise is taken in closed form: it shifts the mean by
    half a grey level and adds the same variance to each component of any orthogonal basis.
    """
    offset = data.DEQUANTISATION_OFFSET
    mean = images.mean(0, dtype=torch.float64) / 128 - 1 + offset
    rotation = None
    if settings["name"] == "pca":
        rotation = principal_components(images)
    basis = basis_from_settings(settings, images.shape[-1], rotation)
    squares = torch.zeros(images[0, 0].numel(), dtype=torch.float64)
    for block in images.split(4096):
        components = basis.forward(block.double() / 128 - 1 + offset - mean)
        squares += components.square().mean(1).sum(0)
    variance = squares / len(images) + data.DEQUANTISATION_VARIANCE
    return Statistics(mean, variance, rotation)


def principal_components(
    images: UInt8[Tensor, "count channels height width"],
) -> Float[Tensor, "components pixels"]:
    """Eigenvectors of the covariance of the channel averages (App. B), by decreasing variance.

    The entry of largest magnitude of each is positive.
    """
    grey = images.mean(1, dtype=torch.float64).flatten(1)
    rows = torch.linalg.eigh(torch.cov(grey.T)).eigenvectors.T.flip(0)
    largest = rows.gather(1, rows.abs().argmax(1, keepdim=True))
    return (rows * largest.sign()).contiguous()


@command_line
def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--settings", type=json.loads, required=True, help="basis, as JSON")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args(argv)
    started = time.time()
    statistics = fit(data.load(arguments.data, "train"), arguments.settings)
    with atomic(arguments.out) as temporary:
        save_file(statistics.tensors(), temporary)
    write_record(
        arguments.out, inputs=[arguments.data], settings=arguments.settings, started=started
    )


if __name__ == "__main__":
    sys.exit(main())
