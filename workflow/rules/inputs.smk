# Files that a job reads.


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


def jobs_of_point(wildcards, quantity):
    found = [
        f"<results>/{wildcards.preset}/{wildcards.experiment}/{quantity}/jobs/{number}.json"
        for number, job in enumerate(get_jobs(wildcards, quantity))
        if wildcards.point in job
    ]
    if not found:
        raise WorkflowError(
            f"{wildcards.point} is no point of the grids of {quantity} of "
            f"{wildcards.experiment} in preset {wildcards.preset}"
        )
    return found


def nll_jobs(wildcards):
    return jobs_of_point(wildcards, "nll")


def sample_jobs(wildcards):
    return jobs_of_point(wildcards, wildcards.drawn)


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
