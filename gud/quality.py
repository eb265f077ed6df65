"""Sample quality: the Frechet distance between the features of samples and of real images.

FD = |mu_1 - mu_2|^2 + tr(C_1 + C_2 - 2 (C_1 C_2)^(1/2)), with the mean mu and covariance C of the
features, computed by torch-fidelity. On Inception features it is the FID of the paper's figure 3
(sec. 5); on random features it is "FD, random features", whose values compare with each other only.
The distance falls with the number of samples, so only values of equal `images` compare. The
standard error is not estimated: `fid_stderr` is null.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import logging
import sys
import time
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.utils.data import Dataset

from gud import features
from gud.errors import InputError, command_line
from gud.provenance import atomic, sha256, write_record
from gud.randomness import generator
from gud.settings import validate
from gud.tasks import Quality

log = logging.getLogger(__name__)

Features = Tensor
Statistics = Mapping[str, np.ndarray]


class Images(Dataset):
    """One image per item, the form in which torch-fidelity takes images."""

    def __init__(self, images: UInt8[Tensor, "n 3 height width"]) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> UInt8[Tensor, "3 height width"]:
        return self.images[index]


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


def check_pair(samples: Tensor, reference: Tensor, where: tuple[str, str]) -> None:
    """Raise `InputError` unless both are valid images of one size."""
    check_images(samples, where[0])
    check_images(reference, where[1])
    if samples.shape[1:] != reference.shape[1:]:
        raise InputError(
            f"{where[0]} has images of shape {tuple(samples.shape[1:])}, "
            f"{where[1]} of {tuple(reference.shape[1:])}: expected the same"
        )


def extract_features(
    images: UInt8[Tensor, "n 3 height width"],
    settings: Quality,
    weights: str | Path | None = None,
) -> Features:
    """Features of each image, shape (n, features)."""
    extractor, layer = features.make_extractor(settings.extractor, settings.extractor_seed, weights)
    extract = importlib.import_module("torch_fidelity.utils").get_featuresdict_from_dataset
    with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        found = extract(
            Images(images),
            extractor,
            settings.batch_size,
            cuda=torch.cuda.is_available(),
            save_cpu_ram=True,
            verbose=sys.stderr.isatty(),
        )
    if len(images) <= found[layer].shape[1]:
        log.warning(
            "%d images for %d features: the covariance is singular and the distance biased",
            *found[layer].shape,
        )
    return found[layer]


def feature_statistics(found: Features) -> Statistics:
    """Mean `mu` (features,) and covariance `sigma` (features, features) of features."""
    fid = importlib.import_module("torch_fidelity.metric_fid")
    return fid.fid_features_to_statistics(found)


def distance(samples: Statistics, reference: Statistics) -> float:
    """Frechet distance of two Gaussians given by mean `mu` and covariance `sigma`."""
    fid = importlib.import_module("torch_fidelity.metric_fid")
    return fid.fid_statistics_to_metric(samples, reference, verbose=False)[fid.KEY_METRIC_FID]


def jackknife_stderr(found: Features, reference: Statistics, groups: int) -> float | None:
    """Standard error of the distance over the choice of samples, by the delete-a-group jackknife.

    Args:
        found: features of the samples, shape (n, features).
        groups: number of groups of samples left out in turn; fewer than 2 give no estimate.
    """
    if groups < 2:
        return None
    group = torch.arange(len(found)) % groups
    distances = [
        distance(feature_statistics(found[group != left_out]), reference)
        for left_out in range(groups)
    ]
    return float(np.std(distances) * (groups - 1) ** 0.5)


def frechet_distance(
    samples: UInt8[Tensor, "n 3 height width"],
    reference: UInt8[Tensor, "m 3 height width"],
    settings: Quality,
    weights: str | Path | None = None,
) -> float:
    """Frechet distance between the features of two sets of 8-bit images.

    Args:
        samples, reference: images of one size, at least two each; all of them are used.
        settings: extractor, its seed and the batch size; the reference is the one given.
        weights: file of the Inception weights, for that extractor.

    Raises:
        InputError: unusable images, or torch-fidelity or the weights are missing.
    """
    check_pair(samples, reference, ("samples", "reference"))
    found = (extract_features(images, settings, weights) for images in (samples, reference))
    return distance(*map(feature_statistics, found))


def read_settings(text: str) -> Quality:
    """The settings of the command line; `InputError` if they are no valid JSON section."""
    try:
        return validate(Quality, json.loads(text), "--settings")
    except json.JSONDecodeError as error:
        raise InputError(f"--settings {text!r} is not JSON: {error}") from None


def read_images(path: str | Path, name: str) -> Tensor:
    """The array `name` of an npz file; `InputError` if there is none."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return torch.from_numpy(arrays[name])
    except (OSError, EOFError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is not an npz file with an array {name!r}: {error}") from None


def choose(images: Tensor, count: int | None, seed: int, source: str) -> Tensor:
    """`count` of the images, drawn without replacement with `seed`, in their order; None: all."""
    if count is None:
        return images
    if count > len(images):
        raise InputError(f"reference_images = {count}, but {source} holds only {len(images)}")
    drawn = torch.randperm(len(images), generator=generator("cpu", seed, "reference"))[:count]
    return images[drawn.sort().values]


def reference_statistics(
    path: str | Path,
    images: UInt8[Tensor, "n 3 height width"],
    settings: Quality,
    weights: str | Path | None = None,
) -> Statistics:
    """`feature_statistics` of the images chosen from `path`, kept in `path`.statistics/.

    All points of a figure share their reference. Processes may race: a file appears whole, and its
    name is a hash of everything that determines its content.
    """
    key = {
        "file": sha256(path),
        "split": settings.reference,
        "images": len(images),
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
            return {"mu": arrays["mu"], "sigma": arrays["sigma"]}
    statistics = feature_statistics(extract_features(images, settings, weights))
    try:
        with atomic(kept) as temporary:
            np.savez(temporary, mu=statistics["mu"], sigma=statistics["sigma"])
        write_record(kept, inputs=[path], settings=key)
    except OSError as error:
        log.warning("reference statistics not kept in %s: %s", kept.parent, error)
    return statistics


@command_line
def main(argv: Sequence[str] | None = None) -> None:
    """Write the Frechet distance between a file of samples and a data set as JSON."""
    parser = argparse.ArgumentParser(prog="python -m gud.quality", description=main.__doc__)
    parser.add_argument("--settings", required=True, help="JSON of a gud.tasks.Quality section")
    parser.add_argument("--samples", required=True, help="npz with uint8 images (n, 3, H, W)")
    parser.add_argument("--reference", required=True, help="npz with uint8 arrays train and test")
    parser.add_argument("--out", required=True, help="JSON file to write")
    parser.add_argument(
        "--weights", nargs="?", help=f"for inception: the file of {features.INCEPTION_URL}"
    )
    arguments = parser.parse_args(argv)
    started = time.time()
    settings = read_settings(arguments.settings)
    split, seed = settings.reference, settings.extractor_seed
    where = (f"images in {arguments.samples}", f"{split} in {arguments.reference}")
    samples = read_images(arguments.samples, "images")
    reference = read_images(arguments.reference, split)
    reference = choose(reference, settings.reference_images, seed, where[1])
    check_pair(samples, reference, where)

    weights = arguments.weights if settings.extractor == "inception" else None
    found = extract_features(samples, settings, weights)
    target = reference_statistics(arguments.reference, reference, settings, weights)
    fid = distance(feature_statistics(found), target)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    quality = {
        "metric": features.METRICS[settings.extractor],
        "fid": fid,
        "fid_stderr": jackknife_stderr(found, target, settings.stderr_groups),
        "images": len(samples),
        "reference": split,
        "reference_images": len(reference),
        "extractor": settings.extractor,
        "extractor_seed": seed,
        "seconds": round(time.time() - started, 3),
        "device": device,
    }
    log.info("%s %.6g (%d images)", quality["metric"], quality["fid"], len(samples))
    with atomic(arguments.out) as temporary:
        temporary.write_text(json.dumps(quality, indent=1) + "\n")
    write_record(
        arguments.out,
        inputs=[arguments.samples, arguments.reference, *([weights] if weights else [])],
        settings=settings.model_dump(),
        seed=seed,
        started=started,
        device=device,
    )


if __name__ == "__main__":
    sys.exit(main())
