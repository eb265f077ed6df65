"""Features of sets of images, as torch-fidelity extracts them."""

from __future__ import annotations

import importlib
import logging
import sys
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.utils.data import Dataset

from gud.config.sections.evaluation import Quality
from gud.evaluate.quality.features import make_extractor
from gud.evaluate.quality.frechet import Features

log = logging.getLogger(__name__)


class Images(Dataset):
    """One image per item, the form in which torch-fidelity takes images."""

    def __init__(self, images: UInt8[Tensor, "n 3 height width"]) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> UInt8[Tensor, "3 height width"]:
        return self.images[index]


def extract_features(
    images: UInt8[Tensor, "n 3 height width"],
    settings: Quality,
    weights: str | Path | None = None,
) -> Features:
    """Features of each image, shape (n, features)."""
    extractor, layer = make_extractor(settings.extractor, settings.extractor_seed, weights)
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
