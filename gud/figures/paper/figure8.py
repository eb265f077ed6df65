"""Figure 8: partly noised test images and their reconstructions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gud.config.figures import ApplicationSection, Labels
from gud.config.sections.evaluation import ReconstructionSettings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gud.data.arrays import Arrays

ARRAYS = {
    "original": "8 images 3 height width",
    "noised": "f images 3 height width",
    "reconstructions": "8 images keys 3 height width",
    "index": "i images",
    "time": "f",
}
"""Kind and axes of what `gud reconstruct` writes."""


class Figure8(ApplicationSection):
    settings: ReconstructionSettings

    title = "Figure 8: reconstruction of partly noised images"
    caption = (
        "Test images, partially noised by the column-wise schedule, and reconstructions with "
        "several random keys."
    )
    family = "columns"
    made = "reconstructions"

    def images(self) -> dict[str, tuple[str, int]]:
        return {"settings.images": ("test", self.settings.images)}

    def read(self, paths: Sequence[Path]) -> Arrays:
        """What `gud.evaluate.applications.reconstruct` writes."""
        from gud.data.arrays import load_arrays

        (path,) = self.only(paths)
        return load_arrays(path, ARRAYS)

    def draw(self, source: Arrays, labels: Labels) -> Figure:
        """One row an image: the original, as noised to t, reconstructions with several keys."""
        from matplotlib.figure import Figure

        from gud.figures.drawing.images import show
        from gud.figures.drawing.style import WIDTH, small_print

        reconstructions = source["reconstructions"]
        count, keys = reconstructions.shape[:2]
        size = min(1.0, (WIDTH - 0.3) / (keys + 2))
        figure = Figure(figsize=(size * (keys + 2) + 0.3, size * count + 0.6), layout="constrained")
        axes = figure.subplots(count, keys + 2, squeeze=False)
        for row, original, noised, found in zip(
            axes, source["original"], source["noised"], reconstructions, strict=True
        ):
            for axis, image in zip(row, (original, noised, *found), strict=True):
                show(axis, image)
        axes[0, 0].set_title("test image")
        axes[0, 1].set_title(f"$t = {float(source['time']):g}$")
        for key, axis in enumerate(axes[0, 2:], 1):
            axis.set_title(f"key {key}")
        numbers = ", ".join(str(number) for number in source["index"])
        small_print(
            figure,
            f"{labels.data_note} Images {numbers} of the test split. Noised values are clipped.",
            labels.stand_in_note,
        )
        return figure
