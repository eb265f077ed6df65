"""Principal components of a set of images, fitted by scikit-learn."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gud.config.sections.bases import PrincipalComponents
from gud.data.blocks import centred
from gud.errors import InputError


def principal_components(
    images: UInt8[Tensor, "count channels height width"],
    mean: Float[Tensor, "channels height width"],
    mirrored: bool,
    settings: PrincipalComponents,
) -> Float[Tensor, "components pixels"]:
    """Eigenvectors of the covariance of the channel averages (App. B), by decreasing variance.

    The entry of largest magnitude of each is positive. Where fewer than one for each pixel are
    fitted, others complete them to an orthogonal basis.

    Args:
        images: the training set.
        mean: mean image.
        mirrored: whether the covariance is that of the images and their mirror images.
        settings: the solvers `full`, `covariance_eigh` and `randomized` of scikit-learn's PCA take
            the grey images as one array in double precision; `incremental` takes blocks of at least
            as many images as components, and gives the same components but for rounding, if all
            are fitted.
    """
    pixels, rows = images[0, 0].numel(), len(images) * (1 + mirrored)
    wanted = settings.components
    if wanted is not None and wanted > min(rows, pixels):
        raise InputError(
            f"principal_components.components = {wanted} is more than {rows} images of {pixels} "
            f"pixels have"
        )
    fit = _incremental if settings.solver == "incremental" else _at_once
    return _complete(torch.from_numpy(fit(images, mean, mirrored, settings)))


def _at_once(images: Tensor, mean: Tensor, mirrored: bool, settings: PrincipalComponents):
    from sklearn.decomposition import PCA

    grey = np.empty((len(images) * (1 + mirrored), images[0, 0].numel()))
    first = 0
    for rows in _grey(centred(images, mean, mirrored)):
        grey[first : first + len(rows)] = rows
        first += len(rows)
    return (
        PCA(settings.components, svd_solver=settings.solver, random_state=0).fit(grey).components_
    )


def _incremental(images: Tensor, mean: Tensor, mirrored: bool, settings: PrincipalComponents):
    from sklearn.decomposition import IncrementalPCA

    least = min(settings.components or images[0, 0].numel(), len(images))
    found = IncrementalPCA(settings.components)
    for rows in _grey(centred(images, mean, mirrored, least)):
        found.partial_fit(rows)
    return found.components_


def _grey(
    images: Iterator[Float[Tensor, "block channels height width"]],
) -> Iterator[Float[np.ndarray, "block pixels"]]:
    return (block.mean(1).flatten(1).numpy() for block in images)


def _complete(rows: Float[Tensor, "fitted pixels"]) -> Float[Tensor, "pixels pixels"]:
    """Orthonormal rows followed by others that complete them to a basis, each of fixed sign."""
    if len(rows) < rows.shape[1]:
        others = torch.linalg.qr(rows.T, mode="complete")[0].T[len(rows) :]
        rows = torch.cat([rows, others])
    largest = rows.gather(1, rows.abs().argmax(1, keepdim=True))
    return (rows * largest.sign()).contiguous()
