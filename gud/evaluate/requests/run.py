"""Likelihoods with a requested error: a pilot chooses steps, probes and images, shards follow.

A request is the settings' `stderr`, of the level at every point, and `stderr_of_difference`, of its
difference to the reference point on the same images. The images, probes and steps of the settings
are then limits: at most so many images and probes, at least so many steps. Where differences alone
are requested, a point stops when its own is known well enough: see `over_further_images`.
"""

from __future__ import annotations

import copy
import logging
import math
import time
from dataclasses import asdict, replace
from pathlib import Path

import click
import pandas as pd

from gud.cli import NamedPreset, device_option, experiment_option, input_option, out_option
from gud.config.jobs import Evaluation, get_evaluation
from gud.config.sections.evaluation import Likelihood
from gud.config.sections.validation import validate
from gud.data import datasets
from gud.devices import resolve_device
from gud.errors import InputError
from gud.evaluate.join import join, write_receipt
from gud.evaluate.likelihood import likelihood_of_batches
from gud.evaluate.points import read_likelihoods
from gud.evaluate.requests.pilot import Found, Plan, plan_request, values_of
from gud.evaluate.shards import Evaluate, Shards, compute_shards
from gud.model import Model, load
from gud.networks.cost import count
from gud.provenance import write_record, write_text

log = logging.getLogger(__name__)


def compute_request(
    plan: Plan, shards: dict[str, Shards], evaluate: Evaluate, *, label: str, device: str
) -> tuple[list[tuple[Shards, int]], Found]:
    """Compute images in batches at every point, until all errors are what was requested.

    Levels take the same images at all points. Where only differences are requested, a point takes
    those of its own difference, and the reference those of any.

    Args:
        shards: of each point.

    Returns:
        The shards of the images that it took, and the errors reached.
    """
    settings, wanted = plan.evaluation.settings, dict(plan.images)
    assert isinstance(settings, Likelihood)
    size, most = settings.batch_size, settings.images
    while True:
        images = {
            point: min(size * math.ceil(max(n, 2) / size), most) for point, n in wanted.items()
        }
        images[plan.reference] = max(images.values())
        work = [
            (shards[point], start)
            for start in range(0, images[plan.reference], size)
            for point in shards
            if start < images[point]
        ]
        compute_shards(work, evaluate, label=label, device=device)
        errors = plan.errors({point: one.merge(images[point])[0] for point, one in shards.items()})
        factors = {key: errors[key].factor(plan.contrasts[key].stderr) for key in errors}
        if all(factor <= 1 or images[point] == most for (point, _), factor in factors.items()):
            if max(factors.values()) > 1:
                log.warning(
                    "%s: the %d images of nll.settings.images leave a larger error than requested",
                    *(label, most),
                )
            return work, errors
        largest = max(factors.values())
        for (point, _), factor in factors.items():
            factor = factor if settings.stderr is None else largest
            wanted[point] = max(wanted[point], images[point] * factor)


def run_request(
    evaluation: Evaluation, model: Model, file: Path, data: Path, out: Path
) -> tuple[Plan, Found]:
    """All points of an evaluation with a requested error, and the receipt of this one job.

    Args:
        file: that the model was loaded from.
        data: its data set.
        out: the receipt, FOLDER/jobs/NAME.json.
    """
    started, folder, inputs = time.time(), out.parent.parent, (file, data)
    test = datasets.load(data, "test", model.image_shape)

    def estimate(evaluation: Evaluation, draw: int) -> Evaluate:
        return likelihood_of_batches(model, test, evaluation, data, draw)

    network = copy.deepcopy(model.network).cpu().requires_grad_()
    cost = count(network, model.channels, model.image_shape[1], model.state_shape[-1])
    plan = plan_request(evaluation, estimate, float(cost.forward), float(cost.backward))
    chosen = plan.evaluation.settings.model_dump(
        mode="json", include={"probes", "steps", "finer", "rtol", "atol"}
    )
    shards = {
        point: replace(Shards.of(evaluation, point, folder / f"{point}.npz", inputs), chosen=chosen)
        for point in evaluation.points
    }
    label, device = f"{folder.name} {evaluation.experiment} as requested", model.device.type
    work, errors = compute_request(
        plan, shards, estimate(plan.evaluation, 0), label=label, device=device
    )
    reached: dict[str, dict[str, object]] = {}
    for (point, kind), parts in errors.items():
        reached.setdefault(point, {})[kind] = asdict(parts) | {"total": parts.total}
    write_receipt(
        out,
        work,
        inputs=inputs,
        seed=evaluation.seed,
        started=started,
        device=device,
        chosen=chosen | {"reference": plan.reference},
        errors=reached,
    )
    return plan, errors


@click.command()
@experiment_option()
@click.option("--stderr", type=float, help="Requested standard error at every point, bits/dim.")
@click.option(
    "--stderr-of-difference", type=float, help="The same, of differences to the reference point."
)
@input_option("--model", "A trained model, .safetensors.")
@input_option("--data", "Its data set.")
@out_option("The table, FOLDER/NAME.csv; the points lie in FOLDER.")
@device_option()
def main(
    preset: NamedPreset,
    experiment: str,
    stderr: float | None,
    stderr_of_difference: float | None,
    model: Path,
    data: Path,
    out: Path,
    device: str | None,
) -> None:
    """Evaluate likelihoods to a requested error, and say what it is made of."""
    str(out).encode()  # A name that no record can hold is refused before the work.
    started, asked = time.time(), get_evaluation(preset.preset, experiment, "nll")
    requests = {"stderr": stderr, "stderr_of_difference": stderr_of_difference}
    raw = asked.settings.model_dump() | {k: v for k, v in requests.items() if v is not None}
    raw.pop("finer", None)  # The pilot chooses its own.
    settings = validate(Likelihood, raw, f"{preset.file} with these options")
    if not settings.requested:
        raise InputError("no error is requested: give --stderr or --stderr-of-difference")
    evaluation = replace(asked, settings=settings)
    loaded, inputs = load(model, resolve_device(device)), (model, data)
    plan, errors = run_request(evaluation, loaded, model, data, out.parent / "jobs/requested.json")
    for point in evaluation.points:
        join(Shards.of(evaluation, point, out.parent / f"{point}.npz", inputs))
    files = {point: out.parent / f"{point}.npz" for point in evaluation.points}
    found = {point.path.stem: point for point in read_likelihoods(files.values())}
    bits = {name: point.bits_per_dim for name, point in found.items()}
    rows = [
        {
            "point": point,
            "quantity": kind,
            "bits_per_dim": float(values_of(bits, point, kind, plan.reference).mean()),
            "stderr": parts.total,
            **{f"stderr_{name}": value for name, value in asdict(parts).items()},
            "requested": plan.contrasts[point, kind].stderr,
            "images": found[point].images,
            "probes": bits[point].shape[1],
        }
        for (point, kind), parts in errors.items()
    ]
    write_text(out, pd.DataFrame(rows).to_csv(index=False))
    write_record(
        out,
        inputs=[*inputs, *files.values()],
        settings={"experiment": experiment, "likelihood": settings.model_dump()},
        seed=evaluation.seed,
        started=started,
        device=loaded.device.type,
    )
