"""Figure 8: partly noised test images and their reconstructions."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from gud.figure_images import Arrays, load_arrays, show
from gud.figure_style import WIDTH, Labels, small_print, style


class Figure8(Labels):
    pass


def load_reconstructions(path: Path) -> Arrays:
    """What `gud.reconstruct` writes."""
    names = ("original", "noised", "reconstructions", "index", "time")
    return load_arrays(path, names)


@style()
def draw_figure8(arrays: Arrays, labels: Figure8) -> Figure:
    """One row an image: the original, as noised to t, reconstructions with several keys."""
    reconstructions = arrays["reconstructions"]
    count, keys = reconstructions.shape[:2]
    size = min(1.0, (WIDTH - 0.3) / (keys + 2))
    figure = Figure(figsize=(size * (keys + 2) + 0.3, size * count + 0.6), layout="constrained")
    axes = figure.subplots(count, keys + 2, squeeze=False)
    for row, original, noised, found in zip(
        axes, arrays["original"], arrays["noised"], reconstructions, strict=True
    ):
        for axis, image in zip(row, (original, noised, *found), strict=True):
            show(axis, image)
    axes[0, 0].set_title("test image")
    axes[0, 1].set_title(f"$t = {float(arrays['time']):g}$")
    for key, axis in enumerate(axes[0, 2:], 1):
        axis.set_title(f"key {key}")
    numbers = ", ".join(str(number) for number in arrays["index"])
    small_print(
        figure,
        f"{labels.data_note} Images {numbers} of the test split. Noised values are clipped.",
        labels.stand_in_note,
    )
    return figure
