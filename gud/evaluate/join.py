"""Join the shards of one point."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from gud.cli import File, NamedPreset, experiment_option, out_option, point_option, preset_option
from gud.config.jobs import get_evaluation
from gud.evaluate.shards import Shards
from gud.provenance import write_arrays, write_record

SHARED = ("code", "packages", "device", "machine")
"""What a shard may share with others of how it was made."""


def makers(made: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The code, machine, device and packages that made shards: each once, with their number."""
    groups: dict[str, dict[str, Any]] = {}
    for shard in made:
        maker = {key: shard[key] for key in SHARED if key in shard}
        group = groups.setdefault(json.dumps(maker, sort_keys=True), maker | {"shards": 0})
        group["shards"] += 1
    return list(groups.values())


@click.command()
@preset_option()
@experiment_option()
@click.option("--quantity", required=True, help="nll, samples, samples-SAMPLER or gallery-METHOD.")
@point_option(required=True)
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
