"""Draw samples of each class from a model that knows of none, by the gradient of a classifier.

An artefact holds 8-bit `guided` (images, classes, channels, height, width) and `unguided` (images,
channels, height, width), the class that the judge takes each for, `assigned` (images, classes) and
`assigned_unguided` (images,), and the `accuracy` of the judge on as many test images as were
`tested`. Image n of every class, and of none, is drawn from the same random numbers. Beside it lies
a table of the shares that are taken for the class asked for, with the suffix .csv.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from gud.classifier import StateClassifier, load_classifier
from gud.cli import input_option
from gud.config.applications import GuidanceJob
from gud.config.sections.evaluation import Guidance
from gud.config.sections.section import Parameters
from gud.data import datasets
from gud.diffusion.dequantisation import dequantise
from gud.errors import InputError
from gud.evaluate.applications.application import Application, command
from gud.evaluate.applications.shares import shares_table
from gud.evaluate.samples import draw_images
from gud.evaluate.shards import Arrays
from gud.model import Model, load
from gud.provenance import write_text
from gud.randomness import ImageStreams


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
    z0 = judge.initial(dequantise(images, streams))
    start = torch.zeros(len(z0), dtype=torch.float64, device=judge.device)
    state = judge.schedule(**parameters)(start)
    z = judge.process.perturb(z0, state, streams.normal(judge.state_shape))
    return judge.log_probabilities(z, state).argmax(1).cpu()


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


def guide_images(
    job: GuidanceJob,
    model: Path,
    guide: Path,
    judge: Path,
    data: Path,
    out: Path,
    device: torch.device,
) -> None:
    """Samples of each class by the model in a file, and their shares, with their records."""
    sampling, files = job.guidance.sampling, (model, guide, judge, data)
    made = Application(job, files, out, device, sampling.images, sampling.batch_size)
    network = load(model, device)
    guiding, judging = (load_classifier(path, device) for path in (guide, judge))
    test = datasets.load(data, "test", network.image_shape)
    labels, classes = datasets.load_labels(data, "test", len(test))
    for path, classifier in ((guide, guiding), (judge, judging)):
        check_classifier(path, classifier, network, classes)

    def judged(images: Tensor, index: Sequence[int]) -> np.ndarray:
        return assigned(judging, job.parameters, images, index, job.seed).numpy()

    def evaluate(parameters: Parameters, numbers: np.ndarray) -> Arrays:
        index = numbers.tolist()
        guided, unguided = draw_classes(
            network, guiding, parameters, index, job.guidance, job.seed, made.label
        )
        each = [judged(images, index) for images in guided.unbind(1)]
        return {
            "guided": guided.numpy(),
            "unguided": unguided.numpy(),
            "assigned": np.stack(each, 1),
            "assigned_unguided": judged(unguided, index),
        }

    arrays = made.compute(evaluate)
    blocks = torch.arange(len(test)).split(sampling.batch_size)
    told = np.concatenate([judged(test[block], block.tolist()) for block in blocks])
    accuracy = np.array(float((told == labels.numpy()).mean()))
    arrays |= {"accuracy": accuracy, "tested": np.array(len(test))}
    table = out.with_suffix(".csv")
    write_text(table, shares_table(arrays, classes, job.guidance.scale).to_csv(index=False))
    made.write(arrays, beside=[table])


main = command(
    "Draw samples of each class, and judge them by a classifier that did not guide them.",
    GuidanceJob,
    guide_images,
    input_option("--guide", "A classifier of its noised states, .safetensors."),
    input_option("--judge", "Another classifier, from another seed."),
    input_option("--data", "Their data set, .npz."),
)
