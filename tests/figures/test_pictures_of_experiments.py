from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gud.figures.pictures.course import draw_course
from gud.figures.pictures.likelihoods import draw_likelihoods
from gud.report.points import LikelihoodPoint


def test_every_image_of_every_point_is_counted_once_and_its_mean_and_cost_are_marked():
    random = np.random.default_rng(0)
    points = [
        LikelihoodPoint(
            Path(f"a={number}_r=0.npz"),
            {},
            random.normal(number, 1, (50, 3)),
            np.arange(50),
            np.zeros(50, int),
            np.array([20 + number, 30]),
        )
        for number in range(4)
    ]
    left, right, _ = draw_likelihoods(points[::-1], "test").axes
    assert (left.collections[0].get_array().sum(1) == 50).all()
    means = [point.bits_per_dim.mean() for point in points]
    assert left.lines[0].get_xdata() == pytest.approx(means)
    assert [label.get_text() for label in left.get_yticklabels()][0] == "a=0, r=0"
    assert [line.get_xdata().tolist() for line in right.lines] == [[20 + n, 30] for n in range(4)]


def test_the_course_of_a_training_shows_what_its_table_holds():
    table = pd.DataFrame({"step": [1.0, 2.0], "loss": [3.0, 2.0], "seconds": [1.0, 2.0]})
    assert [axis.get_title() for axis in draw_course(table, "test").axes] == ["loss"]
    table["gradient_norm"], table["learning_rate"] = [0.5, 0.4], [1e-4, 2e-4]
    _, norm, rate = draw_course(table, "test").axes
    assert norm.lines[0].get_ydata().tolist() == [0.5, 0.4]
    assert rate.lines[0].get_ydata().tolist() == [1e-4, 2e-4]
