import io
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.collections import PolyCollection
from matplotlib.text import Text
from safetensors.torch import save_file

from gud.errors import InputError
from gud.figure2 import Figure2, draw_figure2
from gud.figure3 import Figure3, draw_figure3
from gud.figure5 import Figure5, Wavelets, draw_plane
from gud.figures import main
from gud.provenance import read_record
from gud.settings import validate

STAND_IN = "16x16 patches, a small network"
LABELS = {"dataset": "patches", "stand_in": STAND_IN}
SETTINGS = {
    "figure2": LABELS | {"basis": {"name": "pca"}, "gamma_denoise": -7.0, "components": 8},
    "figure3": LABELS | {"isotropic": "white", "variance_matching": "matching"},
    "figure5": LABELS | {"experiment": "white", "box": {"a": [0.8, 1.2], "r": [0, 0.3]}},
    "wavelets": LABELS | {"experiment": "haar", "basis": {"name": "haar", "levels": 3}},
}
SECTIONS = {"figure2": Figure2, "figure3": Figure3, "figure5": Figure5, "wavelets": Wavelets}
LOG_VARIANCE = torch.linspace(4.0, -6.0, 64, dtype=torch.float64)


def labels(name, **changes):
    return validate(SECTIONS[name], SETTINGS[name] | changes, name)


def row(experiment, a, r, nll):
    return {
        "experiment": experiment,
        "whitened": experiment == "matching",
        "a": a,
        "r": r,
        "nll_bits_per_dim": nll,
        "nll_stderr": 0.05 if experiment == "white" else 0.07,
        "nll_minus_standard": nll - 4.2,
        "nll_minus_standard_stderr": abs(a - 1) / 50,
        "images": 128,
        "fid": 10 * nll,
        "fid_stderr": np.nan,
        "fid_metric": "FD, random features",
        "fid_images": 256,
        "fid_reference": "train",
        "fid_reference_images": 2000,
    }


@pytest.fixture
def scan():
    """The table of Figure 3: two curves over a."""
    points = [(name, a) for name in ("matching", "white") for a in (1.6, 0.4, 1.0)]
    return pd.DataFrame([row(name, a, 0.0, 4.2 + 0.1 * (a - 1)) for name, a in points])


@pytest.fixture
def plane():
    """The table of Figure 5: a coarse grid and a finer one in the box."""
    coarse = {(a, r) for a in (0.4, 0.7, 1.0, 1.3, 1.6) for r in (0.0, 0.25, 0.5, 0.75, 1.0)}
    fine = {(a, r) for a in (0.8, 0.9, 1.0, 1.1, 1.2) for r in (0.0, 0.1, 0.2, 0.3)}
    points = sorted(coarse | fine)
    return pd.DataFrame(
        [row("white", a, r, 4.2 + (a - 0.9) ** 2 + (r - 0.1) ** 2) for a, r in points]
    )


@pytest.fixture
def softness():
    """The table of the wavelet scan, lowest at a = 0.5, b = 0.3, without standard diffusion."""
    points = [(a, b) for a in (0.3, 0.5, 0.7) for b in (0.3, 0.4, 0.5, 0.6, 0.7)]
    rows = [
        {
            "experiment": "haar",
            "a": a,
            "b": b,
            "nll_bits_per_dim": 4 + (a - 0.5) ** 2 + b / 10,
            "nll_minus_standard_stderr": np.nan,
            "nll_minus_best": (a - 0.5) ** 2 + (b - 0.3) / 10,
            "nll_minus_best_stderr": 0.0123,
        }
        for a, b in points
    ]
    return pd.DataFrame(rows)


def texts(figure):
    return "\n".join(text.get_text() for text in figure.findobj(Text)).replace("\n", " ")


def source(folder, name, table):
    if name == "figure2":
        path = folder / "statistics.safetensors"
        save_file({"mean": torch.zeros(3, 8, 8), "variance": LOG_VARIANCE.exp()}, path)
    else:
        path = folder / "table.csv"
        table.to_csv(path, index=False)
    return path


