"""The samples of the SDE and of the ODE that results are reported by: a table alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, model_validator

from gud.config.claims import experiments_of
from gud.config.figures import TableSection
from gud.config.paths import point_files, quality_folder
from gud.config.sections.evaluation import GridName, SamplerName, Sampling
from gud.config.sections.experiments import Experiment, grid_faults, quality_faults
from gud.config.sections.points import Grid, points
from gud.config.sections.section import Name, Positive, PositiveFloat, Section
from gud.config.sections.validation import Fault

if TYPE_CHECKING:
    from gud.config.preset import Preset


class Method(Section):
    """A sampler, and how often it evaluates the network.

    Args:
        steps: network evaluations of a method that steps along a grid.
        tolerances: relative and absolute ones of the method `ode`.
    """

    method: SamplerName
    grid: GridName = "uniform"
    steps: list[Positive] = []
    tolerances: list[PositiveFloat] = []

    @model_validator(mode="after")
    def _has_what_it_takes(self) -> Method:
        ode = self.method == "ode"
        if bool(self.tolerances) != ode or bool(self.steps) == ode:
            raise ValueError("the method ode takes tolerances, every other one takes steps")
        return self

    def of(self, own: Sampling) -> Iterator[Sampling]:
        """The settings of an experiment's samples with this sampler in place of its own."""
        named = {"method": self.method, "grid": self.grid}
        for steps in self.steps:
            yield own.model_copy(update=named | {"steps": steps})
        for tolerance in self.tolerances:
            yield own.model_copy(update=named | {"rtol": tolerance, "atol": tolerance})


class SdeAndOde(TableSection):
    """Samples at one point by several methods.

    Args:
        draws: images of each method.
    """

    experiments: list[Name]
    grids: list[Grid]
    draws: Positive
    methods: Annotated[list[Method], Field(min_length=1)]

    title = "Sample quality by the SDE and by the ODE"

    def samplings(self, experiment: Experiment) -> dict[str, Sampling]:
        """Settings of the samples by their quantity: `samples` for those that are drawn anyway."""
        own = experiment.quality.sampling
        drawn = points(self.grids).keys() <= points(experiment.quality.grids).keys()
        found = {}
        for method in self.methods:
            for sampling in method.of(own.model_copy(update={"images": self.draws})):
                as_own = drawn and sampling == own
                found["samples" if as_own else f"samples-{_name(sampling)}"] = sampling
        return found

    def samples(self, experiment: Experiment) -> dict[str, tuple[list[Grid], Sampling]]:
        samplings = self.samplings(experiment).items()
        return {name: (self.grids, one) for name, one in samplings if name != "samples"}

    def claims(self, preset: Preset) -> Iterator[Fault]:
        if len(points(self.grids)) != 1:
            yield ("grids",), f"gives {len(points(self.grids))} points, but the figure shows one"
        for name, experiment in experiments_of(self, preset).items():
            yield from grid_faults(("grids",), self.grids, experiment.schedule)
            for sampling in self.samplings(experiment).values():
                task = {"grids": self.grids, "sampling": sampling}
                for keys, what in quality_faults(experiment.quality.model_copy(update=task)):
                    why = f"{'.'.join(keys)} {what}"
                    yield ("draws",), f"= {self.draws} does not serve {name}: {why}"

    def likelihoods(self, preset: Preset) -> list[str]:
        return []

    def scales(self, preset: Preset) -> list[str]:
        return []

    def qualities(self, preset: Preset) -> list[str]:
        return [
            file
            for name, experiment in experiments_of(self, preset).items()
            for quantity in self.samplings(experiment)
            for file in point_files([name], quality_folder(quantity), self.grids, "json")
        ]


def _name(sampling: Sampling) -> str:
    """What file names call a sampler, with its evaluations or tolerance and its images."""
    if sampling.method == "ode":
        return f"ode-{sampling.rtol:g}-{sampling.images}"
    return f"{sampling.method}-{sampling.grid}-{sampling.steps}-{sampling.images}"
