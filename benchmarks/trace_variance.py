"""What a backward pass tells of the divergence: in chi, in angles, orthogonal and renewed probes.

    python benchmarks/trace_variance.py --results results/demo \\
        --out docs/reference/trace_variance.csv

On networks of the demo, the variance over the probes of a test image's bits/dim, for one backward
pass: that of a mean over probes times their number.

    chi          Hutchinson's random signs on the whole Jacobian of the flow in chi, as in the paper
    angles       on the departure from a Gaussian, whose own part is known in closed form
    orthogonal   the same, in sets of four that differ by the rows of a Hadamard matrix
    renewed      the same as in angles, but with new signs at every step

All share one solution of each image. Its variance over images stands beside, to which probes add.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import click
import pandas as pd
from likelihood_cost import states

from gud.cli import out_option, reported
from gud.diffusion.likelihood import bits_per_dim, log_likelihood, orthogonal_probes
from gud.model import load
from gud.provenance import atomic, write_record
from gud.randomness import ImageStreams

CASES = [
    *(("a_scan_isotropic", {"a": a, "r": 0.0}) for a in (0.4, 1.0, 1.6)),
    *(("a_scan_matching", {"a": a, "r": 0.0}) for a in (0.4, 1.0, 1.6)),
    *(("ordering_scan", {"a": 1.0, "r": r}) for r in (0.0, 0.5)),
]
SETS, SET, STEPS = 6, 4, 12


def rows(model: Any, parameters: dict[str, float], data: Path, images: int) -> list[dict[str, Any]]:
    z, _ = states(model, data, images)
    streams = ImageStreams("cpu", 0, "trace", range(images))
    every = streams.rademacher(((STEPS + 1) * SETS * SET, *z.shape[1:])).movedim(1, 0)
    signs = every[: SETS * SET]
    variance = model.representation.log_variance.exp()
    adams = {"method": "adams", "steps": STEPS, "standardise": variance}
    ways = {
        "chi": (signs, 1, {"method": "rk4", "steps": STEPS}),
        "angles": (signs, 1, adams),
        "orthogonal": (orthogonal_probes(signs[:SETS]), SET, adams),
        "renewed": (every, 1, adams | {"renewals": STEPS}),
    }
    found = []
    for way, (probes, together, how) in ways.items():
        schedule = model.schedule(**parameters)
        result = log_likelihood(
            model.eps, schedule, model.process, z, probes, rtol=1.0, atol=1.0, **how
        )
        bits = bits_per_dim(result.log_prob, model.representation).unflatten(1, (-1, together))
        means = bits.mean(2)
        row = {"way": way, "variance_of_a_pass": float(means.var(1).mean()) * together}
        found.append(row | {"variance_over_images": float(means.mean(1).var())})
    return found


@click.command()
@click.option("--results", type=click.Path(path_type=Path), required=True, help="Of the demo.")
@click.option("--images", type=click.IntRange(2), default=8, show_default=True)
@out_option()
def main(results: Path, images: int, out: Path) -> None:
    """Variance of the divergence for a backward pass, in four ways."""
    started, found = time.time(), []
    data = results / "data/natural16.npz"
    for experiment, parameters in CASES:
        model = load(results / experiment / "model.safetensors")
        point = ",".join(f"{key}={value:g}" for key, value in parameters.items())
        for row in rows(model, parameters, data, images):
            found.append({"experiment": experiment, "point": point} | row)
            click.echo(" ".join(f"{key}={value}" for key, value in found[-1].items()))
    table = pd.DataFrame(found)
    with atomic(out) as temporary:
        table.to_csv(temporary, index=False)
    models = {results / experiment / "model.safetensors" for experiment, _ in CASES}
    settings = {"images": images, "sets": SETS, "steps": STEPS}
    inputs = [*sorted(models), data]
    write_record(out, inputs=inputs, settings=settings, seed=0, started=started)
    wide = table.pivot(index=["experiment", "point"], columns="way", values="variance_of_a_pass")
    ratios = wide.drop(columns="chi").div(wide.chi, axis=0).add_suffix(" / chi")
    click.echo(wide.join(ratios).to_string(float_format="{:.3g}".format))
    click.echo(ratios.median().to_string())


if __name__ == "__main__":
    sys.exit(reported(lambda: main(standalone_mode=False)))
