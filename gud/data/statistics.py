"""What a representation needs to know of a training set: mean, variances, principal components."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gud.cli import input_option, out_option
from gud.config.sections.bases import (
    BasisSettings,
    PrincipalBasis,
    PrincipalComponents,
    WaveletBasis,
    basis_of,
)
from gud.config.sections.validation import validate
from gud.data import datasets
from gud.data.blocks import centred, load_mean, mean_image
from gud.data.principal_components import principal_components
from gud.diffusion.bases import Basis
from gud.diffusion.dequantisation import DEQUANTISATION_VARIANCE
from gud.diffusion.representation import Statistics
from gud.errors import InputError
from gud.provenance import read_tensors, write_record, write_tensors

EIGENVECTORS = PrincipalComponents(solver="covariance_eigh", components=None)


def load(path: str | Path, basis: BasisSettings | None = None) -> Statistics:
    """The statistics in a file.

    Args:
        basis: that they must have been fitted for; None for any.

    Raises:
        InputError: the file holds no statistics, or those of another basis.
    """
    try:
        tensors, metadata = read_tensors(path)
        fitted = json.loads(metadata["basis"])
        found = Statistics.from_tensors(tensors)
    except FileNotFoundError:
        raise InputError(f"statistics {path} do not exist") from None
    except KeyError:
        raise InputError(
            f"{path} does not say the basis of its statistics: fit them again"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is not a file of statistics: {error}") from None
    if basis is not None and fitted != (wanted := basis.model_dump(mode="json")):
        raise InputError(f"statistics {path} are of another basis, {fitted}, expected {wanted}")
    return found


def save(path: str | Path, statistics: Statistics, basis: BasisSettings) -> None:
    """Write statistics, and the basis that they were fitted for, to one safetensors file."""
    write_tensors(path, statistics.tensors(), {"basis": basis.model_dump_json()})


def fit(
    images: UInt8[Tensor, "count channels height width"],
    basis: BasisSettings | str,
    *,
    mean: Float[Tensor, "channels height width"] | None = None,
    mirrored: bool = False,
    principal: PrincipalComponents = EIGENVECTORS,
) -> Statistics:
    """Mean image, component variances and what else the basis needs to know of a training set.

    The average over the uniform dequantisation noise is taken in closed form: it shifts the mean by
    half a grey level and adds the same variance to each component of any orthogonal basis. Memory
    is bounded by a block of images, but for that of principal components.

    Args:
        images: the training set.
        basis: that components are taken in, or its name, such as `pca` or `haar3`.
        mean: mean image of the training set, if it is known already.
        mirrored: whether all is of the images and their mirror images alike, as a training that
            flips sees them.
        principal: how principal components are fitted.
    """
    if images.shape[2] != images.shape[3]:
        raise InputError(f"images of shape {tuple(images.shape[1:])} are not square")
    basis = basis_of(basis) if isinstance(basis, str) else basis
    mean = mean_image(images) if mean is None else mean
    mean = (mean + mean.flip(-1)) / 2 if mirrored else mean
    rotation = low_pass = None
    if isinstance(basis, PrincipalBasis):
        rotation = principal_components(images, mean, mirrored, principal, basis.colours)
    elif isinstance(basis, WaveletBasis):
        low_pass = wavelet_filter(basis.wavelet)
    transform = basis.build(images.shape[-1], rotation, low_pass)
    variance = component_variance(images, transform, mean, mirrored)
    return Statistics(mean, variance, rotation, low_pass)


def component_variance(
    images: UInt8[Tensor, "count channels height width"],
    basis: Basis,
    mean: Float[Tensor, "channels height width"],
    mirrored: bool,
) -> Float[Tensor, " components"]:
    """Sigma_i of dequantised images: the variance of each component, averaged over the channels.

    Where the basis mixes the channels there is nothing to average over.

    Args:
        mean: the mean image; where `mirrored`, it should be its own mirror image.
        mirrored: whether the mirror images count alike.
    """
    squares = torch.zeros(images[0, 0].numel() * basis.mixed, dtype=torch.float64)
    for block in centred(images, mean, mirrored):
        squares += basis.forward(block).square().mean(1).sum(0)
    variance = squares / (len(images) * (1 + mirrored)) + DEQUANTISATION_VARIANCE
    if basis.partners is not None:
        variance = (variance + variance[basis.partners]) / 2
    return variance


def wavelet_filter(name: str) -> Float[Tensor, " taps"]:
    """The low-pass decomposition filter of a wavelet of PyWavelets."""
    import pywt

    return torch.tensor(pywt.Wavelet(name).dec_lo, dtype=torch.float64)


@click.command()
@click.option("--basis", required=True, help="Such as pca, fourier, haar3 or db2-3.")
@click.option("--mirrored", is_flag=True, help="Include the mirror images.")
@click.option("--solver", default=EIGENVECTORS.solver, help="Solver for the principal components.")
@click.option("--components", type=int, help="Number of them to fit; default: all.")
@input_option("--data", "A data set, .npz.")
@input_option("--mean", "Its mean image, .npy; computed if not given.", required=False)
@out_option()
def main(
    basis: str,
    mirrored: bool,
    solver: str,
    components: int | None,
    data: Path,
    mean: Path | None,
    out: Path,
) -> None:
    """Fit the mean image, a basis and the variances of its components to a training set."""
    started = time.time()
    fitted = basis_of(basis)
    settings: dict[str, Any] = {"basis": fitted.model_dump(), "mirrored": mirrored}
    chosen = {"solver": solver, "components": components}
    principal = validate(PrincipalComponents, chosen, "--solver and --components")
    if isinstance(fitted, PrincipalBasis):
        settings["principal_components"] = chosen
    images = datasets.load(data, "train")
    statistics = fit(
        images,
        fitted,
        mean=None if mean is None else load_mean(mean, images),
        mirrored=mirrored,
        principal=principal,
    )
    save(out, statistics, fitted)
    inputs = [path for path in (data, mean) if path is not None]
    write_record(out, inputs=inputs, settings=settings, started=started)
