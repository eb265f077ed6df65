"""Join the shards of one point, and say in receipts which shards jobs needed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from gud.cli import File, NamedPreset, experiment_option, out_option, point_option
from gud.config.jobs import get_evaluation
from gud.evaluate.shards import Made, Shards
from gud.provenance import write_arrays, write_record, write_text
from gud.provenance.record import Maker

SHARED = ("code", "packages", "device", "machine")
"""What a shard may share with others of how it was made."""


def makers(made: Sequence[Made]) -> list[Maker]:
    """The code, machine, device and packages that made shards: each once, with their number."""
    alike = Counter(
        json.dumps({key: value for key, value in shard.items() if key in SHARED}, sort_keys=True)
        for shard in made
    )
    return [json.loads(maker) | {"shards": shards} for maker, shards in alike.items()]


@click.command()
@experiment_option()
@click.option("--quantity", required=True, help="nll, samples, samples-SAMPLER or gallery-METHOD.")
@point_option()
@out_option("The artefact, FOLDER/POINT.npz.")
@click.argument("inputs", type=File, nargs=-1, required=True)
def main(
    preset: NamedPreset,
    experiment: str,
    quantity: str,
    point: str,
    out: Path,
    inputs: tuple[Path, ...],
) -> None:
    """Join the shards of one point; INPUTS are the model and, for likelihoods, the data set."""
    evaluation = get_evaluation(preset.preset, experiment, quantity)
    join(Shards.of(evaluation, point, out, inputs))


def join(shards: Shards) -> None:
    """Write the artefact of some shards, with seconds and devices of those that made them."""
    arrays, made = shards.merge()
    write_arrays(shards.out, **arrays)
    write_record(
        shards.out,
        inputs=shards.inputs,
        parts=shards.paths[: len(made)],
        settings=shards.settings,
        seed=shards.settings["seed"],
        device=" and ".join(sorted({shard["device"] for shard in made})),
        seconds=round(sum(shard["seconds"] for shard in made), 3),
        evaluations=int(arrays["evaluations"].max()),
        made_by=makers(made),
    )


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
