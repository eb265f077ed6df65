"""Figure 5: every point in its place of the plane, with one scale of colours."""

import numpy as np
import pandas as pd
import pytest
from figure_tables import drawn, texts
from matplotlib.collections import PolyCollection

from gud.errors import InputError


def cells(axis):
    """The value of each cell by the point that lies in it."""
    found = {}
    for patches in axis.collections:
        if isinstance(patches, PolyCollection):
            for path, value in zip(patches.get_paths(), patches.get_array(), strict=True):
                found[path] = value
    return found


def value_at(axis, a, r):
    """The value of the cell on top at a point, moved a little into the panel."""
    centre = np.mean([axis.get_xlim(), axis.get_ylim()], axis=1)
    inner = np.array([a, r]) + 1e-6 * (centre - [a, r])
    return [value for path, value in cells(axis).items() if path.contains_point(inner)][-1]


def test_figure5_colours_every_point_by_its_number_with_one_scale(plane):
    figure = drawn("figure5", plane)
    left, right, _ = figure.axes
    box = plane[plane.a.between(0.8, 1.2) & plane.r.between(0, 0.3)]
    # At left the points on the upper edge of the box have their cells below it.
    for axis, points in ((left, plane[plane.r != 0.3]), (right, box)):
        for point in points.itertuples():
            assert value_at(axis, point.a, point.r) == point.nll_bits_per_dim
    scales = {patch.norm for axis in (left, right) for patch in axis.findobj(PolyCollection)}
    assert len(scales) == 1
    assert scales.pop().vmin == plane.nll_bits_per_dim.min()


def test_figure5_marks_standard_diffusion_in_both_panels_and_the_lowest_nll(plane):
    figure = drawn("figure5", plane)
    for axis in figure.axes[:2]:
        marks = {line.get_marker(): line.get_xydata().tolist() for line in axis.lines}
        assert marks == {"o": [[1.0, 0.0]], "*": [[0.9, 0.1]]}
    assert "$a = 0.9$, $r = 0.1$" in texts(figure)


def test_figure5_leaves_a_point_without_likelihood_blank(plane):
    corner = plane.a.eq(1.6) & plane.r.eq(1.0)
    plane.loc[corner, "nll_bits_per_dim"] = np.nan
    left = drawn("figure5", plane).axes[0]
    assert np.ma.is_masked(value_at(left, 1.6, 1.0))
    assert not np.ma.is_masked(value_at(left, 1.3, 1.0))


def test_figure5_is_the_same_whichever_parameter_of_the_box_comes_first(plane):
    swapped = {"r": [0, 0.3], "a": [0.8, 1.2]}
    right = drawn("figure5", plane, box=swapped).axes[1]
    assert right.get_xlim() == (0.8, 1.2) and right.get_ylim() == (0, 0.3)
    box = plane[plane.a.between(0.8, 1.2) & plane.r.between(0, 0.3)]
    for point in box.itertuples():
        assert value_at(right, point.a, point.r) == point.nll_bits_per_dim


def test_figure5_refuses_a_box_without_points(plane):
    with pytest.raises(InputError, match="holds no point"):
        drawn("figure5", plane, box={"a": [1.05, 1.08], "r": [0, 0.05]})


@pytest.fixture
def seeds(plane):
    """Two networks, the second lowest at another point and lower by 0.2 everywhere else."""
    moved = (plane.a - 1.0) ** 2 + (plane.r - 0.2) ** 2
    second = plane.assign(experiment="white_seed1", seed=1, nll_bits_per_dim=4.0 + moved)
    second["nll_minus_standard"] = second.nll_bits_per_dim - 4.04
    return pd.concat([plane, second])


TWO = {"experiments": ["white", "white_seed1"]}


def test_figure5_shows_the_mean_over_seeds_and_the_lowest_point_of_each(seeds):
    figure = drawn("figure5", seeds, **TWO)
    mean = seeds.groupby(["a", "r"], as_index=False).nll_bits_per_dim.mean()
    for point in mean[mean.r != 0.3].itertuples():
        assert value_at(figure.axes[0], point.a, point.r) == point.nll_bits_per_dim
    marks = [(line.get_markersize(), line.get_xydata().tolist()) for line in figure.axes[0].lines]
    best = mean.loc[mean.nll_bits_per_dim.idxmin()]
    assert marks[1:] == [(6, [[best.a, best.r]]), (3.5, [[0.9, 0.1]]), (3.5, [[1.0, 0.2]])]
    rows = seeds[(seeds.a == best.a) & (seeds.r == best.r)]
    error = np.hypot(rows.nll_minus_standard_stderr.mean(), rows.nll_minus_standard.sem())
    print_ = texts(figure)
    assert f"({rows.nll_minus_standard.mean():+.4f} ± {error:.4f} from standard" in print_
    assert "seeds 0, 1" in print_ and "95 % band" not in print_


def test_figure5_leaves_a_point_blank_that_the_network_of_one_seed_lacks(seeds):
    corner = seeds.a.eq(1.6) & seeds.r.eq(1.0) & seeds.seed.eq(1)
    for lacking in (
        seeds[~corner],
        seeds.assign(nll_bits_per_dim=seeds.nll_bits_per_dim.mask(corner)),
    ):
        left = drawn("figure5", lacking, **TWO).axes[0]
        assert np.ma.is_masked(value_at(left, 1.6, 1.0))
        assert not np.ma.is_masked(value_at(left, 1.3, 1.0))
