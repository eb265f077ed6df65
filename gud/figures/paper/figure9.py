"""Figure 9: samples at one random key over the softness, by the ODE and by the SDE."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ConfigDict

from gud.config.figures import FigureSection, Labels
from gud.config.paths import point_files
from gud.config.sections.evaluation import Sampling
from gud.config.sections.experiments import Experiment, grid_faults
from gud.config.sections.points import Grid, points
from gud.config.sections.section import Name, NonNegative, Parameters, Section
from gud.config.sections.validation import Fault, validate
from gud.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import UInt8
    from matplotlib.figure import Figure

    from gud.config.preset import Preset

METHODS = {"ode": "ODE", "euler_maruyama": "SDE", "ancestral": "SDE (ancestral)"}
"""The rows of the figure, from the top, by the method of the samples."""


@dataclass(frozen=True)
class Samples:
    """Images of `gud.evaluate.samples`, and how they were drawn."""

    path: Path
    images: UInt8[np.ndarray, "count 3 height width"]
    method: str
    a: float
    origin: tuple[str, int]
    """The experiment and the seed, which all samples of a figure share."""


class Figure9(FigureSection):
    experiment: Name
    grids: list[Grid]
    sampling: Sampling
    image: NonNegative
    """Which of the samples is shown; it selects the random key."""

    title = "Figure 9: samples over softness by ODE and SDE"
    caption = (
        "Samples at one random key over the inverse softness a, by the ODE (top) and the SDE "
        "(bottom), in the Fourier basis with the prior of the data's power spectrum."
    )
    family = "soft_conditioning"

    def samples(self, experiment: Experiment) -> dict[str, tuple[list[Grid], Sampling]]:
        return {
            f"gallery-{method}": (self.grids, self.sampling.model_copy(update={"method": method}))
            for method in ("ode", self.sampling.method)
        }

    def claims(self, preset: Preset) -> Iterator[Fault]:
        schedule, found = preset.experiments[self.experiment].schedule, points(self.grids)
        yield from grid_faults(("grids",), self.grids, schedule)
        if not found or len({point["r"] for point in found.values()}) > 1:
            yield ("grids",), "must give values of a at one r"
        if self.sampling.method == "ode":
            yield (
                ("sampling", "method"),
                "= ode must name a sampler of the SDE: the ODE is drawn beside it anyway",
            )
        if self.image >= self.sampling.images:
            yield (
                ("image",),
                f"= {self.image} must be less than sampling.images = {self.sampling.images}",
            )

    def sampled(self, experiments: Mapping[str, Experiment]) -> list[str]:
        """The networks of all training seeds, for verdicts; the figure shows the first."""
        group = experiments[self.experiment].group
        return [name for name, experiment in experiments.items() if experiment.group == group]

    def sources(self, preset: Preset) -> list[str]:
        return self._drawn(preset, [self.experiment])

    def galleries(self, preset: Preset) -> list[str]:
        return self._drawn(preset, self.sampled(preset.experiments))

    def _drawn(self, preset: Preset, names: Sequence[str]) -> list[str]:
        return [
            file
            for name in names
            for quantity, (grids, _) in self.samples(preset.experiments[name]).items()
            for file in point_files([name], quantity, grids)
        ]

    def read(self, paths: Sequence[Path]) -> list[Samples]:
        if not paths:
            raise InputError("figure9 is drawn from one or more files, but was given none")
        return [load_samples(path) for path in paths]

    def draw(self, source: list[Samples], labels: Labels) -> Figure:
        """The same image over a, in a row for each method that there are samples of."""
        from matplotlib.figure import Figure

        from gud.figures.drawing.images import show
        from gud.figures.drawing.style import WIDTH, small_print

        cells = grid(source, self.image)
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
            f"{labels.data_note} Image {self.image} of the samples: the same draw from the prior "
            "everywhere and the same noise of the steps along a row.",
            labels.stand_in_note,
        )
        return figure


class _Method(Section):
    model_config = ConfigDict(extra="ignore")

    method: str


class _Drawn(Section):
    """The part of the settings of samples that the figure depends on."""

    model_config = ConfigDict(extra="ignore")

    experiment: str
    seed: int
    sampling: _Method
    parameters: Parameters


def load_samples(path: Path) -> Samples:
    """Samples and, from their record, the method, a, experiment and seed."""
    from gud.data.arrays import load_arrays
    from gud.provenance import checked_record

    images = load_arrays(path, {"images": "8 count 3 height width"})["images"]
    drawn = validate(_Drawn, checked_record(path)["settings"], f"the record of {path}")
    method, a = drawn.sampling.method, drawn.parameters.get("a")
    if a is None:
        raise InputError(f"the record of {path} gives no a")
    if method not in METHODS:
        raise InputError(f"{path} was drawn by {method!r}, which must be one of {list(METHODS)}")
    return Samples(path, images, method, a, (drawn.experiment, drawn.seed))


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
