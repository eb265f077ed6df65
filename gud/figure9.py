"""Figure 9: samples at one random key over the softness, by the ODE and by the SDE."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from matplotlib.figure import Figure

from gud.errors import InputError
from gud.figure_images import load_arrays, show
from gud.figure_style import WIDTH, Labels, small_print, style
from gud.points import checked_record
from gud.settings import NonNegative

METHODS = {"ode": "ODE", "euler_maruyama": "SDE", "ancestral": "SDE (ancestral)"}
"""The rows of the figure, from the top, by the method of the samples."""


class Figure9(Labels):
    """Settings: number of the image, which selects the random key."""

    image: NonNegative


@dataclass(frozen=True)
class Samples:
    """Images of `gud.sample`, and how they were drawn."""

    path: Path
    images: UInt8[np.ndarray, "count 3 height width"]
    method: str
    a: float
    origin: tuple[str, int]
    """The experiment and the seed, which all samples of a figure share."""


def load_samples(path: Path) -> Samples:
    """Samples and, from their record, the method, a, experiment and seed."""
    images = load_arrays(path, ("images",))["images"]
    settings = checked_record(path)["settings"]
    try:
        origin = settings["experiment"], settings["seed"]
        method, a = settings["sampling"]["method"], settings["parameters"]["a"]
    except KeyError as error:
        raise InputError(f"the record of {path} gives no {error.args[0]}") from None
    if method not in METHODS:
        raise InputError(f"{path} was drawn by {method!r}, which must be one of {list(METHODS)}")
    return Samples(path, images, method, a, origin)


@style()
def draw_figure9(samples: list[Samples], labels: Figure9) -> Figure:
    """The same image over a, in a row for each method that there are samples of."""
    cells = grid(samples, labels.image)
    methods = [method for method in METHODS if any(key[0] == method for key in cells)]
    values = sorted({a for _, a in cells})
    size = min(1.1, (WIDTH - 0.4) / len(values))
    figure = Figure(
        figsize=(max(3.2, size * len(values) + 0.4), size * len(methods) + 0.7),
        layout="constrained",
    )
    axes = figure.subplots(len(methods), len(values), squeeze=False)
    for row, method in zip(axes, methods, strict=True):
        for axis, a in zip(row, values, strict=True):
            show(axis, cells[method, a])
        row[0].set_ylabel(METHODS[method])
    for axis, a in zip(axes[0], values, strict=True):
        axis.set_title(f"${a:g}$")
    axes[0, 0].set_title(f"$a = {values[0]:g}$")
    small_print(
        figure,
        f"{labels.data_note} Image {labels.image} of the samples: the same draw from the prior "
        "everywhere and the same noise of the steps along a row.",
        labels.stand_in_note,
    )
    return figure


def grid(samples: list[Samples], image: int) -> dict[tuple[str, float], np.ndarray]:
    """The image of each method and a; `InputError` if they do not fill one table."""
    if len(origins := {sample.origin for sample in samples}) != 1:
        raise InputError(f"figure9 needs samples of one experiment and seed, not {sorted(origins)}")
    cells: dict[tuple[str, float], np.ndarray] = {}
    for sample in samples:
        key = sample.method, sample.a
        if key in cells:
            raise InputError(f"figure9 got samples by {key[0]} at a = {key[1]:g} twice")
        if image >= len(sample.images):
            raise InputError(
                f"image = {image} must be less than the {len(sample.images)} of {sample.path}"
            )
        cells[key] = sample.images[image]
    missing = {(m, a) for m, _ in cells for _, a in cells} - cells.keys()
    if missing:
        method, a = min(missing)
        raise InputError(f"figure9 has no samples by {method} at a = {a:g}")
    return cells
