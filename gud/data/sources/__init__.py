"""Where data sets come from: what a source gives, then one file per source.

A source makes a `Dataset` from its section of settings, its downloaded archives and a folder for
temporary files; `gud dataset` writes it.
"""

from collections.abc import Callable

from gud.data.sources.cifar10 import cifar10 as cifar10
from gud.data.sources.parquet import images as images
from gud.data.sources.patches import cut_patches as cut_patches
from gud.data.sources.patches import natural_patches as natural_patches
from gud.data.sources.patches import tissue_patches as tissue_patches
from gud.data.sources.pcam import pcam as pcam
from gud.data.sources.source import Dataset as Dataset

SOURCES: dict[str, Callable[..., Dataset]] = {
    "natural_patches": natural_patches,
    "tissue_patches": tissue_patches,
    "cifar10": cifar10,
    "pcam": pcam,
    "images": images,
}
