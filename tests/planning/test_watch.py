"""What the screen says of a run, compared with what really happens to that run."""

import fcntl
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from commands import gud, write_preset
from presets import ROOT
from watched_runs import STEPS, Run, stop, wait

from gud.config import inputs, paths
from gud.config.preset import load_preset
from gud.planning import watch
from gud.planning.signs import STATES, lock_holder
from gud.planning.stages import stages
from gud.training.checkpoint import Checkpoints


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    Run(folder).prepare()
    return folder


@pytest.fixture
def run(prepared, tmp_path) -> Run:
    shutil.copytree(prepared, tmp_path / "run")
    return Run(tmp_path / "run")


def files(folder: Path) -> dict[Path, float]:
    return {path: path.stat().st_mtime for path in folder.rglob("*")}


@pytest.mark.slow
def test_a_training_is_waiting_then_running_then_stopped_and_watching_writes_nothing(run, capsys):
    assert run.row("data").state == "finished"
    before = run.training()
    assert (before.state, before.done, before.planned) == ("waiting", 0, STEPS)
    process = run.start()
    try:
        wait(lambda: run.steps_saved() and (run.experiment / "training.csv").exists(), process)
        row = run.training()
        assert row.state == "running"
        assert f"lock held by process {process.pid} on {platform.node()}" in row.evidence
        assert 0 < row.done < STEPS and row.done % 2 == 0
        assert "loss " in row.evidence and " left, " in row.evidence
        reached = run.steps_saved()[-1]
        for _ in range(20):
            run.training()
        wait(lambda: run.steps_saved()[-1] > reached, process)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 75
    row = run.training()
    assert row.state == "stopped"
    assert f"checkpoint of step {run.steps_saved()[-1]}, nobody holds the lock" in row.evidence
    found = files(run.results)
    assert gud("watch", run.file, "--results", run.results) == 0
    assert files(run.results) == found
    closing = capsys.readouterr().out.splitlines()[-1]
    states = Counter(row.state for row in watch.observe(run.preset, run.results, time.time()))
    assert closing == ", ".join(f"{states[state]} {state}" for state in STATES)


@pytest.mark.slow
def test_a_failed_training_shows_its_error_until_it_is_started_again(run, capsys):
    stop(run)
    run.change_steps(1)
    assert run.train() == 2
    error = (run.logs / "train.log").read_text().splitlines()[-1]
    assert error.startswith("error: training.steps = 1 lies before the checkpoint")
    row = run.training()
    assert row.state == "failed" and row.evidence.endswith(error)
    assert gud("watch", run.file, "--results", run.results) == 1
    assert error in capsys.readouterr().out
    last = run.steps_saved()[-1]
    run.change_steps(last + 3)
    assert run.train() == 0
    row = run.training()
    assert (row.state, row.done, row.planned) == ("finished", last + 3, last + 3)


def test_shards_points_and_failed_jobs_of_a_likelihood_are_counted(run):
    assert run.row("nll").state == "waiting"
    run.change_steps(2)
    assert run.train() == 0
    assert run.row("nll").evidence.endswith("no job has begun")
    # Two points of two shards each, three of them in the first job.
    assert run.job(0) == 0
    row = run.row("nll")
    assert (row.state, row.done, row.planned) == ("running", 3, 4)
    assert "0/2 points merged" in row.evidence and " shards/h" in row.evidence
    row = run.row("nll", time.time() + 3600)
    assert (row.state, row.done) == ("stopped", 3)
    assert run.job(1, data="nowhere.npz") == 2
    row = run.row("nll")
    assert (row.state, row.done) == ("failed", 3)
    assert row.evidence.endswith("error: data set nowhere.npz does not exist")
    assert f"1 failed, {run.jobs()[1]}.log: " in row.evidence
    assert run.job(1) == 0
    assert (run.row("nll").state, run.row("nll").done) == ("running", 4)
    assert run.join("a=0.6_r=0") == 0
    assert "1/2 points merged" in run.row("nll").evidence
    assert run.join("a=1_r=0") == 0
    assert run.row("nll").state == "finished"
    os.utime(run.experiment / "model.safetensors", (time.time() + 1, time.time() + 1))
    row = run.row("nll")
    assert row.done == 0 and "4 shards older than the model not counted" in row.evidence


@pytest.mark.slow
def test_the_age_of_rows_tells_where_the_lock_of_another_machine_is_not_seen(run, monkeypatch):
    stop(run)
    (run.logs / "train.log").unlink()
    os.utime(run.experiment / "training.csv")
    assert run.training().state == "stopped"
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(platform, "node", lambda: "elsewhere")
        with Checkpoints(run.experiment / "checkpoints", {}).locked():
            pass
    row = run.training()
    assert row.state == "running" and "its lock cannot be seen from here" in row.evidence
    assert run.training(time.time() + 3600).state == "stopped"


