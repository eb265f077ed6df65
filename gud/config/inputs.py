"""The files that each job of a preset reads, in the folder of its results or of downloads."""

from __future__ import annotations

from gud.config import paths
from gud.config.figures import FigureSection, ShownSection, TableSection, figure_of
from gud.config.jobs import get_data, get_evaluation, get_experiment, model_of, network_of
from gud.config.preset import Preset
from gud.errors import InputError


def archives(preset: Preset, data: str) -> list[str]:
    """The downloads that a data set is made of."""
    names = get_data(preset, data).archive_names
    return [preset.downloads[name].kept for name in names]


def weights(preset: Preset, experiment: str) -> list[str]:
    """The download of the weights that features of samples are taken with, if it has any."""
    name = get_experiment(preset, experiment).quality.metric.weights
    return [preset.downloads[name].kept] if name else []


def data(preset: Preset, experiment: str) -> str:
    return paths.data_file(get_experiment(preset, experiment).data)


def statistics(preset: Preset, experiment: str) -> str:
    return paths.experiment_statistics(get_experiment(preset, experiment))


def model(preset: Preset, experiment: str) -> str:
    """What is evaluated for an experiment."""
    return model_of(preset, experiment)


def searched(preset: Preset, experiment: str) -> str:
    """The network for which a path is searched."""
    return paths.model_file(network_of(preset, experiment))


def test_images(preset: Preset, experiment: str, quantity: str) -> list[str]:
    """The data set of an experiment, for likelihoods; samples need none."""
    return [data(preset, experiment)] if quantity == "nll" else []


def evaluated(preset: Preset, experiment: str, quantity: str) -> list[str]:
    """What a quantity is computed from."""
    return [model(preset, experiment), *test_images(preset, experiment, quantity)]


def jobs_of_point(preset: Preset, experiment: str, quantity: str, point: str) -> list[str]:
    """The receipts of the jobs that compute the shards of a point."""
    evaluation = get_evaluation(preset, experiment, quantity)
    evaluation.point(point)
    return [
        paths.job_file(experiment, quantity, name)
        for name, ranges in evaluation.jobs().items()
        if point in ranges
    ]


def table(preset: Preset, figure: str) -> TableSection:
    """A figure that has a table behind it; `InputError` if it has none."""
    found = preset.figures.named().get(figure)
    if not isinstance(found, TableSection):
        raise InputError(f"the preset has no table {figure} in its section figures")
    return found


def likelihoods(preset: Preset, figure: str) -> list[str]:
    return table(preset, figure).likelihoods(preset)


def qualities(preset: Preset, figure: str) -> list[str]:
    return table(preset, figure).qualities(preset)


def scales(preset: Preset, figure: str) -> list[str]:
    return table(preset, figure).scales(preset)


def sources(preset: Preset, figure: str) -> list[str]:
    return figure_of(preset, figure).sources(preset)


def summarised(preset: Preset, summary: str) -> dict[str, ShownSection]:
    """The figures and tables of a summary: all, or those of `quick`, a first look."""
    named = preset.figures.named()
    return {name: named[name] for name in named if summary != "quick" or name in preset.quick}


def tables(preset: Preset, summary: str) -> list[str]:
    named = summarised(preset, summary).items()
    return [paths.table_file(name) for name, section in named if isinstance(section, TableSection)]


def all_tables(preset: Preset) -> list[str]:
    return tables(preset, "summary")


def figures(preset: Preset, summary: str) -> list[str]:
    named = summarised(preset, summary).items()
    return [
        paths.figure_file(name) for name, section in named if isinstance(section, FigureSection)
    ]


def verdict_tables(preset: Preset, quick: str) -> list[str]:
    return tables(preset, "quick" if quick else "summary")


def galleries(preset: Preset, quick: str) -> list[str]:
    """The images that verdicts read beside tables, which a first look does without."""
    named = {} if quick else summarised(preset, "summary")
    return [file for section in named.values() for file in section.galleries(preset)]


def targets(preset: Preset, summary: str) -> list[str]:
    """All that a preset makes, or its figures of a first look.

    The points are named beside the tables made from them, so that a deleted one is made again.
    """
    named = summarised(preset, summary)
    if not named:
        section = "quick" if summary == "quick" else "figures"
        raise InputError(f"nothing is named in its section {section}")
    made = [paths.summary_file(summary)]
    tabled = [name for name in named if isinstance(named[name], TableSection)]
    for name in tabled:
        made += [*likelihoods(preset, name), *qualities(preset, name)]
    if tabled:
        made.append(paths.summary_file("verdict-quick" if summary == "quick" else "verdict"))
    if summary == "summary":
        made += [paths.table_file("comparison"), *pictures(preset)]
    return made


def measured(preset: Preset, experiment: str) -> list[str]:
    """The likelihoods of an experiment at all its points."""
    return paths.point_files([experiment], "nll", get_experiment(preset, experiment).nll.grids)


def drawn(preset: Preset, experiment: str) -> list[str]:
    """The samples of an experiment at all its points."""
    return paths.point_files(
        [experiment], "samples", get_experiment(preset, experiment).quality.grids
    )


def pictures(preset: Preset) -> list[str]:
    """What there is to see of the data, and of the experiments that figures and tables show.

    Of these the bases that they are fitted to, the course of their training, and likelihoods and
    samples that are computed for a table in any case.
    """
    experiments = preset.experiments.values()
    centred = {paths.data_file(one.data, "png") for one in experiments}
    spectra = {
        paths.statistics_file(one.data, one.basis, one.training.flip, "png") for one in experiments
    }
    figures = preset.figures.named().values()
    shown = {name for figure in figures for name in figure.shown()}
    tabled = {
        name for figure in figures if isinstance(figure, TableSection) for name in figure.shown()
    }
    courses = {paths.picture_file(network_of(preset, name), "training") for name in shown}
    likely = {
        paths.picture_file(name, what)
        for name in tabled
        if measured(preset, name)
        for what in ("nll", "steps")
    }
    sampled = {paths.picture_file(name, "samples") for name in tabled if drawn(preset, name)}
    return sorted(centred | spectra | courses | likely | sampled)
