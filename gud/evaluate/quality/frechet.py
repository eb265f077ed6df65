"""The Frechet distance between two sets of features, and its error over the choice of both sets.

FD = |mu_1 - mu_2|^2 + tr(C_1 + C_2 - 2 (C_1 C_2)^(1/2)), with the mean mu and covariance C of the
features, computed by torch-fidelity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64

from gud.evaluate.quality.features import Features, load_torch_fidelity

Replicates = dict[str, list[float]]
"""A number without each group of `samples` and without each of `reference` images."""
Statistics = Mapping[str, np.ndarray]
"""Mean `mu` (features,) and covariance `sigma` (features, features)."""


@dataclass(frozen=True)
class Moments:
    """Moments of the features of groups of images, from which those of any union follow exactly.

    Args:
        count: images of each group.
        mean: of their features.
        scatter: sums of the products of two features' deviations from the group's mean.
    """

    count: Int64[np.ndarray, " groups"]
    mean: Float[np.ndarray, "groups features"]
    scatter: Float[np.ndarray, "groups features features"]

    @classmethod
    def of(cls, found: Features, group: Int64[np.ndarray, " images"] | None = None) -> Moments:
        """Moments in double precision; all images are one group by default."""
        group = np.zeros(len(found), dtype=np.int64) if group is None else group
        means, scatters = [], []
        numbers, count = np.unique(group, return_counts=True)
        for number in numbers:
            part = found.numpy()[group == number].astype(np.float64)
            means.append(part.mean(0))
            scatters.append((part - means[-1]).T @ (part - means[-1]))
        return cls(count, np.stack(means), np.stack(scatters))

    def statistics(self, without: int | None = None) -> Statistics:
        """Mean and covariance over all groups but one, or over all."""
        kept = np.arange(len(self.count)) != without
        count, mean = self.count[kept], self.mean[kept]
        total = count @ mean / count.sum()
        between = (mean - total).T @ (count[:, None] * (mean - total))
        scatter = self.scatter[kept].sum(0) + between
        return {"mu": total, "sigma": scatter / (count.sum() - 1)}


def distance(samples: Statistics, reference: Statistics) -> float:
    """Frechet distance of two Gaussians given by mean `mu` and covariance `sigma`."""
    fid = load_torch_fidelity("torch_fidelity.metric_fid")
    return fid.fid_statistics_to_metric(samples, reference, verbose=False)[fid.KEY_METRIC_FID]


def jackknife_replicates(samples: Moments, reference: Moments) -> Replicates | None:
    """The distance without each group of samples, and without each of reference images.

    Returns:
        None if a set has fewer than two groups.
    """
    if min(len(samples.count), len(reference.count)) < 2:
        return None
    whole = samples.statistics(), reference.statistics()
    return {
        "samples": [
            distance(samples.statistics(without=left_out), whole[1])
            for left_out in range(len(samples.count))
        ],
        "reference": [
            distance(whole[0], reference.statistics(without=left_out))
            for left_out in range(len(reference.count))
        ],
    }


def jackknife_stderr(replicates: Replicates | None) -> float | None:
    """Standard error of a number over the choice of samples and of reference images.

    The delete-a-group jackknife of either set, added in squares since the sets are independent.

    Args:
        replicates: the number without each group of the one and of the other; None if unknown.
    """
    if replicates is None:
        return None
    variance = sum(np.var(found) * (len(found) - 1) for found in replicates.values())
    return float(np.sqrt(variance))
