"""What a likelihood costs: Adams' method in angles against the solvers of the paper and before.

    python benchmarks/likelihood_cost.py --results results/demo \\
        --out docs/reference/likelihood_cost.csv

On the networks of the demo, for the same test images and dequantisation noise, the evaluations that
three probes of an image take:

    adams      `method: adams` with 8 to 96 equal steps, the probes share its evaluations
    renewed    the same, but one probe that takes new signs at every step
    published  (A) Song et al. 2021: SciPy's RK45 at 1e-5 on the flattened batch, a solve per probe
    paper      (B) Tsitouras at 1e-4 in chi, the probes share its evaluations
    split      the same, begun anew wherever a component starts or stops, of which the paper says
               nothing; on smooth schedules there is no such time

The error of a method is the root mean square over images of its bits/dim, with the first probe,
less those of the same estimator integrated far finer (Tsitouras at 1e-6; Adams with 384 steps), so
that it is that of the integration alone; what the probes add to it, the standard error of the mean
over the probes of an image, stands beside. A ratio is that of the evaluations, or of the seconds,
of Adams with the fewest steps that err no more than the other method, to those of the other; of
renewed signs, with no larger error by the probe either. `total_evaluations` asks for less, that
both errors together, the root of the sum of their squares, are no larger: an image's number is then
as good, but of the mean over many images the integration may leave more than the other method
leaves. Seconds are those of all images with all probes; times mean something on an idle machine
alone.

Writes one row for each method and point, and prints the ratios by group, with the number of points
at which Adams, within its largest number of steps, errs no more; the others count as infinite.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from scipy.integrate import solve_ivp
from torch import Tensor

from gud.cli import out_option, reported
from gud.data import datasets
from gud.diffusion.dequantisation import dequantise
from gud.diffusion.likelihood import bits_per_dim, log_likelihood, prior_log_prob
from gud.diffusion.likelihood.probes import Probes
from gud.diffusion.processes import per_component
from gud.diffusion.schedules import Schedule
from gud.evaluate.likelihood import choose_images
from gud.model import Model, load
from gud.provenance import atomic, write_record
from gud.randomness import ImageStreams

Signs = Callable[[int], Probes]
"""As many probes of each image as are asked for, the same first ones whatever their number."""

STEPS = (8, 12, 16, 20, 24, 32, 40, 48, 56, 64, 80, 96)
FINEST = 384
"""Steps whose results are taken as exact."""
PROBES = 3
"""Of each image; the errors are those with the first of them."""
MEASURED = ["evaluations", "total_evaluations", "seconds", "renewed_seconds"]
SOFTNESS = [{"a": a, "r": 0.0} for a in (0.4, 1.0, 1.6)]
CASES = [
    *(("smooth", f"a_scan_{prior}", p) for prior in ("isotropic", "matching") for p in SOFTNESS),
    ("sequential", "columns_b03", {"b": 0.3}),
    ("sequential", "columns_b05", {"b": 0.5}),
    ("sequential", "wavelets", {"a": 0.5, "b": 0.5}),
    ("without preconditioning", "without_preconditioning", {"a": 1.0, "r": 0.0}),
]
GROUPS = click.Choice(list(dict.fromkeys(group for group, *_ in CASES)))


@dataclass(frozen=True)
class Whole(Schedule):
    """A path whose kinks a solver is not told of."""

    base: Schedule

    def gamma(self, t: Float[Tensor, " batch"]) -> Float[Tensor, "batch components"]:
        return self.base.gamma(t)

    def d_gamma_dt(self, t: Float[Tensor, " batch"]) -> Float[Tensor, "batch components"]:
        return self.base.d_gamma_dt(t)


def states(model: Model, data: Path, images: int) -> tuple[Tensor, Signs]:
    """Components of test images, and their probes; the streams are those of `gud evaluate`."""
    test = datasets.load(data, "test", model.image_shape)
    index = choose_images(len(test), images, 0, data).tolist()
    phi = dequantise(test[index], ImageStreams("cpu", 0, "dequantise", index))
    z = model.representation.encode(phi)[:, None]

    def signs(count: int) -> Probes:
        drawn = ImageStreams("cpu", 0, "probes", index).rademacher((count, *z.shape[1:]))
        return drawn.movedim(1, 0)

    return z, signs


def published(
    model: Model, schedule: Schedule, z: Tensor, probe: Tensor
) -> tuple[Float[Tensor, " batch"], int]:
    """log p by SciPy's RK45, all images in one vector, and the evaluations of this solve."""
    size = z.numel()

    def velocity(t: float, y: np.ndarray) -> np.ndarray:
        state = schedule.path(torch.full((len(z),), t))
        x = torch.from_numpy(y[:size]).view_as(z).float().requires_grad_()
        with torch.enable_grad():
            score = model.process.score(model.eps(x, state), state)
            dx = per_component(state.beta, x) * model.process.flow(x, score)
            trace = (torch.autograd.grad(dx, x, probe)[0] * probe).flatten(1).sum(1)
        return torch.cat([dx.detach().flatten(), trace]).double().numpy()

    start = np.concatenate([z.flatten().double().numpy(), np.zeros(len(z))])
    solved = solve_ivp(velocity, (0, 1), start, method="RK45", rtol=1e-5, atol=1e-5)
    end = torch.from_numpy(solved.y[:, -1])
    return prior_log_prob(model.process, end[:size].view_as(z)) + end[size:], solved.nfev


