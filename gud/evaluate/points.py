"""The likelihood artefact of one point, with its errors."""

from __future__ import annotations

import functools
import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int64

from gud.config.jobs import Trained
from gud.config.sections.schedules import standard_parameters
from gud.data.arrays import FINER, Arrays, load_arrays
from gud.evaluate.uncertainty import band_factor, over_further_images, standard_error
from gud.provenance import Record, checked_record


@dataclass(frozen=True)
class LikelihoodPoint:
    """The likelihood artefact of one point.

    Args:
        path: of the artefact.
        record: its provenance record.
        bits_per_dim: negative log-likelihood, shape (images, probes); where the first images have
            finer steps too, by `corrected`; where the point was evaluated on the first images
            alone, by `over_further_images`.
        index: which test images, shape (images,).
        region: of the data set that each was cut from, shape (images,); its own for each image of a
            data set that names none.
        evaluations: network evaluations of the ODE for each batch of images, shape (batches,).
        computed: `bits_per_dim` of the images that were evaluated, before any correction: images
            one by one, where the other serves their mean and its error.
        others: further estimates of `bits_per_dim` of the same images, `noised` and `bound`, where
            the settings asked for them; of the bound the second axis is that of its replicates.
    """

    path: Path
    record: Record
    bits_per_dim: Float[np.ndarray, "images probes"]
    index: Int64[np.ndarray, " images"]
    region: Int64[np.ndarray, " images"]
    evaluations: Int64[np.ndarray, " batches"]
    computed: Float[np.ndarray, "evaluated probes"]
    others: dict[str, Float[np.ndarray, "images estimates"]] = field(default_factory=dict)

    @property
    def images(self) -> int:
        """How many were evaluated."""
        return len(self.computed)

    @property
    def per_image(self) -> Float[np.ndarray, " images"]:
        return self.bits_per_dim.mean(1)

    @property
    def one_by_one(self) -> Float[np.ndarray, " images"]:
        """Bits/dim of each image, moved by what finer steps change in the mean of all."""
        return self.computed.mean(1) + (self.bits_per_dim.mean() - self.computed.mean())

    def estimate(self, name: str) -> Float[np.ndarray, " images"] | None:
        """An estimate of each image: `nll` or one of `others`; None if there is no such."""
        if name == "nll":
            return self.per_image
        return self.others[name].mean(1) if name in self.others else None

    @property
    def trained(self) -> Trained:
        return self.record["settings"]["trained"]

    @property
    def estimator(self) -> Mapping[str, object]:
        """The settings that all points of one experiment must share to be compared."""
        settings = self.record["settings"]["likelihood"]
        return {key: settings[key] for key in settings if key not in ("images", "batch_size")}


def paired_difference(
    point: LikelihoodPoint, other: LikelihoodPoint | None, estimate: str = "nll"
) -> tuple[float, float]:
    """Mean and standard error, over the images, of NLL(point) - NLL(other) for each image.

    Both are NaN where there is no other point or it was evaluated on other images.

    Args:
        estimate: of the NLL, see `LikelihoodPoint.estimate`; NaN where one of the two has none.
    """
    if other is None or not np.array_equal(point.index, other.index):
        return math.nan, math.nan
    one, two = point.estimate(estimate), other.estimate(estimate)
    if one is None or two is None:
        return math.nan, math.nan
    return float((one - two).mean()), standard_error(one - two, point.region)


def difference_factor(points: Collection[LikelihoodPoint]) -> float:
    """`band_factor` of the points of an experiment; NaN if they were evaluated on other images."""
    first = next(iter(points))
    if not all(np.array_equal(point.index, first.index) for point in points):
        return math.nan
    return band_factor(np.stack([point.per_image for point in points], 1), first.region)


def read_likelihood(path: Path) -> LikelihoodPoint:
    """A likelihood artefact with its record, checked."""
    return next(read_likelihoods([path]))


def read_likelihoods(paths: Iterable[Path]) -> Iterator[LikelihoodPoint]:
    """Likelihood artefacts with their records, checked.

    Where errors of differences were requested, the points of an experiment that reached theirs with
    few images are continued over those of the point that took most: of standard diffusion, to which
    differences were requested, if it is there.
    """
    read = [(path, *_read(path)) for path in paths]
    most: dict[Path, Arrays] = {}
    for path, _, arrays in sorted(read, key=lambda one: _is_standard(one[1])):
        if len(arrays["index"]) >= len(most.setdefault(path.parent, arrays)["index"]):
            most[path.parent] = arrays
    for path, record, arrays in read:
        asked, over = record["settings"]["likelihood"], most[path.parent]
        first = over["index"][: len(arrays["index"])]
        if "stderr_of_difference" not in asked or not np.array_equal(first, arrays["index"]):
            over = arrays
        estimate = functools.partial(over_further_images, arrays, over)
        yield LikelihoodPoint(
            path,
            record,
            estimate("bits_per_dim"),
            over["index"],
            over.get("region", over["index"]),
            arrays["evaluations"],
            arrays["bits_per_dim"],
            {name: estimate(array) for name, array in _others(record).items()},
        )


def _is_standard(record: Record) -> bool:
    parameters = record["settings"].get("parameters", {})
    return parameters == standard_parameters(parameters)


def _read(path: Path) -> tuple[Record, Arrays]:
    record = checked_record(path)
    kinds = {"bits_per_dim": "f images probes", "index": "i images", "evaluations": "i batches"}
    kinds |= {array: f"f images {name}" for name, array in _others(record).items()}
    finer = {FINER + name: "f few probes" for name in ("bits_per_dim", "noised_bits_per_dim")}
    return record, load_arrays(path, kinds, optional={"region": "i images"} | finer)


def _others(record: Record) -> dict[str, str]:
    """The arrays of further estimates, by name."""
    asked = record["settings"]["likelihood"].get("also", [])
    return {name: f"{name}_bits_per_dim" for name in asked}
