# Files behind tables, figures and summaries.


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


def all_tables(wildcards):
    named = PRESETS[wildcards.preset].figures.named()
    return [
        f"<results>/{wildcards.preset}/tables/{name}.csv"
        for name in TABLES
        if name in named
    ]


def published_numbers(wildcards):
    return str(Path(workflow.basedir) / "docs/reference/published.yaml")


def summary_figures(wildcards):
    names = summary_names(wildcards, FIGURES)
    return [f"<results>/{wildcards.preset}/figures/{name}.pdf" for name in names]
