"""Where the ODE of the likelihoods of an experiment evaluates the network, at all its points."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import click
import numpy as np
import torch
from jaxtyping import Float
from matplotlib.figure import Figure

from gud.cli import NamedPreset, PictureFile, device_option, experiment_option, input_option
from gud.config.figures import Labels
from gud.config.jobs import Evaluation, experiment_labels, get_evaluation
from gud.config.sections.evaluation import Likelihood
from gud.data import datasets
from gud.devices import resolve_device
from gud.diffusion.noising import NoisingState
from gud.diffusion.processes import State
from gud.diffusion.schedules import Schedule
from gud.evaluate.likelihood import choose_images, image_bits
from gud.figures.drawing.style import BLUE, VERMILION, WIDTH, small_print, style, write_figure
from gud.model import Model, load

IMAGES = 4
"""Test images that are followed; each has steps of its own where the method adapts them."""
ROW, MOST = 0.16, 8.0
"""Height of a point, and of all, in inches."""
GRID = 4097
"""Times between which a noising state is found again."""


def evaluated_times(model: Model, evaluation: Evaluation, data: Path) -> dict[str, np.ndarray]:
    """The times of all evaluations of the network for the first test images, by point.

    They are those of `Schedule.path`, along which the ODE is integrated.

    Args:
        evaluation: of likelihoods, whose images, draws and ODE these are.
        data: the data set that the images are of.
    """
    settings = evaluation.settings
    assert isinstance(settings, Likelihood)
    test = datasets.load(data, "test", model.image_shape)
    index = choose_images(
        len(test), settings.images, evaluation.seed, data, sort=not settings.shuffled
    )[:IMAGES]
    found = {}
    for point, parameters in evaluation.points.items():
        schedule = model.schedule(**parameters)
        states: list[np.ndarray] = []

        def noted(z: State, state: NoisingState, states: list[np.ndarray] = states) -> State:
            states.append(np.atleast_1d(state.gamma.detach().double().mean(-1).cpu().numpy()))
            return model.eps(z, state)

        keys = {"probes", "method", "rtol", "atol", "steps", "coordinates", "start", "precision"}
        image_bits(
            model,
            schedule,
            test[index],
            index=index.tolist(),
            seed=evaluation.seed,
            denoiser=noted,
            **settings.model_dump(include=keys),
        )
        found[point] = times_of(schedule.path, np.concatenate(states))
    return found


def times_of(schedule: Schedule, mean_gamma: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """The times at which the mean of gamma over the components has some values."""
    times = torch.linspace(0, 1, GRID, dtype=torch.float64)
    gamma = schedule.gamma(times).double().mean(-1)
    return np.interp(mean_gamma, gamma.cpu().numpy(), times.numpy())


@style()
def draw_steps(
    times: Mapping[str, Float[np.ndarray, " n"]], name: str, method: str, labels: Labels
) -> Figure:
    """A line of marks for each point, and how many of all lie in each hundredth of the time."""
    height = min(ROW * len(times), MOST)
    figure = Figure(figsize=(WIDTH, 1.7 + height), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[0.8, height + 0.2])
    above.hist(np.concatenate([*times.values()]), np.linspace(0, 1, 101), color=VERMILION)
    above.set(ylabel="evaluations")
    below.eventplot([*times.values()], colors=BLUE, linelengths=0.8, linewidths=0.4)
    shown = range(0, len(times), int(np.ceil(ROW * len(times) / MOST)))
    below.set_yticks(shown, [[*times][row].replace("_", ", ") for row in shown])
    below.invert_yaxis()
    below.set(xlabel="time of the path", xlim=(0, 1))
    small_print(
        figure,
        f"{name}: where the ODE of the likelihood ({method}) evaluates the network, for the first "
        f"{IMAGES} test images; data at 0, noise at 1. Above: all points together.",
        labels.data_note,
        labels.stand_in_note,
    )
    return figure


@click.command()
@experiment_option()
@input_option("--model", "A trained model, .safetensors.")
@input_option("--data", "The data set of the experiment, .npz.")
@click.option("--picture", type=PictureFile(), required=True, help="File to write, .png/.pdf.")
@device_option()
def main(
    preset: NamedPreset,
    experiment: str,
    model: Path,
    data: Path,
    picture: Path,
    device: str | None,
) -> None:
    """Show where the ODE of the likelihoods of an experiment takes its steps."""
    started = time.time()
    evaluation = get_evaluation(preset.preset, experiment, "nll")
    where = resolve_device(device)
    times = evaluated_times(load(model, where), evaluation, data)
    settings, labels = evaluation.settings, experiment_labels(preset.preset, experiment)
    drawn = draw_steps(times, experiment, settings.method, labels)
    write_figure(
        drawn,
        [picture],
        f"Steps {experiment}",
        inputs=[model, data],
        settings=labels.record()
        | {"likelihood": settings.model_dump(), "points": evaluation.points},
        started=started,
    )
