"""Files of figures: their formats, records and bytes, and what is refused before one is written."""

import os
import subprocess
import sys
import time

import pandas as pd
import pytest
import torch
from commands import gud, status, write_preset
from figure_tables import LABELS, STAND_IN, drawn, section, texts
from presets import ROOT

from gud.config.figures import figure_settings
from gud.config.sections.bases import PrincipalBasis
from gud.data.statistics import save
from gud.diffusion.representation import Statistics
from gud.errors import InputError
from gud.figures.drawing.draw import draw
from gud.provenance import read_record

OF_PCA = LABELS.model_copy(update={"basis": PrincipalBasis(name="pca"), "gamma_denoise": -7.0})


def source(folder, name, table):
    if name == "figure2":
        path = folder / "statistics.safetensors"
        mean = torch.zeros(3, 8, 8, dtype=torch.float64)
        variance = torch.linspace(4.0, -6.0, 64, dtype=torch.float64).exp()
        save(path, Statistics(mean, variance), PrincipalBasis(name="pca"))
    else:
        path = folder / f"{name}.csv"
        table.to_csv(path, index=False)
    return path


@pytest.fixture
def sources(tmp_path, scan, plane, softness):
    tables = {"figure2": None, "figure3": scan, "figure5": plane, "wavelets": softness}
    return {name: source(tmp_path, name, table) for name, table in tables.items()}


@pytest.mark.parametrize("name", ["figure2", "figure3", "figure5", "wavelets"])
def test_both_formats_are_written_with_their_records(name, sources, tmp_path):
    files = [tmp_path / "out" / f"f{suffix}" for suffix in (".pdf", ".png")]
    draw(section(name), OF_PCA, [sources[name]], files)
    pdf, png = (file.read_bytes() for file in files)
    assert pdf.startswith(b"%PDF") and png.startswith(b"\x89PNG")
    assert b"/FontFile2" in pdf and b"/Type3" not in pdf
    assert STAND_IN.encode() in png
    for file in files:
        record = read_record(file)
        assert record["settings"] == figure_settings(section(name), OF_PCA)
        assert record["settings"]["stand_in"] == STAND_IN and len(record["inputs"]) == 1


@pytest.mark.slow
def test_another_process_on_another_day_writes_the_same_bytes(tmp_path, sources):
    def draw_all(folder):
        for name in ("figure2", "figure3", "figure5"):
            out = [folder / f"{name}{suffix}" for suffix in (".pdf", ".png")]
            draw(section(name), OF_PCA, [sources[name]], out)

    draw_all(tmp_path / "first")
    code = """
import sys
from pathlib import Path
from figure_tables import LABELS, section
from gud.figures.drawing.draw import draw
from gud.config.figures import Labels
labels = Labels.model_validate_json(sys.argv[1])
for path in sys.argv[3:]:
    name, out = path.split("=")[0], Path(sys.argv[2])
    files = [out / f"{name}{suffix}" for suffix in (".pdf", ".png")]
    draw(section(name), labels, [Path(path.split("=")[1])], files)
"""
    words = [f"{name}={sources[name]}" for name in ("figure2", "figure3", "figure5")]
    folders = (str(ROOT / folder) for folder in ("tests/figures", "tests/shared"))
    path = os.pathsep.join([os.environ.get("PYTHONPATH", ""), *folders])
    epoch = str(int(time.time()) + 86400)
    subprocess.run(
        [sys.executable, "-c", code, OF_PCA.model_dump_json(), tmp_path / "second", *words],
        env=os.environ | {"PYTHONHASHSEED": "7", "SOURCE_DATE_EPOCH": epoch, "PYTHONPATH": path},
        check=True,
    )
    written = sorted((tmp_path / "first").glob("*.p??"))
    assert len(written) == 6
    for file in written:
        assert file.read_bytes() == (tmp_path / "second" / file.name).read_bytes(), file.name


def test_an_unknown_format_or_a_missing_source_is_refused(tmp_path, sources, capsys):
    wrong = {
        "must end in .pdf or .png": [sources["figure3"], "f.svg"],
        "cannot be read": [tmp_path / "none.csv", "f.pdf"],
    }
    for message, (path, out) in wrong.items():
        assert status(draw, section("figure3"), LABELS, [path], [tmp_path / out]) == 2
        assert message in capsys.readouterr().err


def test_a_figure_that_the_preset_does_not_make_is_refused(tmp_path, capsys):
    preset = write_preset(tmp_path / "tiny.yaml")
    assert gud("figure", "figure8", "--preset", preset, "--out", tmp_path / "f.png", "x.npz") == 2
    assert "the preset has no figure8 in its section figures" in capsys.readouterr().err


def test_dollars_in_titles_are_dollars(plane, tmp_path):
    title = r"images at $5 \frac and $6"
    labels = LABELS.model_copy(update={"dataset": title, "stand_in": "$x_{ $"})
    figure = drawn("figure5", plane, labels)
    figure.savefig(tmp_path / "figure.pdf")
    assert title in texts(figure).replace(r"\$", "$").replace("\n", " ")


def test_stand_in_is_printed_in_every_figure_and_nothing_if_there_is_none(scan, plane):
    variance = torch.linspace(4.0, -6.0, 64, dtype=torch.float64).exp()
    for name, shown in (("figure2", variance), ("figure3", scan), ("figure5", plane)):
        assert STAND_IN in texts(drawn(name, shown, OF_PCA))
        nothing = OF_PCA.model_copy(update={"stand_in": ""})
        assert "tand-in" not in texts(drawn(name, shown, nothing))


def test_a_figure_refuses_points_without_its_parameters(plane, softness):
    for name, table in (
        ("wavelets", plane.assign(experiment="haar")),
        ("figure5", softness.assign(experiment="white")),
        ("wavelets", pd.concat([softness, softness.drop(columns="b")])),
    ):
        with pytest.raises(InputError, match="for the points of"):
            drawn(name, table)
