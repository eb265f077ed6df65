"""One real run of the workflow on embedded data, and what later changes make it compute again."""

import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from presets import ROOT, whole_preset

from gud.config.preset import load_preset

pytestmark = pytest.mark.slow


ALL = "all"
"""The target rule; here it makes the preset `tiny`."""


def test_a_finished_run_has_nothing_left_to_do(finished):
    assert finished.planned(ALL) == {}


def test_every_figure_and_table_of_the_demo_is_made(finished):
    results = finished.folder / "results/tiny"
    named = load_preset(ROOT / "config/demo.yaml").figures.named()
    made = {path.stem for kind in ("pdf", "csv") for path in results.glob(f"[ft]*s/*.{kind}")}
    assert made == {*named, "comparison"}
    assert all((results / f"{page}.md").stat().st_size for page in ("summary", "verdict"))


def test_every_artefact_has_a_record_and_the_chain_of_a_figure_verifies(finished):
    results = finished.folder / "results/tiny"
    for path in results.rglob("*"):
        made = path.suffix in {".npz", ".csv", ".pdf", ".png"} and "shards" not in path.parts
        if made and "logs" not in path.parts:
            assert Path(f"{path}.json").exists(), path
    for figure in ("figure2.pdf", "figure3.png", "figure5.pdf"):
        audit = subprocess.run(
            [sys.executable, "-m", "gud", "audit", str(results / "figures" / figure)],
            capture_output=True,
            text=True,
        )
        assert audit.returncode == 0, audit.stdout + audit.stderr


def test_the_table_holds_the_numbers_of_the_points(finished):
    results = finished.folder / "results/tiny"
    table = pd.read_csv(results / "tables/figure3.csv")
    assert set(table.experiment) == {"a_scan_isotropic", "a_scan_matching"}
    for row in table.itertuples():
        path = results / row.experiment / f"nll/a={row.a:g}_r=0.npz"
        bits = np.load(path)["bits_per_dim"]
        assert row.nll_bits_per_dim == pytest.approx(bits.mean())
    assert table.fid.notna().sum() == 2
    assert table[["sampler_variance_bias", "fid_errors_cover"]].notna().sum().tolist() == [2, 2]
    assert table[["scale_gaussian", "scale_png", "nll_errors_cover"]].notna().all(axis=None)
    assert set(table.fid_metric.dropna()) == {"FD, random features"}


def test_a_deleted_point_is_joined_again_from_its_shards(copy):
    point = copy.folder / "results/tiny/a_scan_isotropic/nll/a=0.6_r=0.npz"
    before = np.load(point)["bits_per_dim"]
    point.unlink()
    after = ("likelihoods", "comparison", "verdict", "summary", "all")
    of_figures = {"table": 2, "figure": 2}  # Figure 3, and what the networks see
    assert copy.planned(ALL) == {"point": 1} | of_figures | dict.fromkeys(after, 1)
    copy.run("results/tiny/a_scan_isotropic/nll/a=0.6_r=0.npz")
    assert np.array_equal(np.load(point)["bits_per_dim"], before)


def test_a_deleted_job_and_shard_are_computed_again_alone_to_the_same_bits(copy):
    folder = copy.folder / "results/tiny/a_scan_isotropic/nll"
    point, shard = folder / "a=0.6_r=0.npz", folder / "shards/a=0.6_r=0/000002.npz"
    before = np.load(point)["bits_per_dim"]
    written = {path: path.stat().st_mtime_ns for path in folder.glob("shards/*/*") if path != shard}
    receipts = [path for path in folder.glob("jobs/*.json") if ".json.json" not in path.name]
    (job,) = (path for path in receipts if "a=0.6_r=0/000002" in path.read_text())
    table = "results/tiny/tables/figure3.csv"
    for path in (point, shard, job, copy.folder / table):
        path.unlink()
    assert copy.planned(table) == {"evaluate": 1, "point": 2, "table": 1}
    copy.run(table)
    assert np.array_equal(np.load(point)["bits_per_dim"], before)
    assert written == {path: path.stat().st_mtime_ns for path in written}
    assert shard.exists()


