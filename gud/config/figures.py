"""What every figure and table of a preset tells of itself before anything is computed.

Each is one module of `gud.figures.paper` or `gud.figures.further`, and a section of that name in
the presets that make it: its settings, what it claims of its data, the files that it is drawn from,
and the drawing. The preset reader, the workflow and the plans ask the sections, and name no figure.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import create_model

from gud.config.paths import point_files, scale_file
from gud.config.sections.bases import BasisSettings
from gud.config.sections.evaluation import Sampling
from gud.config.sections.experiments import Experiment, grid_faults
from gud.config.sections.points import Grid, points
from gud.config.sections.section import Name, Section
from gud.config.sections.validation import Fault
from gud.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gud.config.preset import Preset

ROOMS = ("gud.figures.paper", "gud.figures.further")
"""The packages whose modules are the figures, in the order in which they are listed."""
COMPUTED = {"data", "grids", "settings", "sampling"}
"""Keys of a figure that make what it shows; the others say how it is shown."""


class Labels(Section):
    """What the small print of a figure names: the data, and what stands in for the paper's."""

    dataset: str
    stand_in: str
    basis: BasisSettings | None = None
    gamma_denoise: float | None = None

    def record(self) -> dict[str, Any]:
        """As a record states them."""
        return self.model_dump(mode="json", exclude_none=True)

    @property
    def data(self) -> str:
        """The title of the data set, whose dollar signs are no mathematics."""
        return self.dataset.replace("$", r"\$")

    @property
    def data_note(self) -> str:
        basis = f", {self.basis_note} basis" if self.basis else ""
        return f"Data: {self.data}{basis}."

    @property
    def basis_note(self) -> str:
        return self.basis.title if self.basis else ""

    @property
    def stand_in_note(self) -> str:
        text = self.stand_in.replace("$", r"\$")
        return f"Stand-in: {text}." if text else ""


class ShownSection(Section):
    """A figure or table of a preset: a `FigureSection`, a `TableSection`, or both.

    title: in the metadata of its files.
    family: schedule family of the experiments that it may show; None for any.
    all_seeds: whether it shows the networks of all training seeds, or the first of each experiment.
    """

    title: ClassVar[str]
    family: ClassVar[str | None] = None
    all_seeds: ClassVar[bool] = False

    @classmethod
    def key(cls) -> str:
        """Its name in presets, on the command line and of its files: that of its module."""
        return cls.__module__.rpartition(".")[2]

    def shown(self) -> list[str]:
        """Names of the experiments that it shows."""
        one, several = getattr(self, "experiment", None), getattr(self, "experiments", [])
        return [one] if one else list(several)

    def data_shown(self, experiments: Mapping[str, Experiment]) -> str | None:
        """Name of the data set that it shows."""
        named = [experiments[name].data for name in self.shown()[:1]]
        return getattr(self, "data", None) or next(iter(named), None)

    def images(self) -> dict[str, tuple[str, int]]:
        """A split of its data set and the number of images that it needs, by the key that asks."""
        return {}

    def sampled(self, experiments: Mapping[str, Experiment]) -> list[str]:
        """Names of the experiments that `samples` are drawn from: those that it shows."""
        return self.shown()

    def galleries(self, preset: Preset) -> list[str]:
        """Images that verdicts read, beside the tables of the preset."""
        return []

    def samples(self, experiment: Experiment) -> dict[str, tuple[list[Grid], Sampling]]:
        """Samples of an experiment that are drawn for it alone, by quantity."""
        return {}

    def claims(self, preset: Preset) -> Iterator[Fault]:
        """Where it would misrepresent its data, or could not be drawn from them."""
        return iter(())


class FigureSection(ShownSection):
    """A figure of a preset; its module imports what it draws with only where it draws.

    caption: in the report of the workflow.
    """

    caption: ClassVar[str]

    def sources(self, preset: Preset) -> list[str]:
        """The files that it is drawn from, in the folder of the preset's results."""
        return []

    @abstractmethod
    def read(self, paths: Sequence[Path]) -> Any:
        """What `draw` takes from its sources."""

    @abstractmethod
    def draw(self, source: Any, labels: Labels) -> Figure:
        """The figure, drawn in the style of all."""

    def only(self, paths: Sequence[Path], number: int = 1) -> Sequence[Path]:
        """`paths`, if there are so many of them."""
        if len(paths) != number:
            raise InputError(
                f"{self.key()} is drawn from {number} file(s), but was given {len(paths)}"
            )
        return paths


