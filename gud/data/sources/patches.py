"""Patches of photographs that packages ship: no download."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8
from PIL import Image

from gud.config.sections.data import NaturalPatches
from gud.data.sources.source import Dataset
from gud.errors import InputError

PHOTOGRAPHS = (
    ("sklearn", "datasets/images/china.jpg"),
    ("sklearn", "datasets/images/flower.jpg"),
    ("skimage", "data/astronaut.png"),
    ("skimage", "data/coffee.png"),
    ("skimage", "data/chelsea.png"),
    ("skimage", "data/rocket.jpg"),
)
TISSUE = (("skimage", "data/ihc.png"),)
TEST_FRACTION = 0.2
"""Part of each photograph's width, at its right, that test patches are cut from."""
REGIONS = 4
"""Pieces of each photograph, one below another, that are taken as independent of one another:
bits/dim of neighbouring patches are correlated, those of patches 100 pixels apart hardly."""
MINIMUM_CONTRAST = 1.0
"""Standard deviation, in grey levels of the strongest channel, below which a patch is left out."""
SHUFFLE_SEED = 0

Patches = tuple[UInt8[np.ndarray, "count 3 size size"], Int64[np.ndarray, " count"]]
"""Patches and the region of each."""


def natural_patches(
    settings: NaturalPatches, archives: Sequence[Path] = (), scratch: Path | None = None
) -> Dataset:
    """Patches of the photographs that scikit-learn and scikit-image ship; these are the classes."""
    return cut_patches(_shipped(PHOTOGRAPHS), settings.size, settings.stride)


def tissue_patches(
    settings: NaturalPatches, archives: Sequence[Path] = (), scratch: Path | None = None
) -> Dataset:
    """Patches of stained tissue that scikit-image ships, a stand-in for PCAM.

    The photograph's finest frequencies are empty, as of an enlargement: it is halved first.
    """
    return cut_patches(_shipped(TISSUE), settings.size, settings.stride, reduction=2)


def cut_patches(photographs: Sequence[Path], size: int, stride: int, reduction: int = 1) -> Dataset:
    """Train and test patches from disjoint regions of each photograph, in shuffled order.

    Training patches may overlap; test patches lie side by side, so that no pixel counts twice in an
    average over them. Flat patches (see `MINIMUM_CONTRAST`) are left out: clipped borders and empty
    sky, where 8-bit data are constants, would dominate the likelihood.

    Args:
        photographs: image files, whose patches are a class each, if there are several.
        size: height and width of a patch in pixels, and the distance of neighbouring test patches.
        stride: distance of neighbouring training patches in pixels.
        reduction: factor by which the photographs are made smaller first (mean over squares).

    Raises:
        InputError: a photograph is too small for a train and a test patch side by side, or all
            patches of a split are flat.
    """
    splits: dict[str, list[Patches]] = {"train": [], "test": []}
    for number, path in enumerate(photographs):
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB").reduce(reduction))
        height, width = pixels.shape[:2]
        if height < size or width < 2 * size:
            raise InputError(
                f"photograph {path} has {height} x {width} pixels, "
                f"expected {size} x {2 * size} or more for patches of size {size}"
            )
        boundary = min(round((1 - TEST_FRACTION) * width), width - size)
        splits["train"].append(_patches(pixels[:, :boundary], size, stride, number))
        splits["test"].append(_patches(pixels[:, boundary:], size, size, number))
    random, inputs = np.random.default_rng(SHUFFLE_SEED), tuple(photographs)
    shuffled: dict[str, np.ndarray] = {}
    for name, cut in splits.items():
        images, region = (np.concatenate(part) for part in zip(*cut, strict=True))
        if not len(images):
            raise InputError(f"every {name} patch of {list(map(str, photographs))} is flat")
        order = random.permutation(len(images))
        shuffled |= {name: images[order], f"{name}_region": region[order]}
    classes = tuple(path.stem for path in photographs) if len(photographs) > 1 else ()
    if classes:
        shuffled |= {f"{name}_label": shuffled[f"{name}_region"] // REGIONS for name in splits}
    return Dataset(inputs=inputs, seed=SHUFFLE_SEED, classes=classes, **shuffled)


def _shipped(files: Sequence[tuple[str, str]]) -> list[Path]:
    """Files inside installed packages, found without importing these."""
    found = []
    for package, name in files:
        spec = importlib.util.find_spec(package)
        path = Path(spec.origin).parent / name if spec and spec.origin else None
        if path is None or not path.is_file():
            raise InputError(f"the installed package {package} has no file {name}")
        found.append(path)
    return found


def _patches(
    pixels: UInt8[np.ndarray, "height width 3"], size: int, stride: int, photograph: int
) -> Patches:
    """The patches of a part of a photograph, and the region of each: that of its middle row."""
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (size, size), axis=(0, 1))
    windows = windows[::stride, ::stride]
    middle = np.arange(len(windows)) * stride + size // 2
    region = np.repeat(photograph * REGIONS + middle * REGIONS // len(pixels), windows.shape[1])
    patches = windows.reshape(-1, 3, size, size)
    contrast = patches.std(axis=(2, 3), dtype=np.float32).max(axis=1)
    kept = contrast >= MINIMUM_CONTRAST
    return patches[kept], region[kept]
