"""Images in figures, shown pixel by pixel."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Shaped
from matplotlib.axes import Axes


def picture(image: Shaped[np.ndarray, "3 height width"]) -> Float[np.ndarray, "height width 3"]:
    """Colours in [0, 1] of an image in 8 bits, or of one in [-1, 1], clipped."""
    levels = image / 255 if image.dtype == np.uint8 else (image.astype(np.float64) + 1) / 2
    return np.moveaxis(levels.clip(0, 1), 0, -1)


def show(axis: Axes, image: Shaped[np.ndarray, "3 height width"]) -> None:
    """An image without frame, ticks or interpolation."""
    axis.imshow(picture(image), interpolation="nearest")
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set(visible=False)
