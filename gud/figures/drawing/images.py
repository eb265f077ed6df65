"""Images in figures: read from npz artefacts and shown pixel by pixel."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float, Shaped
from matplotlib.axes import Axes

from gud.errors import InputError
from gud.report.points import NOT_NPZ

Arrays = dict[str, np.ndarray]


def load_arrays(path: Path, kinds: Mapping[str, str]) -> Arrays:
    """Arrays of an npz file.

    Args:
        kinds: what each must be: its kind, as numpy's `dtype.kind` but "8" for 8 bits, and its
            axes, of which those of the same name have the same length, and at least 1 unless the
            name ends in 0. A number stands for itself.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in kinds}
    except KeyError as error:
        raise InputError(f"{path} must hold {', '.join(kinds)}: {error.args[0]}") from None
    except NOT_NPZ as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    lengths: dict[str, int] = {}
    for name, array in arrays.items():
        kind, *axes = kinds[name].split()
        found = "8" if array.dtype == np.uint8 else array.dtype.kind
        known = [int(axis) if axis.isdigit() else lengths.get(axis) for axis in axes]
        fits = array.ndim == len(axes) and all(
            size == wanted if wanted is not None else size > 0 or axis.endswith("0")
            for axis, size, wanted in zip(axes, array.shape, known, strict=True)
        )
        if found != kind or not fits:
            raise InputError(
                f"{name} of {path} is {array.dtype} of shape {array.shape}, expected "
                f"{'uint8' if kind == '8' else f'kind {kind}'} of shape ({', '.join(axes)})"
            )
        if not np.isfinite(array).all():
            raise InputError(f"{name} of {path} holds values that are not finite")
        lengths |= dict(zip(axes, array.shape, strict=True))
    return arrays


def picture(image: Shaped[np.ndarray, "3 height width"]) -> Float[np.ndarray, "height width 3"]:
    """Colours in [0, 1] of an image in 8 bits, or of one in [-1, 1], clipped."""
    levels = image / 255 if image.dtype == np.uint8 else (image.astype(np.float64) + 1) / 2
    return np.moveaxis(levels.clip(0, 1), 0, -1)


def show(axis: Axes, image: Shaped[np.ndarray, "3 height width"]) -> None:
    """An image without frame, ticks or interpolation."""
    axis.imshow(picture(image), interpolation="nearest")
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set(visible=False)