def rows(model: Model, schedule: Schedule, z: Tensor, signs: Signs) -> Iterator[dict[str, Any]]:
    """Each method: evaluations for an image, and the error of the integration."""
    variance = model.representation.log_variance.exp()

    def bits(
        method: str,
        tolerance: float = 1.0,
        steps: int | None = None,
        probes: int = PROBES,
        renewals: int = 0,
        along: Schedule = schedule,
    ) -> tuple[Tensor, float]:
        result = log_likelihood(
            model.eps,
            along,
            model.process,
            z,
            signs((renewals + 1) * probes),
            method=method,
            rtol=tolerance,
            atol=tolerance,
            steps=steps,
            nodes=model.preconditioning.nodes,
            renewals=renewals,
            standardise=variance if method == "adams" else None,
        )
        found = bits_per_dim(result.log_prob, model.representation)
        return found, float(result.counts.double().mean())

    def row(method: str, found: Tensor, exact: Tensor, evaluations: float, began: float) -> dict:
        return {
            "method": method,
            "evaluations": evaluations,
            "error": float((found - exact)[:, 0].square().mean().sqrt()),
            "seconds": round(time.perf_counter() - began, 2),
            "probe_error": float((found.var(1).mean() / PROBES).sqrt()),
        }

    exact, _ = bits("tsit5", 1e-6, probes=1)
    paths = {"paper": Whole(schedule.path)} | ({"split": schedule} if schedule.path.kinks else {})
    for name, path in paths.items():
        began = time.perf_counter()
        found, evaluations = bits("tsit5", 1e-4, along=path)
        yield row(name, found, exact, evaluations, began)
    began = time.perf_counter()
    solves = [published(model, schedule, z, probe) for probe in signs(PROBES)]
    log_prob = torch.stack([log_prob for log_prob, _ in solves], 1)
    found = bits_per_dim(log_prob, model.representation)
    yield row("published", found, exact, float(sum(count for _, count in solves)), began)
    exact, _ = bits("adams", steps=FINEST, probes=1)
    for steps in STEPS:
        began = time.perf_counter()
        found, evaluations = bits("adams", steps=steps)
        kept = row(f"adams {steps}", found, exact, evaluations, began)
        began = time.perf_counter()
        bits("adams", steps=steps, probes=1, renewals=steps)
        seconds = round(time.perf_counter() - began, 2)
        renewed, _ = bits("adams", steps=steps, renewals=steps)
        error = float(renewed.var(1).mean().sqrt())
        yield kept | {"renewed_seconds": seconds, "renewed_probe_error": error}


def ratios(table: pd.DataFrame) -> pd.DataFrame:
    """Of Adams, with the fewest steps that err no more, to each other method."""
    found = []
    for (group, experiment, point), case in table.groupby(["group", "experiment", "point"]):
        adams = case[case.method.str.startswith("adams")]
        for _, other in case[~case.method.str.startswith("adams")].iterrows():
            enough = adams[adams.error <= other.error]
            renewed = enough[enough.renewed_probe_error <= other.probe_error]
            total = np.hypot(adams.error, adams.renewed_probe_error)
            as_good = adams[total <= math.hypot(other.error, other.probe_error)]
            parts = {
                "evaluations": enough.evaluations.min() / other.evaluations,
                "total_evaluations": as_good.evaluations.min() / other.evaluations,
                "seconds": enough.nsmallest(1, "evaluations").seconds.min() / other.seconds,
                "renewed_seconds": renewed.nsmallest(1, "evaluations").renewed_seconds.min()
                / other.seconds,
            }
            where = {"group": group, "experiment": experiment, "point": point}
            found.append(where | {"against": other.method} | parts)
    return pd.DataFrame(found).fillna(math.inf)


@click.command()
@click.option("--results", type=click.Path(path_type=Path), required=True, help="Of the demo.")
@click.option("--images", type=click.IntRange(2), default=4, show_default=True)
@click.option("--group", "groups", multiple=True, type=GROUPS, help="Of the cases; by default all.")
@out_option()
def main(results: Path, images: int, groups: tuple[str, ...], out: Path) -> None:
    """Evaluations and errors of ways to integrate a likelihood."""
    started, found, inputs = time.time(), [], []
    cases = [case for case in CASES if not groups or case[0] in groups]
    models = [load(results / experiment / "model.safetensors") for _, experiment, _ in cases]
    for (group, experiment, parameters), model in zip(cases, models, strict=True):
        name = "tissue16" if experiment.startswith("columns") else "natural16"
        data = results / "data" / f"{name}.npz"
        inputs += [results / experiment / "model.safetensors", data]
        point = ",".join(f"{key}={value:g}" for key, value in parameters.items())
        where = {"group": group, "experiment": experiment, "point": point}
        schedule = model.schedule(**parameters)
        for row in rows(model, schedule, *states(model, data, images)):
            found.append(where | row)
            click.echo(" ".join(f"{key}={value}" for key, value in found[-1].items()))
    table = pd.DataFrame(found)
    with atomic(out) as temporary:
        table.to_csv(temporary, index=False)
    write_record(
        out,
        inputs=[*dict.fromkeys(inputs)],
        settings={"images": images, "probes": PROBES, "steps": STEPS},
        seed=0,
        started=started,
        threads=torch.get_num_threads(),
    )
    compared = ratios(table)
    by_group = compared.assign(reached=np.isfinite(compared.evaluations)).groupby(
        ["group", "against"]
    )
    for key in MEASURED:
        summary = by_group[key].agg(["median", "min", "max", "size"]).join(by_group.reached.sum())
        click.echo(f"{key} of Adams over those of the others\n{summary.round(3).to_string()}")


if __name__ == "__main__":
    sys.exit(reported(lambda: main(standalone_mode=False)))
