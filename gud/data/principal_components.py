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
    colours: bool = False,
) -> Float[Tensor, "components components"]:
    """Eigenvectors of the covariance of the channel averages (App. B), by decreasing variance.

    The entry of largest magnitude of each is positive. Where fewer than all are fitted, others
    complete them to an orthogonal basis.

    Args:
        images: the training set.
        mean: mean image.
        mirrored: whether the covariance is that of the images and their mirror images.
        settings: the solvers `full`, `covariance_eigh` and `randomized` of scikit-learn's PCA take
            the images as one array in double precision; `incremental` takes blocks of at least
            as many images as components, and gives the same components but for rounding, if all
            are fitted.
        colours: whether they are of all channels together, in place of the averages.
    """
    size, rows = images[0, 0].numel() * (images.shape[1] if colours else 1), len(images)
    rows, wanted = rows * (1 + mirrored), settings.components
    if wanted is not None and wanted > min(rows, size):
        raise InputError(
            f"principal_components.components = {wanted} is more than {rows} images of {size} "
            f"{'values' if colours else 'pixels'} have"
        )

    def vectors(least: int = 1) -> Iterator[Float[np.ndarray, "block components"]]:
        for block in centred(images, mean, mirrored, least):
            yield (block if colours else block.mean(1)).flatten(1).numpy()

    if settings.solver == "incremental":
        found = _incremental(vectors(min(wanted or size, len(images))), wanted)
    else:
        found = _at_once(vectors(), np.empty((rows, size)), settings)
    return _complete(torch.from_numpy(found))


def _at_once(
    blocks: Iterator[np.ndarray], together: np.ndarray, settings: PrincipalComponents
) -> np.ndarray:
    from sklearn.decomposition import PCA

    first = 0
    for rows in blocks:
        together[first : first + len(rows)] = rows
        first += len(rows)
    fitted = PCA(settings.components, svd_solver=settings.solver, random_state=0).fit(together)
    return fitted.components_


def _incremental(blocks: Iterator[np.ndarray], wanted: int | None) -> np.ndarray:
    from sklearn.decomposition import IncrementalPCA

    found = IncrementalPCA(wanted)
    for rows in blocks:
        found.partial_fit(rows)
    return found.components_


def _complete(rows: Float[Tensor, "fitted all"]) -> Float[Tensor, "all all"]:
    """Orthonormal rows followed by others that complete them to a basis, each of fixed sign."""
    if len(rows) < rows.shape[1]:
        others = torch.linalg.qr(rows.T, mode="complete")[0].T[len(rows) :]
        rows = torch.cat([rows, others])
    largest = rows.gather(1, rows.abs().argmax(1, keepdim=True))
    return (rows * largest.sign()).contiguous()
