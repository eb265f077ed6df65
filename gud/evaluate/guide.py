"""Draw samples of each class from a model that knows of none, by the gradient of a classifier.

An artefact holds 8-bit `guided` (images, classes, channels, height, width) and `unguided` (images,
channels, height, width), the class that the judge takes each for, `assigned` (images, classes) and
`assigned_unguided` (images,), and the `accuracy` of the judge on as many test images as were
`tested`. Image n of every class, and of none, is drawn from the same random numbers. Beside it lies
a table of the shares that are taken for the class asked for, with the suffix .csv.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from gud.classifier import StateClassifier, load_classifier
from gud.cli import (
    NamedPreset,
    device_option,
    experiment_option,
    input_option,
    out_option,
    point_option,
    preset_option,
)
from gud.config.conditional import GuidanceJob, guidance_job
from gud.config.sections.evaluation import Guidance
from gud.config.sections.points import point_name
from gud.config.sections.section import Parameters
from gud.data import datasets
from gud.devices import resolve_device
from gud.diffusion.dequantisation import dequantise
from gud.errors import InputError
from gud.evaluate.samples import draw_images
from gud.evaluate.shards import Arrays, Shards, compute_all
from gud.evaluate.shares import shares_table
from gud.model import Model, load
from gud.provenance import atomic, write_arrays, write_records
from gud.randomness import ImageStreams
from gud.training.loss import initial_state


def draw_classes(
    model: Model,
    guide: StateClassifier,
    parameters: Parameters,
    index: Sequence[int],
    settings: Guidance,
    seed: int,
    label: str = "guided",
) -> tuple[
    UInt8[Tensor, "batch classes channels height width"],
    UInt8[Tensor, "batch channels height width"],
]:
    """Samples guided to each class, and unguided ones, at a point of the schedule family.

    Args:
        index: names the random streams of each image, which are the same for all classes.
    """
    options = settings.sampling.model_dump(exclude={"images", "batch_size"})
    options |= {"seed": seed, "label": label}
    schedule = model.schedule(**parameters)

    def of_class(number: int) -> Tensor:
        wanted = torch.full((len(index),), number, device=model.device)
        given = guide.of_classes(wanted)
        return draw_images(model, schedule, index, given=given, scale=settings.scale, **options)[0]

    guided = torch.stack([of_class(number) for number in range(len(guide.classes))], 1)
    return guided, draw_images(model, schedule, index, **options)[0]


@torch.no_grad()
def assigned(
    judge: StateClassifier,
    parameters: Parameters,
    images: UInt8[Tensor, "batch channels height width"],
    index: Sequence[int],
    seed: int,
) -> Int64[Tensor, " batch"]:
    """The likeliest class of each image, noised to t = 0 as those are that the judge was shown.

    Args:
        index: names the random stream of each image.
    """
    streams = ImageStreams(judge.device, seed, "judged", index)
    data = dequantise(images.to(judge.device), streams)
    z0 = initial_state(judge.representation.encode(data), judge.process.k)
    start = torch.zeros(len(z0), dtype=torch.float64, device=judge.device)
    state = judge.schedule(**parameters)(start)
    z = judge.process.perturb(z0, state, streams.normal(judge.state_shape))
    return judge.log_probabilities(z, state).argmax(1).cpu()


@click.command()
@preset_option()
@experiment_option()
@point_option(required=True)
@input_option("--model", "A trained model, .safetensors.")
@input_option("--guide", "A classifier of its noised states, .safetensors.")
@input_option("--judge", "Another one, of another seed.")
@input_option("--data", "Their data set, .npz.")
@out_option()
@device_option()
def main(
    preset: NamedPreset,
    experiment: str,
    point: str,
    model: Path,
    guide: Path,
    judge: Path,
    data: Path,
    out: Path,
    device: str | None,
) -> None:
    """Draw samples of each class, and judge them by a classifier that did not guide them."""
    job = guidance_job(preset.preset, experiment, point)
    guide_images(job, model, (guide, judge), data, out, resolve_device(device))


def guide_images(
    job: GuidanceJob,
    file: Path,
    classifiers: tuple[Path, Path],
    data: Path,
    out: Path,
    device: torch.device,
) -> None:
    """Samples of each class by the model in a file, and their shares, with their records.

    Args:
        classifiers: the files of the guide and of the judge.
    """
    started, sampling = time.time(), job.guidance.sampling
    model = load(file, device)
    guide, judge = (load_classifier(path, device) for path in classifiers)
    test = datasets.load(data, "test", model.image_shape)
    labels, classes = datasets.load_labels(data, "test", len(test))
    for path, classifier in zip(classifiers, (guide, judge), strict=True):
        check_classifier(path, classifier, model, classes)
    label = f"guided {job.experiment} {point_name(job.parameters)}"

    def judged(images: Tensor, index: Sequence[int]) -> np.ndarray:
        return assigned(judge, job.parameters, images, index, job.seed).numpy()

    def evaluate(parameters: Parameters, numbers: np.ndarray) -> Arrays:
        index = numbers.tolist()
        guided, unguided = draw_classes(
            model, guide, parameters, index, job.guidance, job.seed, label
        )
        each = [judged(images, index) for images in guided.unbind(1)]
        return {
            "guided": guided.numpy(),
            "unguided": unguided.numpy(),
            "assigned": np.stack(each, 1),
            "assigned_unguided": judged(unguided, index),
        }

    settings, files = job.model_dump(mode="json"), (file, *classifiers, data)
    shards = Shards(out, settings, files, sampling.images, sampling.batch_size)
    arrays = compute_all(shards, evaluate, label=label, device=device.type)
    blocks = torch.arange(len(test)).split(sampling.batch_size)
    told = np.concatenate([judged(test[block], block.tolist()) for block in blocks])
    accuracy = np.array(float((told == labels.numpy()).mean()))
    arrays |= {"accuracy": accuracy, "tested": np.array(len(test))}
    write_arrays(out, **arrays)
    table = out.with_suffix(".csv")
    with atomic(table) as temporary:
        shares_table(arrays, classes, job.guidance.scale).to_csv(temporary, index=False)
    write_records(
        [out, table],
        inputs=files,
        parts=shards.paths,
        settings=settings,
        seed=job.seed,
        started=started,
        device=device.type,
    )


def check_classifier(
    path: Path, classifier: StateClassifier, model: Model, classes: tuple[str, ...]
) -> None:
    """`InputError` if a classifier is of other states than those of the model, or other classes."""
    other = {
        name
        for name in type(model.settings).model_fields
        if name != "network" and getattr(classifier.settings, name) != getattr(model.settings, name)
    }
    if other or classifier.image_shape != model.image_shape:
        what = ", ".join(sorted(other)) or "size of images"
        raise InputError(f"classifier {path} sees other states than the model: its {what} differs")
    if classifier.classes != classes:
        raise InputError(
            f"classifier {path} knows the classes {', '.join(classifier.classes)}, the data set "
            f"has {', '.join(classes)}"
        )