def command_of(name, file):
    return [name, "--settings", json.dumps(SETTINGS[name]), "--source", file]


@pytest.fixture(params=["figure2", "figure3", "figure5", "wavelets"])
def command(request, tmp_path, scan, plane, softness):
    """Arguments of a figure's command, without --out."""
    name = request.param
    tables = {"figure2": None, "figure3": scan, "figure5": plane, "wavelets": softness}
    file = source(tmp_path, name, tables[name])
    return command_of(name, str(file))


def test_both_formats_are_written_with_their_records(command, tmp_path):
    files = [tmp_path / "out" / f"f{suffix}" for suffix in (".pdf", ".png")]
    assert main([*command, "--out", *map(str, files)]) == 0
    pdf, png = (file.read_bytes() for file in files)
    assert pdf.startswith(b"%PDF") and png.startswith(b"\x89PNG")
    assert b"/FontFile2" in pdf and b"/Type3" not in pdf
    assert STAND_IN.encode() in png
    for file in files:
        record = read_record(file)
        assert record["settings"] == json.loads(command[2]) and len(record["inputs"]) == 1


def test_another_process_on_another_day_writes_the_same_bytes(tmp_path, scan, plane):
    runs = []
    for run in ("first", "second"):
        tables = {"figure2": None, "figure3": scan, "figure5": plane}
        folder = tmp_path / run
        folder.mkdir()
        for name, table in tables.items():
            out = [str(folder / f"{name}{suffix}") for suffix in (".pdf", ".png")]
            file = str(source(tmp_path, name, table))
            if run == "first":
                assert main(command_of(name, file) + ["--out", *out]) == 0
            else:
                file = shutil.copy(file, folder / f"{name}{Path(file).suffix}")
                runs.append(command_of(name, str(file)) + ["--out", *out])
    code = "import json, sys, gud.figures as f; [f.main(c) for c in json.loads(sys.argv[1])]"
    epoch = str(int(time.time()) + 86400)
    subprocess.run(
        [sys.executable, "-c", code, json.dumps(runs)],
        env=os.environ | {"PYTHONHASHSEED": "7", "SOURCE_DATE_EPOCH": epoch},
        check=True,
    )
    written = sorted((tmp_path / "first").glob("*.p??"))
    assert len(written) == 6
    for file in written:
        assert file.read_bytes() == (tmp_path / "second" / file.name).read_bytes(), file.name


def test_unknown_format_key_or_source_is_refused(tmp_path, scan, capsys):
    file = str(source(tmp_path, "figure3", scan))
    settings = json.dumps(SETTINGS["figure3"])
    wrong = {
        "must end in .pdf or .png": [settings, file, "f.svg"],
        "colour is not a known key": [
            json.dumps(SETTINGS["figure3"] | {"colour": 1}),
            file,
            "f.pdf",
        ],
        "cannot be read": [settings, str(tmp_path / "none.csv"), "f.pdf"],
    }
    for message, (values, path, out) in wrong.items():
        arguments = ["--settings", values, "--source", path, "--out", str(tmp_path / out)]
        assert main(["figure3", *arguments]) == 2
        assert message in capsys.readouterr().err


def test_stand_in_is_printed_in_every_figure_and_nothing_if_there_is_none(scan, plane):
    for draw, name, data in (
        (draw_figure2, "figure2", LOG_VARIANCE.exp()),
        (draw_figure3, "figure3", scan),
        (draw_plane, "figure5", plane),
    ):
        assert STAND_IN in texts(draw(data, labels(name)))
        assert "tand-in" not in texts(draw(data, labels(name, stand_in="")))


