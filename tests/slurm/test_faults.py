"""What goes wrong on a cluster costs no more than the work since the last checkpoint or shard.

All of it happens in two runs, which must end with the results of an undisturbed one.
"""

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
from cluster import wait_for
from pipeline import MODEL, STEPS, Pipeline, scan_preset

from gud.config.jobs import get_evaluation

pytestmark = pytest.mark.cluster

PATIENCE = 800.0


@dataclass
class Troubled:
    """A run on the cluster and what was done to it: steps and shards known before each fault."""

    pipeline: Pipeline
    steps: dict[str, int] = field(default_factory=dict)
    shards: dict[str, dict] = field(default_factory=dict)

    def hold(self, out: str, found: Callable[[], bool], what: str) -> int:
        """Stop the process that writes `out` once `found()`, so that it is hit in its midst."""
        wait_for(lambda: found() and self.pipeline.payload(out), PATIENCE, what)
        process = self.pipeline.payload(out)
        os.kill(process, signal.SIGSTOP)
        return process

    def hold_training(self, model: str, after: int = 0) -> int:
        """Stop a training once it has a checkpoint of more than `after` steps."""
        steps = self.pipeline.steps
        return self.hold(model, lambda: (steps(model) or [0])[0] > after, f"training of {model}")

    def cancel_training(self) -> None:
        model = MODEL.format("tiny")
        self.hold_training(model)
        self.steps["cancelled"] = self.pipeline.steps(model)[0]
        job = self.pipeline.job("rule_train_wildcards_tiny_a_scan_isotropic")
        self.pipeline.cluster.run("scancel", job)

    def kill_training_and_spoil_its_last_checkpoint(self) -> None:
        model = MODEL.format("tiny").replace("isotropic", "matching")
        process = self.hold_training(model, after=5)
        last, before = self.pipeline.steps(model)
        self.steps["killed"] = before
        path = (self.pipeline.folder / model).parent / f"checkpoints/step-{last:08d}.safetensors"
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        os.kill(process, signal.SIGKILL)

    def fill_the_disk(self) -> None:
        model = MODEL.format("full")
        process = self.hold_training(model)
        filler = (self.pipeline.folder / model).parent / "checkpoints/filler"
        with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        self.steps["disk full"] = self.pipeline.steps(model)[0]
        os.kill(process, signal.SIGCONT)
        training = "full/logs/a_scan_isotropic/train"
        wait_for(lambda: "cannot be written" in self.pipeline.log(training), PATIENCE, "complaint")
        filler.unlink()

    def run_out_of_time(self) -> None:
        """Hold a training until its allocation is nearly over."""
        model = MODEL.format("short")
        process = self.hold_training(model)
        end = self.pipeline.end_of("rule_train_wildcards_short_a_scan_isotropic")
        time.sleep(max(0.0, end - time.time() - 20))
        os.kill(process, signal.SIGCONT)
        wait_for(lambda: self.pipeline.payload(model) != process, PATIENCE, "end of a turn")
        self.steps["out of time"] = self.pipeline.steps(model)[0]

    def disturb_evaluation(self, experiment: str) -> None:
        shards = self.pipeline.folder / f"results/tiny/{experiment}/nll/shards"
        (name,) = get_evaluation(self.pipeline.preset("tiny"), experiment, "nll").jobs()
        out = f"results/tiny/{experiment}/nll/jobs/{name}.json"
        process = self.hold(out, lambda: len(list(shards.rglob("0*.npz"))) > 2, "three shards")
        self.shards[experiment] = {path: path.stat().st_mtime_ns for path in shards.rglob("0*.npz")}
        if experiment == "a_scan_isotropic":
            job = self.pipeline.job(f"rule_evaluate_wildcards_tiny_{experiment}_nll_{name}")
            self.pipeline.cluster.run("scancel", job)
        else:
            os.kill(process, signal.SIGKILL)


@pytest.fixture(scope="module")
def troubled(cluster, undisturbed, tmp_path_factory):
    """Four presets in one run: `tiny` to its likelihoods, of the others one training."""
    presets = {
        "tiny": scan_preset(),
        "small": scan_preset(mem_mb=400),
        "full": scan_preset(),
        "short": scan_preset(train_minutes=2),
    }
    pipeline = Pipeline(tmp_path_factory.mktemp("faults"), cluster, **presets)
    for name in presets:
        pipeline.take_data(undisturbed, name)
    disk = (pipeline.folder / MODEL.format("full")).parent / "checkpoints"
    disk.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], check=True)
    run = Troubled(pipeline)
    try:
        models = (MODEL.format(name) for name in presets)
        process = pipeline.start(*pipeline.likelihoods("tiny"), *models)
        with ThreadPoolExecutor(max_workers=6) as pool:
            faults = [
                pool.submit(run.cancel_training),
                pool.submit(run.kill_training_and_spoil_its_last_checkpoint),
                pool.submit(run.fill_the_disk),
                pool.submit(run.run_out_of_time),
                pool.submit(run.disturb_evaluation, "a_scan_isotropic"),
                pool.submit(run.disturb_evaluation, "a_scan_matching"),
            ]
            pipeline.ends(process)
        for fault in faults:
            fault.result()
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
    return run


