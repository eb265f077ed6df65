import numpy as np
import pytest
from commands import status
from figure_tables import LABELS, drawn, section

from gud.figures.drawing.draw import draw
from gud.provenance import read_record

SETTINGS = {
    "columns": 5,
    "b": [0.1, 0.5, 0.9],
    "gamma_denoise": -7.0,
}


@pytest.fixture(scope="module")
def curves():
    """t, beta (columns, times) and alpha of each panel, by b, as they are plotted."""
    figure = drawn("figure6", None, **SETTINGS)
    panels = np.reshape(figure.axes, (2, 3))

    def values(axis):
        return np.array([line.get_ydata() for line in axis.lines])

    return {
        b: (upper.lines[0].get_xdata(), values(upper), values(lower))
        for b, upper, lower in zip(SETTINGS["b"], *panels, strict=True)
    }


def active(curves, b):
    """First and last plotted time at which each column is noised, by column from the left."""
    t, beta, _ = curves[b]
    return np.array([(t[rate > 0].min(), t[rate > 0].max()) for rate in beta])


def test_active_windows_of_five_columns_are_disjoint_at_b_09_from_right_to_left(curves):
    windows = active(curves, 0.9)[::-1]
    assert (windows[1:, 0] - windows[:-1, 1]).min() == pytest.approx(0.125, abs=1e-4)


@pytest.mark.parametrize("b", SETTINGS["b"])
def test_active_windows_are_those_of_equation_21(curves, b):
    start = b * (5 - np.arange(1, 6)) / 4
    np.testing.assert_allclose(active(curves, b), np.transpose([start, start + 1 - b]), atol=1e-4)


def test_fewer_columns_are_active_at_once_the_larger_b(curves):
    most = [int((curves[b][1] > 0).sum(0).max()) for b in SETTINGS["b"]]
    assert most[0] == 5 and most[2] == 1 and most == sorted(most, reverse=True)


@pytest.mark.parametrize("b", SETTINGS["b"])
def test_signal_decays_by_half_the_integral_of_the_noising_rate(curves, b):
    t, beta, alpha = curves[b]
    integral = np.cumsum((beta[:, 1:] + beta[:, :-1]) / 2 * np.diff(t), axis=1)
    np.testing.assert_allclose(alpha[:, 1:], alpha[:, :1] * np.exp(-integral / 2), rtol=5e-3)
    assert alpha[:, 0] == pytest.approx([1 / np.sqrt(1 + np.exp(-7))] * 5)
    assert alpha[:, -1] == pytest.approx([np.sqrt(1 - 0.99**2)] * 5)


@pytest.mark.slow
def test_command_needs_no_source_and_writes_the_same_bytes_again(tmp_path, capsys):
    figure = section("figure6", **SETTINGS)
    first, second = ([tmp_path / run / name for name in ("f.pdf", "f.png")] for run in "12")
    for files in (first, second):
        draw(figure, LABELS, [], files)
    for one, two in zip(first, second, strict=True):
        assert one.read_bytes() == two.read_bytes()
    assert read_record(first[0])["inputs"] == {}
    assert status(draw, figure, LABELS, first[:1], [tmp_path / "third.png"]) == 2
    assert "figure6 is drawn from 0" in capsys.readouterr().err
