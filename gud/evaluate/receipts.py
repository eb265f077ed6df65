"""Receipts: which shards a job needed, in FOLDER/jobs/NAME.json."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from gud.config.jobs import Evaluation
from gud.evaluate.shards import Shards
from gud.provenance import write_record, write_text


def write_receipt(
    out: Path,
    work: Sequence[tuple[Shards, int]],
    evaluation: Evaluation,
    points: Iterable[str],
    inputs: Sequence[Path],
    started: float,
    device: str,
    **more: Any,
) -> None:
    """Write the receipt of a job, FOLDER/jobs/NAME.json: the shards that it needed, and a record.

    Args:
        points: of its shards.
        started: `time.time()` when the job began.
        more: of what it did, for the record.
    """
    folder = out.parent.parent
    paths = [shards.path(start) for shards, start in work]
    listed = [str(path.relative_to(folder)) for path in paths]
    write_text(out, json.dumps(listed, indent=1) + "\n")
    write_record(
        out,
        inputs=inputs,
        parts=paths,
        settings={"points": {point: evaluation.record(point) for point in points}},
        seed=evaluation.seed,
        started=started,
        device=device,
        **more,
    )