def goes_on_after(pipeline, training: str) -> int:
    """The step after which the last attempt of a training went on."""
    return int(re.search(r"resumes after step (\d+)", pipeline.log(training))[1])


def test_the_run_ends_with_the_results_of_an_undisturbed_one(troubled, undisturbed):
    pipeline = troubled.pipeline
    points = pipeline.likelihoods("tiny")
    assert len(points) == 4
    for point in points:
        assert pipeline.digest(point) == undisturbed.digest(point)
    wanted = undisturbed.digest(MODEL.format("tiny"))
    assert {pipeline.digest(MODEL.format(name)) for name in ("tiny", "small", "full", "short")} == {
        wanted
    }


def test_a_cancelled_training_goes_on_from_its_last_checkpoint(troubled):
    step = goes_on_after(troubled.pipeline, "tiny/logs/a_scan_isotropic/train")
    assert step >= troubled.steps["cancelled"] > 0


def test_a_killed_training_goes_on_from_the_checkpoint_before_a_corrupted_one(troubled):
    log = troubled.pipeline.log("tiny/logs/a_scan_matching/train")
    assert "is corrupted" in log
    step = goes_on_after(troubled.pipeline, "tiny/logs/a_scan_matching/train")
    assert step == troubled.steps["killed"] > 0


def test_a_full_disk_keeps_the_last_checkpoint_and_the_run_goes_on_from_it(troubled):
    step = goes_on_after(troubled.pipeline, "full/logs/a_scan_isotropic/train")
    assert step == troubled.steps["disk full"] > 0


def test_a_training_that_runs_out_of_time_takes_another_turn_in_the_queue(troubled):
    jobs = troubled.pipeline.cluster.run("scontrol", "--oneliner", "show", "job").splitlines()
    turns = [
        int(re.search(r"Restarts=(\d+) ", job)[1]) for job in jobs if "train_wildcards_short" in job
    ]
    assert turns[0] >= 1
    step = goes_on_after(troubled.pipeline, "short/logs/a_scan_isotropic/train")
    assert step >= troubled.steps["out of time"] > 0


def test_a_job_that_needs_more_memory_gets_it_at_its_second_attempt(troubled):
    said = troubled.pipeline.said()
    assert re.search(
        r"rule train:.*?preset=small.*?mem_mb=400,.*?preset=small.*?mem_mb=800,", said, re.S
    )
    jobs = troubled.pipeline.cluster.run("scontrol", "--oneliner", "show", "job").splitlines()
    states = [
        re.search(r"JobState=(\w+)", job)[1] for job in jobs if "train_wildcards_small" in job
    ]
    assert states == ["FAILED", "COMPLETED"]
    logs = troubled.pipeline.folder.glob(".snakemake/slurm_logs/rule_train/small*/*.log")
    assert any("exceeded memory limit" in log.read_text() for log in logs)


@pytest.mark.parametrize("experiment", ["a_scan_isotropic", "a_scan_matching"])
def test_a_disturbed_evaluation_keeps_its_finished_shards(troubled, experiment):
    before = troubled.shards[experiment]
    assert len(before) >= 3
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_a_second_snakemake_is_refused_and_after_the_death_of_the_first_waits_for_its_orphan(
    cluster, undisturbed, tmp_path
):
    pipeline, model = Pipeline(tmp_path / "run", cluster, tiny=scan_preset()), MODEL.format("tiny")
    pipeline.take_data(undisturbed, "tiny")
    first = pipeline.start(model)
    orphan = Troubled(pipeline).hold_training(model)
    second = pipeline.start(model, log="second.log")
    assert second.wait(timeout=PATIENCE) == 1
    assert "cannot be locked" in pipeline.said("second.log")
    first.kill()
    first.wait()
    assert pipeline.start("--unlock", model, log="unlock.log").wait(timeout=PATIENCE) == 0
    third = pipeline.start(model, log="third.log")
    training = "tiny/logs/a_scan_isotropic/train"
    wait_for(lambda: "waiting for process" in pipeline.log(training), PATIENCE, "waiting run")
    os.kill(orphan, signal.SIGCONT)
    pipeline.ends(third, "third.log")
    assert goes_on_after(pipeline, training) == STEPS
    assert pipeline.digest(model) == undisturbed.digest(model)


def test_a_preempted_training_is_requeued_and_goes_on_from_its_checkpoint(
    cluster, undisturbed, tmp_path
):
    pipeline, model = Pipeline(tmp_path / "run", cluster, tiny=scan_preset()), MODEL.format("tiny")
    pipeline.take_data(undisturbed, "tiny")
    run = pipeline.start(model)
    held = Troubled(pipeline).hold_training(model)
    step = pipeline.steps(model)[0]
    cluster.run("sbatch", "-p", "urgent", "--exclusive", "-o", "/dev/null", "--wrap", "sleep 1")
    wait_for(lambda: not os.path.exists(f"/proc/{held}"), PATIENCE, "preemption")
    pipeline.ends(run)
    (job,) = (
        job
        for job in cluster.run("scontrol", "--oneliner", "show", "job").splitlines()
        if f"StdOut={pipeline.folder}" in job
    )
    assert "Restarts=1 " in job and "JobState=COMPLETED" in job
    assert goes_on_after(pipeline, "tiny/logs/a_scan_isotropic/train") >= step > 0
    assert pipeline.digest(model) == undisturbed.digest(model)
