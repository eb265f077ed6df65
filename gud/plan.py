"""What a preset evaluates, and the jobs that compute it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gud.preset import Grid, Preset, points
from gud.settings import Parameters
from gud.tasks import Likelihood, Ranges, Sampling


@dataclass(frozen=True)
class Evaluation:
    """One quantity at all points of one experiment.

    Args:
        experiment: its name.
        name: of the quantity and its folder: `nll`, `samples` or `gallery-METHOD`.
        points: by identifier, such as `a=0.4_r=0`.
        settings: how it is computed; `batch_size` images are computed together.
        common: the settings that every point shares, as JSON values.
    """

    experiment: str
    name: str
    points: dict[str, Parameters]
    settings: Likelihood | Sampling
    common: dict[str, Any]

    def jobs(self, batches: int) -> list[Ranges]:
        """The work in jobs of `batches` batches: the range of images of each point in a job."""
        images, size = self.settings.images, self.settings.batch_size
        work = [(point, start) for point in self.points for start in range(0, images, size)]
        jobs = []
        for first in range(0, len(work), batches):
            job: Ranges = {}
            for point, start in work[first : first + batches]:
                begin, _ = job.get(point, (start, start))
                job[point] = (begin, min(start + size, images))
            jobs.append(job)
        return jobs


def evaluations(preset: Preset) -> Iterator[Evaluation]:
    """All that is computed at points of schedules, but for the applications of Figures 7 and 8."""
    for name, experiment in preset.experiments.items():
        asked: list[tuple[str, list[Grid], Likelihood | Sampling]] = [
            ("nll", experiment.nll.grids, experiment.nll.settings),
            ("samples", experiment.quality.grids, experiment.quality.sampling),
        ]
        gallery = preset.figures.figure9
        if gallery and gallery.experiment == name:
            for method in ("ode", gallery.sampling.method):
                sampling = gallery.sampling.model_copy(update={"method": method})
                asked.append((f"gallery-{method}", gallery.grids, sampling))
        for quantity, grids, settings in asked:
            section = "likelihood" if isinstance(settings, Likelihood) else "sampling"
            common = {"experiment": name, "prior": experiment.prior, "seed": preset.seed}
            common[section] = settings.model_dump()
            yield Evaluation(name, quantity, points(grids), settings, common)
