"""One file in gud/figures and one section of a preset are a figure that the workflow makes."""

import os
import re
import shutil
import subprocess
import sys

import pytest
import yaml
from presets import ROOT, as_yaml, tiny_preset

FIGURE = '''
"""How many images there are of each split."""

from typing import ClassVar

from gud.config.figures import FigureSection
from gud.config.paths import data_file
from gud.config.sections.section import Name


class Splits(FigureSection):
    data: Name
    bars: list[str]

    title: ClassVar[str] = "Images of each split"
    caption: ClassVar[str] = "How many images there are."

    def claims(self, preset):
        if not self.bars:
            yield ("bars",), "= [] must name a split"

    def sources(self, preset):
        return [data_file(self.data)]

    def read(self, paths):
        from gud.data import datasets

        (path,) = self.only(paths)
        return {split: len(datasets.load(path, split)) for split in self.bars}

    def draw(self, source, labels):
        from matplotlib.figure import Figure

        from gud.figures.drawing.style import small_print

        figure = Figure(figsize=(3, 2))
        figure.subplots().bar(list(source), list(source.values()))
        small_print(figure, labels.data_note, labels.stand_in_note)
        return figure
'''
TABLE = '''
"""A table of its own."""

from typing import ClassVar

from gud.config.figures import TableSection
from gud.config.sections.section import Name


class Scans(TableSection):
    experiments: list[Name]

    title: ClassVar[str] = "Scans"
'''


@pytest.fixture
def workspace(tmp_path):
    """A copy of the project with two more files in it, and a preset with two more sections."""
    for name in ("gud", "workflow"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    for name in ("Snakefile", "environment.yml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "gud/figures/further/splits.py").write_text(FIGURE)
    (tmp_path / "gud/figures/further/scans.py").write_text(TABLE)
    preset = tiny_preset()
    preset["figures"] |= {
        "splits": {"data": "natural16", "bars": ["train", "test"]},
        "scans": {"experiments": ["a_scan_isotropic"]},
    }
    (tmp_path / "config").mkdir()
    (tmp_path / "config/tiny.yaml").write_text(as_yaml(preset))
    return tmp_path


def snakemake(folder, *arguments, succeeds=True):
    done = subprocess.run(
        [
            *(sys.executable, "-m", "snakemake", "--profile", str(ROOT / "profiles/default")),
            *("--cores", "1", *arguments),
        ],
        capture_output=True,
        text=True,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
    )
    assert (done.returncode == 0) == succeeds, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_one_file_and_one_section_are_a_figure_that_the_workflow_makes(workspace):
    snakemake(workspace, "results/tiny/figures/splits.pdf")
    drawn = workspace / "results/tiny/figures"
    assert (drawn / "splits.pdf").read_bytes().startswith(b"%PDF")
    assert b"Images of each split" in (drawn / "splits.png").read_bytes()
    output = snakemake(workspace, "-n", "results/tiny/tables/scans.csv")
    planned = dict(re.findall(r"^(\w+) +(\d+)$", output, re.M))
    assert (planned["point"], planned["quality"], planned["table"]) == ("3", "1", "1")


def test_what_the_file_claims_refuses_a_preset(workspace):
    file = workspace / "config/tiny.yaml"
    preset = yaml.safe_load(file.read_text())
    for bars, sentence in (
        ([], "figures.splits.bars = [] must name a split"),
        (3, "figures.splits.bars = 3 is not allowed"),
    ):
        preset["figures"]["splits"]["bars"] = bars
        file.write_text(as_yaml(preset))
        done = subprocess.run(
            [sys.executable, "-m", "gud", "watch", "config/tiny.yaml"],
            capture_output=True,
            text=True,
            cwd=workspace,
            env=os.environ | {"PYTHONPATH": str(workspace)},
        )
        assert done.returncode == 2 and sentence in done.stderr


def test_reading_presets_imports_nothing_that_draws_or_computes():
    program = (
        "import sys; from gud.config.preset import load_preset; load_preset('config/demo.yaml');"
        "print([name for name in ('matplotlib', 'torch', 'pandas', 'numpy', 'jaxtyping') "
        "if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.strip() == "[]"
