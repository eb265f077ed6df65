"""What `make demo` and its like print when the workflow is done."""

import os
import subprocess

import pytest
from presets import ROOT

CLAIMS = [
    "| verdict | claims |",
    "| confirmed | 2 |",
    "",
    "| not tested | needs |",
    "| FID | paper |",
]
PAGES = {"quick.md": "| experiment | lowest NLL |\n", "verdict-quick.md": "\n".join([*CLAIMS, ""])}
ASKED = 'echo "$@" >> "$ASKED"\n'
DONE = 'for word in "$@"; do case $word in *.zip) touch "$word";; esac; done\n'


@pytest.mark.parametrize(
    ("target", "preset"), [("demo", "demo"), ("demo-psld", "demo_psld")], ids=str
)
def test_a_demo_prints_its_results_and_the_claims_that_have_data(tmp_path, target, preset):
    """The workflow is a command that notes what it was asked for: its results are there already."""
    (tmp_path / "Makefile").symlink_to(ROOT / "Makefile")
    for name, text in {"pyproject.toml": "", "constraints.txt": "", ".venv/installed": ""}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    results = tmp_path / "results" / preset
    results.mkdir(parents=True)
    for name, text in PAGES.items():
        (results / name).write_text(text)
    snakemake = tmp_path / ".venv/bin/snakemake"
    snakemake.parent.mkdir()
    snakemake.write_text(f"#!/bin/sh\n{ASKED}{DONE}")
    snakemake.chmod(0o755)
    asked = tmp_path / "asked"
    # Without what a make that runs these tests tells its own.
    own = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    made = subprocess.run(
        ["make", target],
        cwd=tmp_path,
        env={**own, "ASKED": str(asked)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert asked.read_text().splitlines() == [
        f"--cores all {preset}",
        f"results/{preset}/quick.md --report results/{preset}/report-quick.zip",
    ]
    assert "| experiment | lowest NLL |" in made.stdout and "| confirmed | 2 |" in made.stdout
    assert "not tested" not in made.stdout and "| FID | paper |" not in made.stdout
    assert made.stdout.splitlines()[-1].endswith(f"results/{preset}/verdict-quick.md")
