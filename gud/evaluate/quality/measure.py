"""Sample quality: distances between the features of samples and of real images.

On Inception features the Frechet distance is the FID of the paper's figure 3 (sec. 5); on random
features it is "FD, random features", whose values compare with each other only. It falls with the
number of samples, so only values of equal `images` compare. `fid_stderr` is the jackknife's, over
the samples and the reference images; it is null for `stderr_groups` below 2.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
import zipfile
from pathlib import Path

import click
import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from gud.cli import NamedPreset, experiment_option, input_option, out_option
from gud.config.jobs import get_experiment
from gud.config.sections.evaluation import Quality
from gud.data import datasets
from gud.errors import InputError
from gud.evaluate.quality import features
from gud.evaluate.quality.features import Features, extract_features
from gud.evaluate.quality.frechet import (
    Moments,
    distance,
    jackknife_replicates,
    jackknife_stderr,
)
from gud.evaluate.quality.neighbours import MOST, kernel_distance, precision_and_recall
from gud.provenance import atomic, sha256, write_record, write_text
from gud.randomness import Stream

log = logging.getLogger(__name__)


def check_images(images: Tensor, source: str) -> None:
    """Raise `InputError` unless `images` is uint8, (n, 3, height, width), n at least 2."""
    if images.dtype != torch.uint8:
        raise InputError(f"{source} holds {images.dtype}, expected 8-bit images (uint8)")
    if images.ndim != 4 or images.shape[1] != 3:
        raise InputError(
            f"{source} has shape {tuple(images.shape)}, expected (n, 3, height, width)"
        )
    if len(images) < 2:
        raise InputError(f"{source} holds {len(images)} images, a covariance needs at least 2")
    if min(images.shape[2:]) < (side := features.RandomFeatures.smallest_side):
        raise InputError(
            f"{source} has shape {tuple(images.shape)}, expected sides of {side} or more"
        )


def read_images(path: str | Path, name: str) -> Tensor:
    """The array `name` of an npz file; `InputError` if there is none."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return torch.from_numpy(arrays[name])
    except (OSError, EOFError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is not an npz file with an array {name!r}: {error}") from None


def sampler_errors(path: str | Path) -> dict[str, float]:
    """What the sampler itself does to variances, as `gud.evaluate.samples` left it in its file.

    Mean and root mean square, over the components, of the relative error of their variance on
    Gaussian data; empty for images that are no samples of it.
    """
    with np.load(path, allow_pickle=False) as arrays:
        names = {"variance_bias": "sampler_variance_bias", "variance_rms": "sampler_variance_rms"}
        return {
            column: float(arrays[name].mean()) for name, column in names.items() if name in arrays
        }


def choose(
    available: int, count: int | None, seed: int, source: str
) -> Int64[np.ndarray, " count"]:
    """Indices of `count` images, drawn without replacement with `seed`, sorted; None: of all."""
    if count is None:
        return np.arange(available)
    if count > available:
        raise InputError(f"reference_images = {count}, but {source} holds only {available}")
    drawn = Stream("cpu", seed, "reference").permutation(available)[:count]
    return np.sort(drawn.numpy())


def reference_moments(
    path: str | Path,
    images: UInt8[Tensor, "n 3 height width"],
    region: Int64[np.ndarray, " n"],
    settings: Quality,
    weights: str | Path | None = None,
) -> Moments:
    """Moments of the images chosen from `path`, by groups of regions, kept in `path`.statistics/.

    All points of a figure share their reference. Processes may race: a file appears whole, and its
    name is a hash of everything that determines its content.

    Args:
        region: that each image was cut from; a region is never split between groups.
    """
    key = {
        "file": sha256(path),
        "split": settings.reference,
        "images": len(images),
        "groups": settings.stderr_groups,
        "extractor": settings.extractor,
        "seed": settings.extractor_seed,
        "weights": features.INCEPTION_SHA256 if settings.extractor == "inception" else None,
        "features": sha256(features.__file__),
        "torch_fidelity": features.load_torch_fidelity().__version__,
    }
    text = json.dumps(key, sort_keys=True)
    name = hashlib.sha256(text.encode()).hexdigest()[:32]
    kept = Path(f"{path}.statistics") / f"{name}.npz"
    if kept.exists():
        with np.load(kept, allow_pickle=False) as arrays:
            return Moments(**arrays)
    moments = Moments.of(
        extract_features(images, settings, weights), region % max(settings.stderr_groups, 1)
    )
    try:
        with atomic(kept) as temporary:
            np.savez(temporary, allow_pickle=False, **vars(moments))
        write_record(kept, inputs=[path], settings=key)
    except OSError as error:
        log.warning("reference moments not kept in %s: %s", kept.parent, error)
    return moments


@click.command()
@experiment_option()
@input_option("--samples", "npz with uint8 images (n, 3, H, W).")
@input_option("--reference", "npz with uint8 arrays train and test.")
@input_option("--weights", f"For inception: the file of {features.INCEPTION_URL}.", required=False)
@out_option("JSON file to write.")
def main(
    preset: NamedPreset,
    experiment: str,
    samples: Path,
    reference: Path,
    weights: Path | None,
    out: Path,
) -> None:
    """Measure the Frechet distance between a file of samples and a data set."""
    metric = get_experiment(preset.preset, experiment).quality.metric
    measure_quality(metric, samples, reference, out, weights)


def measure_quality(
    settings: Quality, samples: Path, reference: Path, out: Path, weights: Path | None = None
) -> None:
    """Write the Frechet distance between a file of samples and a data set as JSON."""
    started = time.time()
    split, seed = settings.reference, settings.extractor_seed
    where = (f"images in {samples}", f"{split} in {reference}")
    drawn = read_images(samples, "images")
    whole = read_images(reference, split)
    check_images(whole, where[1])
    chosen = choose(len(whole), settings.reference_images, seed, where[1])
    real = whole[chosen]
    check_images(drawn, where[0])
    check_images(real, where[1])
    if drawn.shape[1:] != real.shape[1:]:
        raise InputError(
            f"{where[0]} has images of shape {tuple(drawn.shape[1:])}, "
            f"{where[1]} of {tuple(real.shape[1:])}: expected the same"
        )
    if settings.extractor != "inception":
        weights = None
    groups = np.arange(len(drawn)) % max(settings.stderr_groups, 1)
    drawn_features = extract_features(drawn, settings, weights)
    found = Moments.of(drawn_features, groups)
    region = datasets.load_regions(reference, split, len(whole))[chosen]
    target = reference_moments(reference, real, region, settings, weights)
    fid = distance(found.statistics(), target.statistics())
    replicates = jackknife_replicates(found, target)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    quality = {
        "metric": features.METRICS[settings.extractor],
        "fid": fid,
        "fid_stderr": jackknife_stderr(replicates),
        "errors_cover": f"{len(drawn)} samples, {len(real)} {split} images; not training seeds",
        **sampler_errors(samples),
        "images": len(drawn),
        "reference": split,
        "reference_images": len(real),
        "extractor": settings.extractor,
        "extractor_seed": seed,
        **_beside(drawn_features, real, region, settings, weights),
        "fid_replicates": replicates,
        "seconds": round(time.time() - started, 3),
        "device": device,
    }
    log.info("%s %.6g (%d images)", quality["metric"], quality["fid"], len(drawn))
    write_text(out, json.dumps(quality, indent=1) + "\n")
    write_record(
        out,
        inputs=[samples, reference, *([weights] if weights else [])],
        settings=settings.model_dump(),
        seed=seed,
        started=started,
        device=device,
    )


def _beside(
    drawn: Features,
    real: UInt8[Tensor, "n 3 height width"],
    region: Int64[np.ndarray, " n"],
    settings: Quality,
    weights: str | Path | None,
) -> dict[str, object]:
    """Kernel distance, precision and recall of as many samples as real images, `MOST` at most."""
    count = min(len(drawn), len(real), MOST)
    chosen = choose(len(real), count, settings.extractor_seed, "the reference")
    features_of_real = extract_features(real[chosen], settings, weights)
    several = max(settings.stderr_groups, 1)
    groups = np.arange(count) % several, region[chosen] % several
    kid, replicates = kernel_distance(drawn[:count], features_of_real, groups)
    precision, recall = precision_and_recall(drawn[:count], features_of_real) or (None, None)
    return {
        "kid": kid,
        "kid_stderr": jackknife_stderr(replicates),
        "precision": precision,
        "recall": recall,
        "kid_images": count,
        "kid_replicates": replicates,
    }