def test_a_lock_is_held_by_nobody_once_it_was_tried(tmp_path):
    with Checkpoints(tmp_path, {}).locked():
        holder, _ = lock_holder(tmp_path / "lock")
        assert holder == f"process {os.getpid()} on {platform.node()}"
    assert lock_holder(tmp_path / "lock") == (None, True)
    with open(tmp_path / "lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_the_trainings_of_classifiers_are_told_like_those_of_networks(tmp_path):
    preset = load_preset(ROOT / "config/demo_psld.yaml")

    def rows():
        found = {row.what: row for row in watch.observe(preset, tmp_path, time.time())}
        return [found[f"psld_001 {name} training"] for name in ("guide", "judge")]

    assert [(row.state, row.planned) for row in rows()] == [("waiting", 400)] * 2
    guide, judge = (tmp_path / f"psld_001/classifiers/{name}" for name in ("guide", "judge"))
    for folder in (guide, judge):
        folder.mkdir(parents=True)
        columns = "step,loss,images_per_second,seconds"
        (folder / "training.csv").write_text(f"{columns}\n20,1.5,640,2\n")
    (guide / "model.safetensors").touch()
    log = tmp_path / "logs/psld_001/classifiers/judge.log"
    log.parent.mkdir(parents=True)
    log.write_text("error: the loss is not finite\n")
    finished, failed = rows()
    assert (finished.state, finished.done) == ("finished", 400)
    assert (failed.state, failed.done) == ("failed", 20)
    assert "loss 1.5" in failed.evidence and "the loss is not finite" in failed.evidence


def test_a_preset_is_finished_once_all_that_its_run_makes_is_there_and_not_before(tmp_path):
    preset = load_preset(write_preset(tmp_path / "tiny.yaml"))
    targets = inputs.targets(preset, "summary")
    made = {file for stage in stages(preset) for file in stage.made} | set(targets)
    made |= {*inputs.all_tables(preset), *inputs.figures(preset, "summary")}
    made |= {paths.scale_file(name) for name in preset.experiments}
    made |= {inputs.statistics(preset, name) for name in preset.experiments}
    made |= {paths.data_file(name) for name in preset.data}
    for file in made:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
        os.utime(tmp_path / file, (1e9, 1e9))

    def states():
        return {row.state for row in watch.observe(preset, tmp_path, 2e9)}

    assert states() == {"finished"}
    for file in targets:
        (tmp_path / file).rename(tmp_path / "elsewhere")
        assert states() > {"finished"}, file
        (tmp_path / "elsewhere").rename(tmp_path / file)


def test_logs_lie_where_watching_looks_for_them():
    rules = "".join(file.read_text() for file in sorted((ROOT / "workflow/rules").glob("*.smk")))
    trainings = [
        paths.training_log("{experiment}"),
        paths.classifier_log("{experiment}", "{classifier}"),
    ]
    checked = 0
    for rule in re.split(r"^(?:use )?rule ", rules, flags=re.MULTILINE)[1:]:
        outputs = re.sub(r" input:.*? output:", " output:", rule, flags=re.DOTALL)
        files = re.findall(r'"<results>/\{preset\}/([^"]+)"', outputs)
        made = [file for file in files if not file.startswith(("logs/", "benchmarks/"))]
        (log,) = [file for file in files if file.startswith("logs/")] or [None]
        if log is not None and log not in trainings:
            assert log in map(paths.log_file, made), rule
            pictures = [file for file in made if file.endswith(".png")]
            assert {paths.log_file(picture) for picture in pictures} <= {log}
            checked += 1
    assert checked >= 15


def test_it_repeats_while_something_is_unfinished(run):
    watch = [sys.executable, "-m", "gud", "watch"]
    command = [*watch, str(run.file), "--results", str(run.results)]
    with subprocess.Popen(
        [*command, "--every", "0.1"], stdout=subprocess.PIPE, text=True
    ) as process:
        screens = 0
        while screens < 3:
            line = process.stdout.readline()
            assert line, "it ended"
            screens += " finished, " in line
        process.kill()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["demo", "--every", "0"], "error: --every 0: expected more than 0 seconds"),
        (["nowhere.yaml"], "error: preset nowhere.yaml cannot be read: No such file or directory"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(arguments, sentence, capsys):
    assert gud("watch", *arguments) == 2
    assert capsys.readouterr().err.strip() == sentence