def test_figure2_shows_standard_diffusion_and_equal_signal_to_noise_where_it_says_so():
    figure = draw_figure2(LOG_VARIANCE.exp(), labels("figure2"))
    axes = np.reshape(figure.axes[:12], (3, 4))

    def curves(axis):
        return np.array([line.get_ydata() for line in axis.lines if len(line.get_xdata()) == 201])

    sigma, gamma, log_snr = ([curves(axis) for axis in axes_row] for axes_row in axes)
    assert all(len(values) == 8 for values in (*sigma, *gamma, *log_snr))
    for column in (0, 3):
        assert np.ptp(sigma[column], axis=0).max() < 1e-12
    for column in (1, 3):
        assert np.ptp(log_snr[column], axis=0).max() < 1e-12
    np.testing.assert_allclose(log_snr[0], log_snr[2], atol=1e-12)
    np.testing.assert_allclose(sigma[1] ** 2, 1 / (1 + np.exp(-gamma[1])), atol=1e-12)
    # Equation 19 at both ends; the noise reaches sigma = 0.99 in every component.
    for column, panel in enumerate(axes[2]):
        levels = sorted(line.get_ydata()[0] for line in panel.lines if line.get_linestyle() == "--")
        assert levels == pytest.approx([log_snr[column][:, -1].max(), 7.0])
        assert log_snr[column][:, 0].min() == pytest.approx(7.0)
        assert sigma[column][:, -1].min() >= 0.99 - 1e-12


def test_figure2_shows_the_components_of_largest_and_smallest_variance():
    shuffled = LOG_VARIANCE[torch.randperm(64, generator=torch.Generator().manual_seed(0))]
    figure = draw_figure2(shuffled.exp(), labels("figure2"))
    at_start = [line.get_ydata()[0] for line in figure.axes[8].lines[:8]]
    assert max(at_start) - min(at_start) == pytest.approx(10.0)


def test_figure3_plots_the_numbers_of_the_table(scan):
    left, right = draw_figure3(scan, labels("figure3")).axes
    for axis, column in ((left, "nll_bits_per_dim"), (right, "fid")):
        curves = {bars.get_label().split()[0]: bars for bars in axis.containers}
        for name, experiment in (("unwhitened", "white"), ("whitened", "matching")):
            points = scan[scan.experiment == experiment].sort_values("a")
            line = curves[name].lines[0]
            np.testing.assert_array_equal(line.get_xdata(), points.a)
            np.testing.assert_array_equal(line.get_ydata(), points[column])


def half_lengths(axis):
    segments = axis.containers[0].lines[2][0].get_segments()
    return [(segment[1][1] - segment[0][1]) / 2 for segment in segments]


def test_figure3_bars_are_the_paired_errors_and_the_shared_error_is_printed(scan):
    figure = draw_figure3(scan, labels("figure3"))
    assert half_lengths(figure.axes[0]) == pytest.approx([0.012, 0, 0.012])
    assert "±0.050 (unwhitened), ±0.070 (whitened)" in texts(figure)


def test_figure3_bars_are_the_errors_over_images_where_there_is_no_pair(scan):
    scan.loc[scan.experiment == "white", "nll_minus_standard_stderr"] = np.nan
    figure = draw_figure3(scan, labels("figure3"))
    assert half_lengths(figure.axes[0]) == pytest.approx([0.05] * 3)
    assert "Bars (unwhitened): standard error over the images" in texts(figure)
    assert "±0.050" not in texts(figure) and "±0.070 (whitened)" in texts(figure)


def test_figure3_marks_standard_diffusion_on_the_unwhitened_curve(scan):
    for axis in draw_figure3(scan, labels("figure3")).axes:
        (ring,) = [line for line in axis.lines if line.get_label() == "standard diffusion"]
        assert list(ring.get_xdata()) == [1.0]
        assert ring.get_ydata()[0] == pytest.approx(4.2 if axis.get_ylabel()[:3] == "NLL" else 42)


def test_random_features_are_never_called_fid(scan):
    figure = draw_figure3(scan, labels("figure3"))
    assert figure.axes[1].get_ylabel() == "FD, random features"
    assert "fid" not in texts(figure).lower()
    figure = draw_figure3(scan.assign(fid_metric="FID"), labels("figure3"))
    assert figure.axes[1].get_ylabel() == "FID"


