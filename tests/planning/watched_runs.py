"""A run of one experiment by the real programs, for tests of what is said of it."""

import os
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr
from pathlib import Path

from commands import gud
from presets import as_yaml, tiny_preset

from gud.config.jobs import get_evaluation
from gud.config.preset import load_preset
from gud.planning import watch
from gud.planning.signs import Row

NAME = "a_scan_isotropic"
STEPS = 100_000


class Run:
    """One experiment of a preset, computed by the real programs in a folder of its own."""

    def __init__(self, folder: Path):
        self.results, self.file = folder / "results", folder / "tiny.yaml"
        self.change_steps(STEPS)
        self.experiment, self.logs = self.results / NAME, self.results / "logs" / NAME
        self.data = self.results / "data/natural16.npz"
        self.statistics = self.results / "data/natural16.pca.safetensors"

    def prepare(self) -> None:
        self.logs.mkdir(parents=True)
        made = ["--name", "natural16", "--out", self.data]
        assert gud("dataset", "--preset", self.file, *made) == 0
        fitted = ["--data", self.data, "--out", self.statistics]
        assert gud("statistics", "--basis", "pca", "--mirrored", *fitted) == 0

    def change_steps(self, steps: int) -> None:
        preset = tiny_preset()
        training = {"steps": steps, "checkpoint_every": 5, "log_every": 2}
        preset["defaults"]["training"] |= training
        self.file.write_text(as_yaml(preset))
        self.preset = load_preset(self.file)

    def asked(self) -> list[str]:
        return ["--preset", str(self.file), "--experiment", NAME]

    def train_words(self) -> list[str]:
        inputs = ["--data", str(self.data), "--statistics", str(self.statistics)]
        out = ["--out", str(self.experiment / "model.safetensors"), "--device", "cpu"]
        return ["train", *self.asked(), *inputs, *out]

    def start(self) -> subprocess.Popen:
        """A training in a process of its own."""
        with open(self.logs / "train.log", "w") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "gud", *self.train_words()],
                stderr=log,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
            )

    def train(self) -> int:
        with open(self.logs / "train.log", "w") as log, redirect_stderr(log):
            return gud(*self.train_words())

    def jobs(self) -> list[str]:
        return list(get_evaluation(self.preset, NAME, "nll").jobs())

    def job(self, number: int, **changes: str) -> int:
        """A job of the likelihood, with its log where the workflow writes it."""
        name = self.jobs()[number]
        options = {
            "quantity": "nll",
            "job": name,
            "model": str(self.experiment / "model.safetensors"),
            "data": str(self.data),
            "out": str(self.experiment / f"nll/jobs/{name}.json"),
        } | changes
        words = [word for key, value in options.items() for word in (f"--{key}", value)]
        log = self.logs / f"nll/jobs/{name}.log"
        return gud("--log", log, "evaluate", *self.asked(), *words)

    def join(self, point: str) -> int:
        out = ["--out", self.experiment / f"nll/{point}.npz"]
        made = [self.experiment / "model.safetensors", self.data]
        return gud("join", *self.asked(), "--quantity", "nll", "--point", point, *out, *made)

    def row(self, what: str, now: float | None = None) -> Row:
        rows = watch.observe(self.preset, self.results, time.time() if now is None else now)
        return {row.what: row for row in rows}[f"{NAME} {what}" if what != "data" else what]

    def training(self, now: float | None = None) -> Row:
        return self.row("training", now)

    def steps_saved(self) -> list[int]:
        folder = self.experiment / "checkpoints"
        return sorted(int(path.stem[5:]) for path in folder.glob("step-*"))


def wait(condition, process: subprocess.Popen, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "the training ended"
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.02)


def stop(run: Run) -> None:
    """A training that was stopped by SIGTERM once it had rows and checkpoints."""
    process = run.start()
    wait(lambda: run.steps_saved() and (run.experiment / "training.csv").exists(), process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 75