class ApplicationSection(FigureSection):
    """A figure of what an experiment is put to, at one point, for this figure alone.

    made: folder of its artefacts.
    """

    made: ClassVar[str]

    experiment: Name
    grids: list[Grid]
    settings: Section

    def claims(self, preset: Preset) -> Iterator[Fault]:
        schedule = preset.experiments[self.experiment].schedule
        yield from grid_faults(("grids",), self.grids, schedule)
        if len(found := points(self.grids)) != 1:
            yield ("grids",), f"gives {len(found)} points, but the figure shows one"

    def sources(self, preset: Preset) -> list[str]:
        return point_files([self.experiment], self.made, self.grids)


class TableSection(ShownSection):
    """A table: experiments at all points that they are evaluated at."""

    def references(self) -> dict[str, str]:
        """The experiment that each is compared with, of those that are compared with one."""
        return {}

    def likelihoods(self, preset: Preset) -> list[str]:
        made = [(name, preset.experiments[name].nll.grids) for name in self.shown()]
        return [file for name, grids in made for file in point_files([name], "nll", grids)]

    def qualities(self, preset: Preset) -> list[str]:
        made = [(name, preset.experiments[name].quality.grids) for name in self.shown()]
        return [
            file for name, grids in made for file in point_files([name], "quality", grids, "json")
        ]

    def scales(self, preset: Preset) -> list[str]:
        """Of the first network of each experiment: the scale is that of its images."""
        made = {name: preset.experiments[name] for name in self.shown()}
        return [
            scale_file(name) for name in made if made[name].nll.grids and name == made[name].group
        ]


class NamedFigures(Section):
    """The figures and tables that a preset makes; those not named are not made."""

    def named(self) -> dict[str, ShownSection]:
        return {
            name: section for name in type(self).model_fields if (section := getattr(self, name))
        }


@functools.cache
def figure_sections() -> dict[str, type[ShownSection]]:
    """The section of every module of `ROOMS`, by its name; the paper's figures first."""
    found = {}
    for room in map(importlib.import_module, ROOMS):
        for name in sorted(module.name for module in pkgutil.iter_modules(room.__path__)):
            module = importlib.import_module(f"{room.__name__}.{name}")
            (found[name],) = (
                member
                for member in vars(module).values()
                if isinstance(member, type)
                and issubclass(member, ShownSection)
                and member.__module__ == module.__name__
            )
    return found


def figures_model() -> type[NamedFigures]:
    """The section `figures` of a preset, with a key for every figure that there is."""
    keys: dict[str, Any] = {
        name: (section | None, None) for name, section in figure_sections().items()
    }
    return create_model("Figures", __base__=NamedFigures, **keys)


def figure_of(preset: Preset, name: str) -> FigureSection:
    """The figure of that name; `InputError` if the preset does not make it."""
    figure = preset.figures.named().get(name)
    if not isinstance(figure, FigureSection):
        raise InputError(f"the preset has no {name} in its section figures")
    return figure


def labels_of(preset: Preset, figure: ShownSection) -> Labels:
    """What a figure needs to know of its preset besides the files that it shows."""
    data = figure.data_shown(preset.experiments)
    told: dict[str, Any] = {"dataset": preset.titles[data] if data else ""}
    for name in figure.shown()[:1]:
        experiment = preset.experiments[name]
        told |= {"basis": experiment.basis, "gamma_denoise": experiment.schedule.gamma_denoise}
    return Labels(stand_in=preset.stand_in, **told)


def figure_settings(figure: ShownSection, labels: Labels) -> dict[str, Any]:
    """All that determines a figure besides the files that it shows, as its record states it."""
    shown = figure.model_dump(mode="json", exclude=COMPUTED)
    return shown | labels.record()
