import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gud.figures.drawing.cells import nearest_cells

unit = st.floats(0, 1, allow_subnormal=False)


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, unique=True),
    st.tuples(unit, unit),
)
def test_cells_tile_the_rectangle_and_each_holds_what_is_nearest_to_its_point(integers, probe):
    low, high = np.array([-1.0, 2.0]), np.array([3.0, 2.5])
    points = low + np.array(integers) / 20 * (high - low)
    found = nearest_cells(points, low, high)

    def area(corners):
        x, y = corners.T
        return 0.5 * abs(x @ np.roll(y, -1) - y @ np.roll(x, -1))

    assert sum(map(area, found)) == pytest.approx(2.0)
    for point, corners in zip(points, found, strict=True):
        weights = np.exp(np.array(probe)[0] * np.arange(len(corners)))
        inside = weights @ corners / weights.sum()
        distances = np.linalg.norm((points - inside) / (high - low), axis=1)
        own = np.linalg.norm((point - inside) / (high - low))
        assert own <= distances.min() + 1e-9


def test_cells_of_a_grid_end_halfway_between_neighbours():
    points = np.array([[x, y] for x in (0.0, 1.0, 4.0) for y in (0.0, 0.5, 1.0)])
    cells = nearest_cells(points, np.array([0.0, 0.0]), np.array([4.0, 1.0]))
    corners = cells[4]
    assert corners.min(0).tolist() == pytest.approx([0.5, 0.25])
    assert corners.max(0).tolist() == pytest.approx([2.5, 0.75])
    assert len(corners) == 4
