"""Images in figures: read from npz artefacts and shown pixel by pixel."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from jaxtyping import Float, Shaped
from matplotlib.axes import Axes

from gud.errors import InputError

Arrays = dict[str, np.ndarray]


def load_arrays(path: Path, names: tuple[str, ...]) -> Arrays:
    """The named arrays of an npz file."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in names}
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    except KeyError as error:
        raise InputError(f"{path} must hold {', '.join(names)}: {error.args[0]}") from None


def picture(image: Shaped[np.ndarray, "3 height width"]) -> Float[np.ndarray, "height width 3"]:
    """Colours in [0, 1] of an image in 8 bits, or of one in [-1, 1], clipped."""
    levels = image / 255 if image.dtype == np.uint8 else (image.astype(np.float64) + 1) / 2
    return np.moveaxis(levels.clip(0, 1), 0, -1)


def show(axis: Axes, image: Shaped[np.ndarray, "3 height width"]) -> None:
    """An image without frame, ticks or interpolation."""
    axis.imshow(picture(image), interpolation="nearest")
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set(visible=False)
