"""What the jobs of a preset took, and what they ran on."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from gud.audit.chain import code_name
from gud.provenance import Record
from gud.webpage.content import Table, short


def costs(folder: Path) -> Table:
    """Time and memory of the jobs of each step, from their benchmarks."""
    steps: dict[str, list[pd.Series]] = defaultdict(list)
    for file in sorted((folder / "benchmarks").rglob("*.tsv")):
        parts = file.relative_to(folder / "benchmarks").parts
        step = parts[0] if parts[0] in {"data", "figures", "tables"} else " ".join(parts[1:-1])
        try:
            table = pd.read_csv(file, sep="\t", na_values="-")[["s", "max_rss"]].astype(float)
            steps[step or file.stem].append(table.iloc[-1])
        except (OSError, ValueError, LookupError):
            continue
    rows = []
    for step, jobs in sorted(steps.items()):
        frame = pd.DataFrame(jobs)
        cells = [step, len(frame), frame.s.sum(), frame.s.max(), frame.max_rss.max()]
        rows.append([short(cell) for cell in cells])
    header = ["step", "jobs", "seconds", "longest job", "most memory, MB"]
    return Table("costs", header, rows)


def environment(records: Iterable[Record]) -> Table:
    """Versions, machines and devices, and how many artefacts each made."""
    seen: Counter[tuple[str, str]] = Counter()
    for record in records:
        seen["code", code_name(record)] += 1
        for key in ("machine", "device"):
            if record.get(key):
                seen[key, str(record[key])] += 1
        for package, version in record.get("packages", {}).items():
            seen[package, str(version)] += 1
    rows = [[name, version, str(count)] for (name, version), count in sorted(seen.items())]
    return Table("environment", ["what", "version", "artefacts"], rows)
