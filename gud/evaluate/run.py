"""Likelihoods or samples at points of one experiment, computed in shards and then joined.

An artefact FOLDER/POINT.npz holds, joined from its shards (`gud.evaluate.shards`),

    nll      `bits_per_dim` (images, probes), `index` (images,) of the images in the test split,
             `region` (images,) of the data set that each was cut from; where asked for,
             `noised_bits_per_dim` (images, probes) and `bound_bits_per_dim` (images, replicates);
             of the first images those of the ODE in finer steps too, with `finer_` in front
    samples  8-bit `images` (images, channels, height, width), and what the sampler itself does to
             the variances of Gaussian data, `variance_bias` and `variance_rms` (shards,)

and `evaluations` (shards,) of the network.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

import click

from gud.cli import NamedPreset, device_option, experiment_option, input_option, out_option
from gud.config.jobs import Evaluation, get_evaluation
from gud.config.sections.evaluation import Likelihood, Ranges
from gud.data import datasets
from gud.devices import resolve_device
from gud.errors import InputError
from gud.evaluate.join import write_receipt
from gud.evaluate.likelihood import likelihood_of_batches
from gud.evaluate.samples import samples_of_batches
from gud.evaluate.shards import Evaluate, Shards, compute_shards
from gud.model import Model, load

log = logging.getLogger(__name__)


def evaluator(evaluation: Evaluation, model: Model, data: Path | None) -> Evaluate:
    """What computes the shards of an evaluation."""
    if not isinstance(evaluation.settings, Likelihood):
        return samples_of_batches(model, evaluation)
    if data is None:
        raise InputError("likelihoods need the data set of the experiment, --data")
    test = datasets.load(data, "test", model.image_shape)
    return likelihood_of_batches(model, test, evaluation, data)


def run_job(
    evaluation: Evaluation,
    ranges: Ranges,
    evaluate: Evaluate,
    *,
    inputs: list[Path],
    out: Path,
    device: str,
) -> None:
    """Compute the shards of a job and write its receipt, FOLDER/jobs/NAME.json."""
    started, folder = time.time(), out.parent.parent
    work = []
    for point, (first, last) in ranges.items():
        shards = Shards.of(evaluation, point, folder / f"{point}.npz", inputs)
        work += [(shards, start) for start in shards.starts(first, last)]
    label = f"{folder.name} {evaluation.experiment} job {out.stem}"
    computed = compute_shards(work, evaluate, label=label, device=device)
    log.info("%s: %d shards computed, %d found", label, computed, len(work) - computed)
    write_receipt(
        out,
        work,
        inputs=inputs,
        seed=evaluation.seed,
        started=started,
        device=device,
        computed=computed,
    )


@click.command()
@experiment_option()
@click.option("--quantity", required=True, help="nll, samples, samples-SAMPLER or gallery-METHOD.")
@click.option("--job", required=True, help="Name of the job, as planned by the workflow, or `all`.")
@input_option("--model", "A trained model, .safetensors.")
@input_option("--data", "Its data set, for likelihoods.", required=False)
@out_option("The receipt, FOLDER/jobs/NAME.json; shards go to FOLDER/shards.")
@device_option()
def main(
    preset: NamedPreset,
    experiment: str,
    quantity: str,
    job: str,
    model: Path,
    data: Path | None,
    out: Path,
    device: str | None,
) -> None:
    """Compute likelihoods or samples at points of an experiment; what is there is kept."""
    evaluation = get_evaluation(preset.preset, experiment, quantity)
    jobs = evaluation.jobs()
    if job == "all":
        jobs = {job: {point: (0, evaluation.settings.images) for point in evaluation.points}}
    if job not in jobs:
        raise InputError(
            f"{quantity} of {experiment} has no job {job} in {preset.file}: has the preset changed?"
        )
    where = resolve_device(device)
    loaded = load(model, where)
    if evaluation.requested and data is not None:
        from gud.evaluate.requests.run import run_request

        run_request(evaluation, loaded, model, data, out)
        return
    evaluate = evaluator(evaluation, loaded, data)
    inputs = [model, *([data] if data else [])]
    run_job(evaluation, jobs[job], evaluate, inputs=inputs, out=out, device=where.type)
