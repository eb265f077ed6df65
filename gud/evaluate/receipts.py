"""Receipts: which shards a job needed, in FOLDER/jobs/NAME.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gud.evaluate.shards import Shards
from gud.provenance import write_record, write_text


def write_receipt(out: Path, work: Sequence[tuple[Shards, int]], **record: Any) -> None:
    """Write the receipt of a job, FOLDER/jobs/NAME.json: the shards that it needed, and a record.

    Args:
        work: shards by the number of their first image.
        record: what else the record says, see `write_record`.
    """
    paths = [shards.path(start) for shards, start in work]
    listed = [str(path.relative_to(out.parent.parent)) for path in paths]
    write_text(out, json.dumps(listed, indent=1) + "\n")
    settings = {"points": {shards.out.stem: shards.settings for shards, _ in work}}
    write_record(out, parts=paths, settings=settings, **record)
