"""Test images of which a part is given, completed by an unconditional network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gud.config.figures import ApplicationSection, Labels
from gud.config.sections.evaluation import InpaintingSettings
from gud.config.sections.validation import Fault

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float
    from matplotlib.figure import Figure

    from gud.config.preset import Preset
    from gud.data.arrays import Arrays

ARRAYS = {
    "original": "8 images 3 height width",
    "completions": "8 images keys 3 height width",
    "known": "8 height width",
    "index": "i images",
}
"""Kind and axes of what `gud inpaint` writes."""
MOST, MOST_KEYS = 4, 5
"""Images and completions that are drawn, the first ones."""
HIDDEN = 200
"""Grey level of what is not given."""


class Inpainting(ApplicationSection):
    settings: InpaintingSettings

    title = "Inpainting by an unconditional network"
    caption = (
        "Test images, the part of them that is given, and completions by a network that was "
        "trained on whole images, with several random keys."
    )
    made = "inpainted"

    def images(self) -> dict[str, tuple[str, int]]:
        return {"settings.sampling.images": ("test", self.settings.sampling.images)}

    def claims(self, preset: Preset) -> Iterator[Fault]:
        yield from super().claims(preset)
        if self.settings.sampling.method == "ode":
            where = ("settings", "sampling", "method")
            yield where, "= ode must name a sampler that goes in steps"

    def read(self, paths: Sequence[Path]) -> Arrays:
        """What `gud.evaluate.applications.inpaint` writes."""
        from gud.data.arrays import load_arrays

        (path,) = self.only(paths)
        return load_arrays(path, ARRAYS)

    def draw(self, source: Arrays, labels: Labels) -> Figure:
        """One row an image: the original, what is given of it, completions with several keys."""
        import numpy as np
        from matplotlib.figure import Figure

        from gud.figures.drawing.images import show
        from gud.figures.drawing.style import WIDTH, small_print

        known = source["known"].astype(bool)
        given = np.where(known, source["original"], np.uint8(HIDDEN))
        found = source["completions"][:MOST, :MOST_KEYS]
        count, keys = found.shape[:2]
        size = min(1.0, (WIDTH - 0.3) / (keys + 2))
        figure = Figure(figsize=(size * (keys + 2) + 0.3, size * count + 0.6), layout="constrained")
        axes = figure.subplots(count, keys + 2, squeeze=False)
        for row, *images, completed in zip(
            axes, source["original"][:MOST], given[:MOST], found, strict=True
        ):
            for axis, image in zip(row, (*images, *completed), strict=True):
                show(axis, image)
        for axis, title in zip(
            axes[0], ("test image", "given", *(f"key {k + 1}" for k in range(keys))), strict=True
        ):
            axis.set_title(title)
        small_print(figure, f"{labels.data_note} {_note(source)}", labels.stand_in_note)
        return figure


def distances(arrays: Arrays, shift: int = 0) -> Float[np.ndarray, " images"]:
    """Root mean square difference, in grey levels, between what is completed of each image and
    that part of an image: its own, or that of the image `shift` places after it."""
    import numpy as np

    hidden = arrays["known"] == 0
    original = np.roll(arrays["original"], -shift, 0)[:, None].astype(np.float64)
    difference = (arrays["completions"] - original)[..., hidden]
    return np.sqrt((difference**2).mean(axis=(1, 2, 3)))


def _note(arrays: Arrays) -> str:
    count, keys = arrays["completions"].shape[:2]
    note = f"{count} test images, {keys} completions of each."
    if count < 2:
        return note
    own, others = distances(arrays), distances(arrays, 1)
    gain = others - own
    error = gain.std(ddof=1) / count**0.5
    return (
        f"{note} What is completed lies {own.mean():.1f} grey levels (root mean square) from the "
        f"image that the rest was given of, and {others.mean():.1f} from another: "
        f"{gain.mean():.1f} ± {error:.1f} more."
    )
