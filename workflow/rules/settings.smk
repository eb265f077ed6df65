# Settings of a job, as the JSON string that it is called with.


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
    return as_json(
        {
            "experiment": wildcards.experiment,
            "parameters": parameters_of_point(wildcards.point),
            "seed": PRESETS[wildcards.preset].seed,
        }
        | settings
    )


def job_settings(wildcards, quantity):
    jobs = get_jobs(wildcards, quantity)
    if int(wildcards.job) >= len(jobs):
        raise WorkflowError(
            f"{quantity} of {wildcards.experiment} has {len(jobs)} jobs"
        )
    common = get_evaluation(wildcards, quantity).common
    return as_json(common | {"points": jobs[int(wildcards.job)]})


def nll_job_settings(wildcards):
    return job_settings(wildcards, "nll")


def sample_job_settings(wildcards):
    return job_settings(wildcards, wildcards.drawn)


def nll_settings(wildcards):
    return point_settings(wildcards, **get_evaluation(wildcards, "nll").common)


def sample_settings(wildcards):
    return point_settings(
        wildcards, **get_evaluation(wildcards, wildcards.drawn).common
    )


def strip_settings(wildcards):
    figure = PRESETS[wildcards.preset].figures.figure7
    return point_settings(wildcards, strip=figure.settings.model_dump())


def reconstruction_settings(wildcards):
    figure = PRESETS[wildcards.preset].figures.figure8
    return point_settings(wildcards, reconstruction=figure.settings.model_dump())


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
