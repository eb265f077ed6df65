# Files that a job reads, from downloads to sample quality.


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
