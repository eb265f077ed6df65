import json
from pathlib import Path
from types import SimpleNamespace

from snakemake.exceptions import WorkflowError

from gud.errors import InputError
from gud.plan import evaluations
from gud.preset import experiments_of, load_preset, points
from gud.settings import archive_names, parameters_of_point


def load_presets():
    """All presets of the folder `config/` (or of --config presets=FOLDER), validated."""
    folder = Path(config.get("presets", Path(workflow.basedir) / "config"))
    try:
        return {path.stem: load_preset(path) for path in sorted(folder.glob("*.yaml"))}
    except InputError as error:
        raise WorkflowError(str(error)) from None


PRESETS = load_presets()
EVALUATIONS = {
    (name, evaluation.experiment, evaluation.name): evaluation
    for name, preset in PRESETS.items()
    for evaluation in evaluations(preset)
}
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
    quantity=r"nll|samples|gallery-(ode|euler_maruyama|ancestral)",
    drawn=r"samples|gallery-(ode|euler_maruyama|ancestral)",
    job=r"\d+",
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
        of(figure) for figure in figures for of in (figure_nll, figure_quality)
    ]
    made = [f"<results>/{name}/{summary}.md", *sum(points_of, [])]
    if summary == "summary":
        made.append(f"<results>/{name}/tables/comparison.csv")
    return made


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


def get_evaluation(wildcards, quantity):
    try:
        return EVALUATIONS[wildcards.preset, wildcards.experiment, quantity]
    except KeyError:
        raise WorkflowError(
            f"{quantity} of experiment {wildcards.experiment} is not asked for in preset "
            f"{wildcards.preset}"
        ) from None


def get_jobs(wildcards, quantity):
    """The ranges of images of each point, by job; see `gud.plan`."""
    batches = PRESETS[wildcards.preset].compute.job_batches
    return get_evaluation(wildcards, quantity).jobs(
        batches.nll if quantity == "nll" else batches.samples
    )
