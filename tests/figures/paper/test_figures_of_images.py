"""Figures 7, 8 and 9: the images of the artefacts, each in its place."""

import numpy as np
import pytest
import torch
import yaml
from commands import status
from figure_tables import LABELS, STAND_IN, drawn, section, texts
from presets import ROOT

from gud.diffusion.schedules.sequential import column_schedule
from gud.diffusion.strips import sliding_window
from gud.errors import InputError
from gud.evaluate.applications.seams import seam_statistic
from gud.figures.drawing.draw import draw
from gud.figures.drawing.images import picture
from gud.figures.paper.figure7 import column_roles
from gud.provenance import read_record, write_record

FIGURES = yaml.safe_load((ROOT / "config/demo.yaml").read_text())["figures"]
SETTINGS = {
    "figure7": FIGURES["figure7"] | {"strip": 1},
    "figure8": FIGURES["figure8"],
    "figure9": FIGURES["figure9"] | {"image": 2},
}
SIZE, SHIFT, WINDOWS, B = 16, 3, 8, 0.6
WINDOW = sliding_window(column_schedule(torch.arange(SIZE), B, -7.0, 5.0), SIZE, SHIFT, None, 0.0)


def rng(seed=0):
    return np.random.default_rng(seed)


def grey_levels(*shape, seed=0):
    return rng(seed).integers(0, 256, shape, dtype=np.uint8)


