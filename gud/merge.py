"""Join the shards of one point.

    python -m gud.merge --settings JSON --inputs MODEL [DATA] --out FOLDER/POINT.npz

The settings are those of the job that computed the shards, with the point's parameters in place of
`points`. Seconds and device in the record are those of the shards.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gud.errors import InputError, command_line
from gud.provenance import atomic, write_record
from gud.shards import Shards


def makers(made: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The code, machine, device and packages that made shards: each once, with their number."""
    groups: dict[str, dict[str, Any]] = {}
    for shard in made:
        maker = {key: value for key, value in shard.items() if key not in ("key", "seconds")}
        group = groups.setdefault(json.dumps(maker, sort_keys=True), maker | {"shards": 0})
        group["shards"] += 1
    return list(groups.values())


@command_line
def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--settings", type=json.loads, required=True)
    parser.add_argument("--inputs", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args(argv)
    settings = arguments.settings
    try:
        section = settings["likelihood"] if "likelihood" in settings else settings["sampling"]
        images, batch_size = section["images"], section["batch_size"]
    except KeyError as error:
        raise InputError(f"--settings must hold {error}, as the job's settings do") from None
    shards = Shards(arguments.out, settings, tuple(arguments.inputs), images, batch_size)
    arrays, made = shards.merge()
    with atomic(arguments.out) as temporary:
        np.savez(temporary, allow_pickle=False, **arrays)
    write_record(
        arguments.out,
        inputs=arguments.inputs,
        settings=settings,
        seed=settings["seed"],
        device=" and ".join(sorted({shard["device"] for shard in made})),
        seconds=round(sum(shard["seconds"] for shard in made), 3),
        evaluations=int(arrays["evaluations"].max()),
        made_by=makers(made),
    )


if __name__ == "__main__":
    sys.exit(main())