def test_figure3_refuses_two_metrics_or_an_absent_experiment(scan):
    mixed = scan.assign(fid_metric=["FID", *scan.fid_metric[1:]])
    for table, changes in ((mixed, {}), (scan, {"isotropic": "absent"})):
        with pytest.raises(InputError):
            draw_figure3(table, labels("figure3", **changes))


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
    figure = draw_plane(plane, labels("figure5"))
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
    figure = draw_plane(plane, labels("figure5"))
    for axis in figure.axes[:2]:
        marks = {line.get_marker(): line.get_xydata().tolist() for line in axis.lines}
        assert marks == {"o": [[1.0, 0.0]], "*": [[0.9, 0.1]]}
    assert "$a = 0.9$, $r = 0.1$" in texts(figure)


def test_figure5_leaves_a_point_without_likelihood_blank(plane):
    corner = plane.a.eq(1.6) & plane.r.eq(1.0)
    plane.loc[corner, "nll_bits_per_dim"] = np.nan
    left = draw_plane(plane, labels("figure5")).axes[0]
    assert np.ma.is_masked(value_at(left, 1.6, 1.0))
    assert not np.ma.is_masked(value_at(left, 1.3, 1.0))


def test_figure5_is_the_same_whichever_parameter_of_the_box_comes_first(plane):
    swapped = {"r": [0, 0.3], "a": [0.8, 1.2]}
    right = draw_plane(plane, labels("figure5", box=swapped)).axes[1]
    assert right.get_xlim() == (0.8, 1.2) and right.get_ylim() == (0, 0.3)
    box = plane[plane.a.between(0.8, 1.2) & plane.r.between(0, 0.3)]
    for point in box.itertuples():
        assert value_at(right, point.a, point.r) == point.nll_bits_per_dim


def test_wavelet_map_colours_every_point_over_a_and_b_in_one_panel(softness):
    figure = draw_plane(softness, labels("wavelets"))
    panel, _ = figure.axes
    assert "$a$" in panel.get_xlabel() and "$b$" in panel.get_ylabel()
    for point in softness.itertuples():
        assert value_at(panel, point.a, point.b) == point.nll_bits_per_dim


def test_wavelet_map_marks_the_lowest_nll_and_no_standard_diffusion_outside_the_scan(softness):
    figure = draw_plane(softness, labels("wavelets"))
    marks = {line.get_marker(): line.get_xydata().tolist() for line in figure.axes[0].lines}
    assert marks == {"*": [[0.5, 0.3]]}
    print_ = texts(figure)
    assert "$a = 0.5$, $b = 0.3$" in print_ and "standard diffusion" not in print_
    assert "0.0800 ± 0.0123 above it on the same images" in print_


def test_wavelet_map_fills_its_page(softness):
    figure = draw_plane(softness, labels("wavelets"))
    figure.savefig(io.BytesIO())
    assert figure.axes[0].get_position().height > 0.6


def test_wavelet_map_marks_standard_diffusion_inside_the_scan(softness):
    shifted = softness.assign(a=softness.a - 0.3, b=softness.b - 0.3)
    figure = draw_plane(shifted.round(6), labels("wavelets"))
    marks = {line.get_marker(): line.get_xydata().tolist() for line in figure.axes[0].lines}
    assert marks["o"] == [[0, 0]] and "Black dot: standard diffusion" in texts(figure)


def test_a_figure_refuses_points_without_its_parameters(plane, softness):
    for table, name in (
        (plane.assign(experiment="haar"), "wavelets"),
        (softness.assign(experiment="white"), "figure5"),
        (pd.concat([softness, softness.drop(columns="b")]), "wavelets"),
    ):
        with pytest.raises(InputError, match="for the points of"):
            draw_plane(table, labels(name))


@pytest.mark.parametrize(
    "box", [{"a": [0.8, 1.2]}, {"a": [1, 1], "r": [0, 1]}, {"a": [1.05, 1.08], "r": [0, 0.05]}]
)
def test_figure5_refuses_a_box_without_area_or_points(plane, box):
    with pytest.raises(InputError):
        draw_plane(plane, labels("figure5", box=box))
