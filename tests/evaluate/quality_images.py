"""Patches of photographs, spoilt more and more, and their distances."""

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from gud.config.sections.evaluation import Quality
from gud.evaluate.quality import frechet
from gud.evaluate.quality.features import extract_features
from gud.evaluate.quality.frechet import Moments

RANDOM = {
    "extractor": "random",
    "extractor_seed": 0,
    "reference": "train",
    "reference_images": None,
    "weights": None,
    "stderr_groups": 0,
    "batch_size": 256,
}

INCEPTION = {"extractor": "inception", "weights": "inception"}


def settings(**changes) -> Quality:
    return Quality(**RANDOM | changes)


def distance(samples: np.ndarray, reference: np.ndarray, **changes) -> float:
    """Frechet distance between the features of two sets of images."""
    found = (
        extract_features(torch.from_numpy(images), settings(**changes))
        for images in (samples, reference)
    )
    return frechet.distance(*(Moments.of(part).statistics() for part in found))


def noisy(images: np.ndarray, strength: float) -> np.ndarray:
    noise = np.random.default_rng(1).normal(size=images.shape)
    return np.clip(np.rint(images + strength * noise), 0, 255).astype(np.uint8)


def blurred(images: np.ndarray, width: float) -> np.ndarray:
    return np.rint(gaussian_filter(images.astype(float), (0, 0, width, width))).astype(np.uint8)