def test_adding_a_value_of_a_computes_the_new_points_alone(copy):
    folder = copy.folder / "results/tiny/a_scan_isotropic/nll"
    written = {path: path.stat().st_mtime_ns for path in folder.glob("shards/*/*")}
    preset = whole_preset()
    preset["defaults"]["nll"]["grids"][0]["a"].append(1.5)
    copy.write(preset)
    table = "results/tiny/tables/figure3.csv"
    assert copy.planned(table) == {"evaluate": 2, "point": 4, "table": 1}
    copy.run(table)
    assert written == {path: path.stat().st_mtime_ns for path in written}
    new = set(folder.glob("shards/*/*")) - written.keys()
    assert {path.parent.name for path in new} == {"a=1.5_r=0"}
    assert 1.5 in pd.read_csv(copy.folder / table).a.tolist()


def test_a_value_of_a_is_added_also_where_snakemake_has_no_metadata(copy):
    shutil.rmtree(copy.folder / ".snakemake")
    assert copy.planned(ALL) == {}
    preset = whole_preset()
    preset["defaults"]["nll"]["grids"][0]["a"].append(1.5)
    copy.write(preset)
    planned = copy.planned(ALL)
    assert planned.keys() >= {"evaluate", "point", "table", "figure"}
    assert not planned.keys() & {"data", "fit_basis", "train", "quality"}


def test_a_newer_source_file_retrains_nothing(copy):
    for source in (ROOT / "gud").rglob("*.py"):
        source.touch()
    assert copy.planned(ALL) == {}


def test_one_figure_needs_its_own_experiments_alone(copy):
    shutil.rmtree(copy.folder / "results/tiny")
    planned = copy.planned("results/tiny/figures/figure5.pdf")
    assert planned["train"] == 1
    assert "quality" not in planned
    assert copy.planned("results/tiny/figures/figure2.png") == {
        "centre": 1,
        "data": 1,
        "figure": 1,
        "fit_basis": 1,
    }


def test_a_changed_training_setting_retrains_that_experiment_alone(copy):
    preset = whole_preset()
    preset["experiments"]["a_scan_matching"]["training"] = {"learning_rate": 0.002}
    del preset["figures"]["prior_and_input"]  # of networks trained alike
    copy.write(preset)
    planned = copy.planned("results/tiny/tables/figure3.csv")
    assert planned["train"] == 1
    assert planned["evaluate"] == 3
    assert planned["point"] == 3


def test_a_wrong_preset_stops_before_any_job_with_one_sentence(copy):
    preset = whole_preset()
    preset["defaults"]["training"]["batch_size"] = 0
    copy.write(preset)
    output = copy.run(ALL, succeeds=False)
    assert "training.batch_size = 0 is not allowed: input should be greater than 0" in output
    assert "Select jobs to execute" not in output


def test_a_run_killed_during_training_goes_on_from_its_checkpoint(copy, finished):
    preset = whole_preset()
    preset["experiments"]["a_scan_isotropic"]["training"] = {"steps": 200, "checkpoint_every": 10}
    del preset["figures"]["prior_and_input"]  # of networks trained alike
    copy.write(preset)
    folder = copy.folder / "results/tiny/a_scan_isotropic"
    shutil.rmtree(folder)
    target = "results/tiny/a_scan_isotropic/model.safetensors"
    process = subprocess.Popen(copy.command(target), start_new_session=True)
    try:
        deadline = time.monotonic() + 120
        while (
            not list(folder.glob("checkpoints/step-*.safetensors")) and time.monotonic() < deadline
        ):
            time.sleep(0.05)
        assert list(folder.glob("checkpoints/step-*.safetensors"))
    finally:
        subprocess.run(["pkill", "-9", "-g", str(process.pid)], check=False)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not (copy.folder / target).exists()
    copy.run("--unlock", target)
    output = copy.run(target)
    assert "resumes after step" in output
    assert (copy.folder / target).exists()


def test_the_python_example_of_the_readme_runs_on_a_finished_run(finished, monkeypatch):
    readme = (ROOT / "README.md").read_text()
    example = re.search(r"```python\n(.*?)```", readme, re.S)[1]
    monkeypatch.chdir(finished.folder)
    exec(example.replace("results/demo", "results/tiny").replace("demo.yaml", "tiny.yaml"), {})


def test_the_papers_run_is_planned_in_full_without_any_download():
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "-n", "all", "--directory", str(ROOT)],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for rule in (
        "download",
        "data",
        "centre",
        "fit_basis",
        "spectrum",
        "train",
        "evaluate",
        "point",
        "quality",
        "figure",
        "summary",
    ):
        assert re.search(rf"^{rule} +\d+$", done.stdout + done.stderr, re.M), rule
