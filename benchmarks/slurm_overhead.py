"""What a SLURM job costs besides its work, and what a second worker brings, on the test cluster.

python benchmarks/slurm_overhead.py --out FILE.csv

Needs root, as `make test-slurm` does. States are polled each second, as in the tests; on a cluster
Snakemake notices the end of a job later. A row's `ratio` is its time over that of one worker.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import pandas as pd

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests/slurm"), str(ROOT / "tests/shared")]

from cluster import Cluster, running  # noqa: E402
from pipeline import FIGURE, Pipeline, scan_preset  # noqa: E402

from gud.cli import out_option, reported  # noqa: E402
from gud.provenance import atomic, write_record  # noqa: E402

EMPTY = """
rule all:
    input: expand("{n}.txt", n=range(4))
rule empty:
    output: "{n}.txt"
    resources: mem_mb=500, runtime=2
    shell: "touch {output}"
"""


def empty_jobs(cluster: Cluster, folder: Path, workers: int) -> float:
    """Seconds that four jobs take that do nothing."""
    folder.mkdir()
    (folder / "Snakefile").write_text(EMPTY)
    arguments = ["--directory", folder, "--executor", "slurm", "--slurm-status-command", "squeue"]
    arguments += ["--slurm-init-seconds-before-status-checks", "1", "--jobs", workers]
    snakemake = [sys.executable, ROOT / "tests/slurm/impatient.py", *arguments]
    began = time.perf_counter()
    subprocess.run(
        [str(word) for word in snakemake],
        cwd=folder,
        env=cluster.environment(),
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - began


def figure(cluster: Cluster, folder: Path, workers: int) -> float:
    """Seconds that a small Figure 3 takes, from data to figure."""
    pipeline = Pipeline(folder, cluster, tiny=scan_preset())
    began = time.perf_counter()
    pipeline.ends(pipeline.start(FIGURE, "--jobs", str(workers)))
    return time.perf_counter() - began


@click.command()
@out_option()
def main(out: Path) -> None:
    """Measure the overhead of SLURM jobs, and what a second worker gives."""
    started = time.time()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name, running(Path(name) / "slurm", cpus=8) as cluster:
        for what, measure in (("four empty jobs", empty_jobs), ("small Figure 3", figure)):
            for workers in (1, 2):
                seconds = measure(cluster, Path(name) / f"{measure.__name__}{workers}", workers)
                one = rows[-1]["seconds"] if workers > 1 else seconds
                rows.append({"what": what, "workers": workers, "seconds": seconds})
                rows[-1]["ratio"] = seconds / one
    table = pd.DataFrame(rows).round(3)
    print(table.to_string(index=False))
    with atomic(out) as temporary:
        table.to_csv(temporary, index=False)
    write_record(out, started=started)


if __name__ == "__main__":
    sys.exit(reported(lambda: main(standalone_mode=False)))
