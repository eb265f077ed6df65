import json
from pathlib import Path
from types import SimpleNamespace

from snakemake.exceptions import WorkflowError

from gud.errors import InputError
from gud.preset import experiments_of, load_preset, points
from gud.settings import archive_names


def load_presets():
    """All presets of the folder `config/` (or of --config presets=FOLDER), validated."""
    folder = Path(config.get("presets", Path(workflow.basedir) / "config"))
    try:
        return {path.stem: load_preset(path) for path in sorted(folder.glob("*.yaml"))}
    except InputError as error:
        raise WorkflowError(str(error)) from None


PRESETS = load_presets()
TABLES = ["figure3", "figure5", "wavelets", "columns"]
FIGURES = [*(f"figure{number}" for number in range(2, 10)), "wavelets"]
NOT_DRAWN = {"data", "grids", "settings", "sampling"}
"""Keys of a figure's section that make what it shows."""


wildcard_constraints:
    preset="|".join(PRESETS) or "none",
    experiment=r"[a-z][a-z0-9_]*",
    data=r"[a-z][a-z0-9_]*",
    download=r"[a-z][a-z0-9_]*",
    file=r"[^/]+",
    basis=r"pixel|pca|fourier|haar[1-9]",
    summary="summary|quick",
    figure="|".join([*FIGURES, "columns"]),
    method="ode|euler_maruyama|ancestral",
    point=r"[a-z]+=[^/]+",


def preset_targets(name, summary="summary"):
    """All that a preset makes, or its figures of a first look with summary="quick".

    The points are named beside the tables made from them, so that a deleted one is made again.
    """
    if name not in PRESETS:
        return []
    tables = summary_names(SimpleNamespace(preset=name, summary=summary), TABLES)
    figures = [SimpleNamespace(preset=name, figure=table) for table in tables]
    points_of = [
        made(figure) for figure in figures for made in (figure_nll, figure_quality)
    ]
    return [f"<results>/{name}/{summary}.md", *sum(points_of, [])]


def get_figure(wildcards):
    figure = PRESETS[wildcards.preset].figures.named().get(wildcards.figure)
    if figure is None:
        raise WorkflowError(
            f"preset {wildcards.preset} has no {wildcards.figure} in its section figures"
        )
    return figure


def as_json(value):
    return json.dumps(value, sort_keys=True)


def get_experiment(wildcards):
    preset = PRESETS[wildcards.preset]
    try:
        return preset.experiments[wildcards.experiment]
    except KeyError:
        raise WorkflowError(
            f"preset {wildcards.preset} has no experiment {wildcards.experiment}; "
            f"it has {', '.join(preset.experiments)}"
        ) from None


# --- settings of one job, as the JSON string it is called with ---


def data_settings(wildcards):
    return as_json(PRESETS[wildcards.preset].data[wildcards.data].model_dump())


def basis_name(basis):
    """The identifier of a fitted basis in file names."""
    return f"{basis.name}{getattr(basis, 'levels', '')}"


def basis_settings(wildcards):
    name = wildcards.basis.rstrip("0123456789")
    levels = wildcards.basis.removeprefix(name)
    return as_json({"name": name} | ({"levels": int(levels)} if levels else {}))


def train_settings(wildcards):
    experiment = get_experiment(wildcards)
    return as_json(
        {
            "experiment": wildcards.experiment,
            "model": experiment.model(),
            "training": experiment.training.model_dump(),
            "seed": PRESETS[wildcards.preset].seed,
        }
    )


def point_settings(wildcards, **settings):
    parameters = dict(part.split("=") for part in wildcards.point.split(","))
    return as_json(
        {
            "experiment": wildcards.experiment,
            "parameters": {key: float(value) for key, value in parameters.items()},
            "seed": PRESETS[wildcards.preset].seed,
            **settings,
        }
    )


def nll_settings(wildcards):
    experiment = get_experiment(wildcards)
    likelihood = experiment.nll.settings.model_dump()
    return point_settings(wildcards, prior=experiment.prior, likelihood=likelihood)


def sample_settings(wildcards):
    experiment = get_experiment(wildcards)
    sampling = experiment.quality.sampling.model_dump()
    return point_settings(wildcards, prior=experiment.prior, sampling=sampling)


def strip_settings(wildcards):
    figure = PRESETS[wildcards.preset].figures.figure7
    return point_settings(wildcards, strip=figure.settings.model_dump())


def reconstruction_settings(wildcards):
    figure = PRESETS[wildcards.preset].figures.figure8
    return point_settings(wildcards, reconstruction=figure.settings.model_dump())


def gallery_settings(wildcards):
    figure = PRESETS[wildcards.preset].figures.figure9
    sampling = figure.sampling.model_dump() | {"method": wildcards.method}
    return point_settings(wildcards, sampling=sampling)


def quality_settings(wildcards):
    return as_json(get_experiment(wildcards).quality.metric.model_dump())


def preset_stand_in(wildcards):
    return PRESETS[wildcards.preset].stand_in