def strips(folder):
    state = WINDOW.schedule(torch.tensor([WINDOW.time], dtype=torch.float64))
    path = folder / "strips.npz"
    np.savez(
        path,
        strips=grey_levels(2, 3, SIZE, SIZE + SHIFT * (WINDOWS - 1)),
        seams=SHIFT * np.arange(1, WINDOWS),
        snapshot=rng(1).standard_normal((2, 3, SIZE, SIZE)).astype(np.float32),
        position=np.array(SHIFT * (WINDOWS // 2)),
        gamma=state.gamma[0].numpy(),
        beta=state.beta[0].numpy(),
        b=np.array(B),
        time=np.array(WINDOW.time),
    )
    return [path]


def reconstructions(folder):
    path = folder / "reconstructions.npz"
    np.savez(
        path,
        original=grey_levels(3, 3, SIZE, SIZE),
        noised=rng(1).standard_normal((3, 3, SIZE, SIZE)).astype(np.float32),
        reconstructions=grey_levels(3, 2, 3, SIZE, SIZE, seed=2),
        index=np.array([5, 7, 11]),
        time=np.array(0.5),
    )
    return [path]


def sample(folder, method, a, seed=0, experiment="faces"):
    path = folder / f"{experiment}-{method}-{a:g}-{seed}.npz"
    number = int(100 * a) + (method == "ode")
    np.savez(path, images=grey_levels(4, 3, 8, 8, seed=number))
    settings = {
        "experiment": experiment,
        "seed": seed,
        "parameters": {"a": a, "r": 0.0},
        "sampling": {"method": method},
    }
    write_record(path, settings=settings)
    return path


def samples(folder):
    return [
        sample(folder, method, a) for a in (1.3, 0.7, 1.0) for method in ("euler_maruyama", "ode")
    ]


SOURCES = {"figure7": strips, "figure8": reconstructions, "figure9": samples}


def source_of(name, paths):
    return section(name, **SETTINGS[name]).read(paths)


def shown(axis):
    (image,) = axis.images
    return image.get_array()


@pytest.mark.parametrize("name", SOURCES)
def test_both_formats_are_written_with_records_and_the_same_bytes_again(name, tmp_path):
    sources = list(SOURCES[name](tmp_path))
    written = []
    for run in ("first", "second"):
        files = [tmp_path / run / f"f{suffix}" for suffix in (".pdf", ".png")]
        draw(section(name, **SETTINGS[name]), LABELS, sources, files)
        written.append([file.read_bytes() for file in files])
    assert written[0] == written[1]
    pdf, png = written[0]
    assert pdf.startswith(b"%PDF") and STAND_IN.encode() in png
    assert len(read_record(tmp_path / "first" / "f.pdf")["inputs"]) == len(sources)


def test_pictures_are_grey_levels_over_255_or_halves_of_the_signal_clipped():
    levels = np.array([0, 51, 255], dtype=np.uint8).reshape(3, 1, 1)
    assert picture(levels).ravel().tolist() == [0, 0.2, 1]
    signal = np.array([-3.0, 0.5, 1.0]).reshape(3, 1, 1)
    assert picture(signal).ravel().tolist() == [0, 0.75, 1]


def test_figure7_shows_every_strip_with_ticks_at_its_seams(tmp_path):
    arrays = source_of("figure7", strips(tmp_path))
    figure = drawn("figure7", arrays, **SETTINGS["figure7"])
    for axis, strip in zip(figure.axes[:2], arrays["strips"], strict=True):
        np.testing.assert_allclose(shown(axis), picture(strip))
        np.testing.assert_array_equal(axis.get_xticks(), arrays["seams"] - 0.5)
    ratio = seam_statistic(arrays["strips"], arrays["seams"])
    assert "moves by 3 columns" in texts(figure)
    assert f"{ratio.value:.2f} ± {ratio.stderr:.2f}" in texts(figure)


def test_figure7_puts_the_window_behind_the_columns_made_before_it(tmp_path):
    arrays = source_of("figure7", strips(tmp_path))
    figure = drawn("figure7", arrays, **SETTINGS["figure7"])
    canvas = figure.axes[2].images[0].get_array()
    before = picture(arrays["strips"][1])[:, 12 - 8 : 12]
    np.testing.assert_allclose(canvas[:, :8], before)
    np.testing.assert_allclose(canvas[:, 8:24], picture(arrays["snapshot"][1]))


def test_columns_are_frozen_active_or_pure_noise_as_their_ramps_say():
    state = WINDOW.schedule(torch.tensor([WINDOW.time], dtype=torch.float64))
    frozen, noise = column_roles(state.gamma[0].numpy(), state.beta[0].numpy())
    since = (WINDOW.time - WINDOW.schedule.start) / WINDOW.schedule.width
    np.testing.assert_array_equal(frozen, (since < 0).numpy())
    np.testing.assert_array_equal(noise, (since >= 1 - 1e-9).numpy())
    assert frozen.sum() > 0 and noise.sum() >= SHIFT


def test_figure8_has_a_row_of_original_noised_and_reconstructions(tmp_path):
    arrays = source_of("figure8", reconstructions(tmp_path))
    figure = drawn("figure8", arrays, **SETTINGS["figure8"])
    axes = np.reshape(figure.axes, (3, 4))
    for row, original, noised, keys in zip(
        axes, arrays["original"], arrays["noised"], arrays["reconstructions"], strict=True
    ):
        for axis, image in zip(row, (original, noised, *keys), strict=True):
            np.testing.assert_allclose(shown(axis), picture(image))
    assert "t = 0.5" in texts(figure) and "5, 7, 11" in texts(figure)


def test_figure9_has_the_ode_above_the_sde_and_a_from_left_to_right(tmp_path):
    loaded = source_of("figure9", samples(tmp_path))
    figure = drawn("figure9", loaded, **SETTINGS["figure9"])
    axes = np.reshape(figure.axes, (2, 3))
    images = {(sample.method, sample.a): sample.images[2] for sample in loaded}
    for row, method, name in zip(axes, ("ode", "euler_maruyama"), ("ODE", "SDE"), strict=True):
        assert row[0].get_ylabel() == name
        for axis, a in zip(row, (0.7, 1.0, 1.3), strict=True):
            np.testing.assert_allclose(shown(axis), picture(images[method, a]))
    assert [axis.get_title() for axis in axes[0]] == ["$a = 0.7$", "$1$", "$1.3$"]


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (("ode", 0.7), "twice"),
        (("ode", 0.9), "no samples by euler_maruyama at a = 0.9"),
        (("ode", 0.9, 1), "one experiment and seed"),
        (("ode", 0.9, 0, "other"), "one experiment and seed"),
    ],
)
def test_figure9_refuses_samples_that_fill_no_table(tmp_path, extra, message):
    paths = [*samples(tmp_path), sample(tmp_path, *extra)]
    loaded = source_of("figure9", paths)
    with pytest.raises(InputError, match=message):
        drawn("figure9", loaded, **SETTINGS["figure9"])


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("figure7", {"strip": 2}, "strip = 2 must be less than the 2 strips"),
        ("figure9", {"image": 4}, "image = 4 must be less than the 4"),
    ],
)
def test_what_is_not_there_is_refused_in_one_line(name, changes, message, tmp_path, capsys):
    sources = list(SOURCES[name](tmp_path))
    assert (
        status(
            draw, section(name, **SETTINGS[name] | changes), LABELS, sources, [tmp_path / "f.png"]
        )
        == 2
    )
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_files_of_another_kind_or_number_are_refused(tmp_path, capsys):
    (path,) = reconstructions(tmp_path)
    (tmp_path / "text.npz").write_text("text")
    calls = {
        "must hold strips": ["figure7", path],
        "cannot be read": ["figure8", tmp_path / "text.npz"],
        "figure8 is drawn from 1": ["figure8", path, path],
        "figure9 is drawn from one or more": ["figure9"],
        "must hold images": ["figure9", path],
    }
    for message, (name, *files) in calls.items():
        assert (
            status(draw, section(name, **SETTINGS[name]), LABELS, files, [tmp_path / "f.png"]) == 2
        )
        assert message in capsys.readouterr().err
