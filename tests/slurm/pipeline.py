"""Small runs of the workflow, on a test cluster or on this machine, and a look into their jobs."""

import hashlib
import itertools
import os
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pandas as pd
from cluster import Cluster
from presets import ROOT, as_yaml, tiny_preset

from gud.config.paths import point_files
from gud.config.preset import Preset, load_preset

FIGURE = "results/tiny/figures/figure3.pdf"
MODEL = "results/{}/a_scan_isotropic/model.safetensors"
STEPS = 100
CLOCKS_AND_DEVICES = ["seconds", "device", "quality_seconds", "quality_device"]
"""The columns of a table that tell how fast and on what a number was computed."""


def scan_preset(**compute):
    """Figure 3 with trainings of some seconds, and one job for each evaluation; `compute` wins.

    Samples are of one network alone.
    """
    preset = tiny_preset()
    preset["figures"] = {"figure3": preset["figures"]["figure3"]}
    preset["quick"] = ["figure3"]
    del preset["experiments"]["ordering_scan"]
    preset["experiments"]["a_scan_matching"]["quality"] = {"grids": []}
    preset["compute"] |= {"gpu": 0, "train_gpu": 0, "threads": 1, "mem_mb": 2000}
    preset["compute"] |= {"job_batches": {"nll": 1000, "samples": 1000}} | compute
    defaults = preset["defaults"]
    defaults["training"] |= {"steps": STEPS, "checkpoint_every": 5, "precision": "float32"}
    defaults["nll"]["settings"] |= {"images": 8, "batch_size": 1}
    return preset


class Pipeline:
    """A working directory with presets of its own, run on a cluster if there is one.

    `site` holds environment variables that tell the profile about the cluster.
    """

    def __init__(self, folder: Path, cluster: Cluster | None, **presets: dict):
        self.folder, self.cluster = folder, cluster
        self.site: dict[str, str] = {}
        (folder / "config").mkdir(parents=True)
        for name, preset in presets.items():
            (folder / f"config/{name}.yaml").write_text(as_yaml(preset))

    def preset(self, name: str) -> Preset:
        return load_preset(self.folder / f"config/{name}.yaml")

    def likelihoods(self, name: str) -> list[str]:
        """Those at all points of a preset."""
        preset = self.preset(name)
        files = (
            point_files([key], "nll", one.nll.grids) for key, one in preset.experiments.items()
        )
        return [f"results/{name}/{file}" for file in itertools.chain(*files)]

    def start(self, *arguments: str, log: str = "run.log") -> subprocess.Popen:
        """Start Snakemake from the root of the repository, as a user would."""
        snakemake = ["-m", "snakemake", "--cores", "2"]
        if self.cluster:
            snakemake = [str(ROOT / "tests/slurm/impatient.py"), "--profile", "slurm"]
            snakemake += ["--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "10"]
        with open(self.folder / log, "w") as said:
            return subprocess.Popen(
                [
                    *(sys.executable, *snakemake, "--directory", str(self.folder), *arguments),
                    *("--config", f"presets={self.folder / 'config'}", "preset=tiny"),
                ],
                cwd=ROOT,
                env=self.cluster.environment() | self.site if self.cluster else None,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
            )

    def said(self, log: str = "run.log") -> str:
        return (self.folder / log).read_text()

    def ends(self, process: subprocess.Popen, log: str = "run.log") -> str:
        """What a process said that must end well."""
        assert process.wait(timeout=1200) == 0, self.said(log)
        return self.said(log)

    def job(self, comment: str) -> str:
        """The id of the SLURM job that runs `rule_RULE_wildcards_VALUES`, "" if there is none."""
        jobs = self.cluster.run("squeue", "-h", "-t", "R,PD", "-o", "%i %k").splitlines()
        return next((job.split()[0] for job in jobs if job.split()[1] == comment), "")

    def end_of(self, comment: str) -> float:
        """When SLURM will end that job, in seconds since the epoch; 0 if it does not run."""
        jobs = self.cluster.run("squeue", "-h", "-t", "R", "-o", "%e %k").splitlines()
        ends = (job.split()[0] for job in jobs if job.split()[1] == comment)
        return max((datetime.fromisoformat(end).timestamp() for end in ends), default=0.0)

    def payload(self, out: str) -> int | None:
        """The id of the process `python -m gud ... --out OUT`, None if there is none."""
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().decode().split("\0")
                here = os.readlink(path.parent / "cwd") == str(self.folder)
            except OSError:
                continue
            if here and words[1:2] == ["-m"] and ("--out", out) in itertools.pairwise(words):
                return int(path.parent.name)
        return None

    def steps(self, model: str) -> list[int]:
        """The steps of the checkpoints of a model, the last one first."""
        folder = (self.folder / model).parent / "checkpoints"
        names = [path.stem for path in folder.glob("step-*.safetensors")]
        return sorted((int(name.removeprefix("step-")) for name in names), reverse=True)

    def log(self, job: str) -> str:
        """What the last attempt of a job said, e.g. of `tiny/logs/a_scan_isotropic/train`."""
        path = self.folder / f"results/{job}.log"
        return path.read_text() if path.exists() else ""

    def digest(self, path: str) -> str:
        return hashlib.sha256((self.folder / path).read_bytes()).hexdigest()

    def numbers(self) -> pd.DataFrame:
        """The table of Figure 3 but for clocks and devices."""
        table = pd.read_csv(self.folder / "results/tiny/tables/figure3.csv")
        return table.drop(columns=CLOCKS_AND_DEVICES)

    def take_data(self, other: "Pipeline", preset: str) -> None:
        """Take the data set and its statistics that another run of the preset `tiny` made."""
        source = other.folder / "results/tiny/data"
        shutil.copytree(source, self.folder / f"results/{preset}/data")
