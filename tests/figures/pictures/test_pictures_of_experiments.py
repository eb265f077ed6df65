from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from gud.config.figures import Labels
from gud.diffusion.schedules import column_schedule
from gud.evaluate.points import LikelihoodPoint
from gud.figures.pictures.course import draw_course
from gud.figures.pictures.likelihoods import draw_likelihoods
from gud.figures.pictures.samples import GAP, SHOWN, draw_samples
from gud.figures.pictures.steps import draw_steps, times_of

LABELS = Labels(dataset="Tissue", stand_in="embedded data", basis={"name": "pca"})


def point(a, bits, evaluations):
    numbers, region = np.arange(len(bits)), np.zeros(len(bits), int)
    path, took = Path(f"a={a}_r=0.npz"), np.array(evaluations)
    return LikelihoodPoint(path, {}, bits, numbers, region, took, bits)


def test_every_image_of_every_point_is_counted_once_and_its_mean_and_cost_are_marked():
    random = np.random.default_rng(0)
    points = [
        point(number, random.normal(number, 1, (50, 3)), [20 + number, 30]) for number in range(4)
    ]
    left, right, _ = draw_likelihoods(points[::-1], "test", LABELS).axes
    assert (left.collections[0].get_array().sum(1) == 50).all()
    means = [point.bits_per_dim.mean() for point in points]
    assert left.lines[0].get_xdata() == pytest.approx(means)
    assert [label.get_text() for label in left.get_yticklabels()][0] == "a=0, r=0"
    assert [line.get_xdata().tolist() for line in right.lines] == [[20 + n, 30] for n in range(4)]


def test_the_course_of_a_training_shows_what_its_table_holds():
    table = pd.DataFrame({"step": [1.0, 2.0], "loss": [3.0, 2.0], "seconds": [1.0, 2.0]})
    assert [axis.get_title() for axis in draw_course(table, "test", LABELS).axes] == ["loss"]
    table["gradient_norm"], table["learning_rate"] = [0.5, 0.4], [1e-4, 2e-4]
    _, norm, rate = draw_course(table, "test", LABELS).axes
    assert norm.lines[0].get_ydata().tolist() == [0.5, 0.4]
    assert rate.lines[0].get_ydata().tolist() == [1e-4, 2e-4]


def test_every_point_has_a_row_of_its_first_samples_pixel_by_pixel():
    images = np.random.default_rng(0).integers(0, 256, (SHOWN + 3, 3, 4, 4), dtype=np.uint8)
    first, second = draw_samples({"a=10_r=0": images[::-1], "a=2_r=0": images}, "test", LABELS).axes
    assert [first.get_ylabel(), second.get_ylabel()] == ["a=2, r=0", "a=10, r=0"]
    shown = first.images[0].get_array()
    assert shown.shape == (4, SHOWN * (4 + GAP) - GAP, 3)
    last = shown[:, -4:] * 255
    np.testing.assert_allclose(last, np.moveaxis(images[SHOWN - 1], 0, -1))


def test_the_times_of_noising_states_are_found_again_by_the_mean_of_gamma():
    schedule = column_schedule(torch.arange(8), 0.5, -7.0, 4.0)
    times = torch.linspace(0, 1, 37, dtype=torch.float64)
    gamma = schedule.gamma(times).mean(-1).numpy()
    np.testing.assert_allclose(times_of(schedule, gamma), times, atol=1e-6)


def test_every_evaluation_of_the_network_is_one_mark_and_is_counted():
    times = {"a=1_r=0": np.array([0.0, 0.305, 1.0]), "a=2_r=0": np.array([0.5])}
    above, below = draw_steps(times, "test", "tsit5", LABELS).axes
    counted = {round(bar.get_x(), 2): bar.get_height() for bar in above.patches}
    assert sum(counted.values()) == 4
    assert counted[0.3] == counted[0.5] == 1
    marks = [line.get_positions() for line in below.collections]
    assert [list(line) for line in marks] == [[0.0, 0.305, 1.0], [0.5]]


@pytest.mark.parametrize(
    "drawn",
    [
        draw_course(pd.DataFrame({"step": [1.0], "loss": [3.0], "seconds": [1.0]}), "test", LABELS),
        draw_steps({"a=1_r=0": np.array([0.5])}, "test", "tsit5", LABELS),
        draw_samples({"a=1_r=0": np.zeros((1, 3, 4, 4), np.uint8)}, "test", LABELS),
        draw_likelihoods([point(1, np.ones((2, 1)), [20])], "test", LABELS),
    ],
    ids=["course", "steps", "samples", "likelihoods"],
)
def test_the_pictures_of_an_experiment_name_its_data_basis_and_stand_in(drawn):
    told = drawn.get_supxlabel().replace("\n", " ")
    assert "Data: Tissue, PCA basis." in told
    assert "Stand-in: embedded data." in told