def figure_settings(wildcards):
    preset = PRESETS[wildcards.preset]
    settings = get_figure(wildcards).model_dump(exclude=NOT_DRAWN)
    settings |= {"dataset": "", "stand_in": preset.stand_in}
    if hasattr(get_figure(wildcards), "data"):
        settings["dataset"] = preset.titles[get_figure(wildcards).data]
    for name in experiments_of(get_figure(wildcards))[:1]:
        experiment = preset.experiments[name]
        settings["dataset"] = preset.titles[experiment.data]
        settings["basis"] = experiment.basis.model_dump()
        settings["gamma_denoise"] = experiment.schedule.gamma_denoise
    return as_json(settings)


# --- inputs ---


def download_file(preset, name):
    """Where the download called `name` in a preset lies; presets share what they name alike."""
    return [f"<downloads>/{name}/{preset.downloads[name].file}"] if name else []


def get_download(wildcards):
    found = {
        preset.downloads[wildcards.download].sha256: preset.downloads[
            wildcards.download
        ]
        for preset in PRESETS.values()
        if wildcards.download in preset.downloads
        and preset.downloads[wildcards.download].file == wildcards.file
    }
    if len(found) != 1:
        raise WorkflowError(
            f"{len(found)} different files are called {wildcards.file} in the downloads named "
            f"{wildcards.download} of the presets, expected one"
        )
    return next(iter(found.values()))


def download_url(wildcards):
    return get_download(wildcards).url


def download_sha256(wildcards):
    return get_download(wildcards).sha256


def data_archives(wildcards):
    preset = PRESETS[wildcards.preset]
    names = archive_names(preset.data[wildcards.data])
    return [file for name in names for file in download_file(preset, name)]


def experiment_data(wildcards):
    return f"<results>/{wildcards.preset}/data/{get_experiment(wildcards).data}.npz"


def experiment_statistics(wildcards):
    experiment = get_experiment(wildcards)
    basis = basis_name(experiment.basis)
    return f"<results>/{wildcards.preset}/data/{experiment.data}.{basis}.safetensors"


def inception_weights(wildcards):
    weights = get_experiment(wildcards).quality.metric.weights
    return download_file(PRESETS[wildcards.preset], weights)


def figure_points(wildcards, folder, suffix, task):
    experiments = PRESETS[wildcards.preset].experiments
    return [
        f"<results>/{wildcards.preset}/{name}/{folder}/{point}{suffix}"
        for name in experiments_of(get_figure(wildcards))
        for point in points(getattr(experiments[name], task).grids)
    ]


def figure_nll(wildcards):
    return figure_points(wildcards, "nll", ".npz", "nll")


def figure_quality(wildcards):
    return figure_points(wildcards, "quality", ".json", "quality")


def figure_artefacts(wildcards, figure, folder):
    return [
        f"<results>/{wildcards.preset}/{figure.experiment}/{folder}/{point}.npz"
        for point in points(figure.grids)
    ]


def fitted(preset, data, *bases):
    return [f"<results>/{preset}/data/{data}.{basis}.safetensors" for basis in bases]


def figure_source(wildcards):
    """What a figure shows: mostly a table; some draw data and their statistics themselves."""
    preset = PRESETS[wildcards.preset]
    figure = get_figure(wildcards)
    match wildcards.figure:
        case "figure2":
            experiment = preset.experiments[figure.experiment]
            return fitted(
                wildcards.preset, experiment.data, basis_name(experiment.basis)
            )
        case "figure4":
            bases = ("pca", "pixel", basis_name(figure.haar))
            images = f"<results>/{wildcards.preset}/data/{figure.data}.npz"
            return [images, *fitted(wildcards.preset, figure.data, *bases)]
        case "figure6":
            return []
        case "figure7":
            return figure_artefacts(wildcards, figure, "strips")
        case "figure8":
            return figure_artefacts(wildcards, figure, "reconstructions")
        case "figure9":
            return [
                *figure_artefacts(wildcards, figure, "gallery-ode"),
                *figure_artefacts(
                    wildcards, figure, f"gallery-{figure.sampling.method}"
                ),
            ]
    return f"<results>/{wildcards.preset}/tables/{wildcards.figure}.csv"


def summary_names(wildcards, known):
    preset = PRESETS[wildcards.preset]
    named = preset.quick if wildcards.summary == "quick" else preset.figures.named()
    return [name for name in known if name in named]


def summary_tables(wildcards):
    names = summary_names(wildcards, TABLES)
    return [f"<results>/{wildcards.preset}/tables/{name}.csv" for name in names]


def summary_figures(wildcards):
    names = summary_names(wildcards, FIGURES)
    return [f"<results>/{wildcards.preset}/figures/{name}.pdf" for name in names]


# --- resources, which grow with each attempt ---


def compute(wildcards):
    return PRESETS[wildcards.preset].compute


def job_threads(wildcards):
    return compute(wildcards).threads


def gpus(wildcards):
    return compute(wildcards).gpu


def memory(wildcards, attempt):
    return compute(wildcards).mem_mb * attempt


def train_minutes(wildcards, attempt):
    return compute(wildcards).train_minutes * attempt


def evaluate_minutes(wildcards, attempt):
    return compute(wildcards).evaluate_minutes * attempt
