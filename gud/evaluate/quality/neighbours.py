"""Sample quality beside the Frechet distance: kernel distance, precision and recall.

All are of the same features. The kernel distance (KID; Binkowski et al. 2018) has no bias from the
number of samples; precision and recall (Kynkaanniemi et al. 2019) tell wrong images from missing
ones, and compare at equal numbers of images only.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int64
from torch import Tensor

from gud.evaluate.quality.features import Features, load_torch_fidelity
from gud.evaluate.quality.frechet import Replicates

MOST = 5000
"""Images of either set, whose kernels are held at once."""

Others = Float[Tensor, "others features"]
Groups = tuple[Int64[np.ndarray, " images"], Int64[np.ndarray, " others"]]


def kernel_distance(
    samples: Features, reference: Others, groups: Groups
) -> tuple[float, Replicates | None]:
    """The unbiased estimate of the squared MMD with KID's kernel (x y / d + 1)^3.

    Args:
        groups: of the samples and of the reference images, for the jackknife.

    Returns:
        The distance, and its values without each group; None if a set has fewer than two.
    """
    kernel = load_torch_fidelity("torch_fidelity.metric_kid").kernel_poly
    x, y = (features.double().cpu().numpy() for features in (samples, reference))
    members = [np.equal.outer(np.unique(group), group).astype(float) for group in groups]
    within = [_within(kernel(z, z), member) for z, member in zip((x, y), members, strict=True)]
    between = members[0] @ kernel(x, y) @ members[1].T
    counts = [member.sum(1) for member in members]

    def without(side: int | None = None, group: int | None = None) -> float:
        kept = [np.ones(len(count)) for count in counts]
        if side is not None:
            kept[side][group] = 0
        n, m = (keep @ count for keep, count in zip(kept, counts, strict=True))
        own = [keep @ part @ keep for keep, part in zip(kept, within, strict=True)]
        return float(
            own[0] / (n * (n - 1))
            + own[1] / (m * (m - 1))
            - 2 * (kept[0] @ between @ kept[1]) / (n * m)
        )

    if min(map(len, counts)) < 2:
        return without(), None
    replicates = [
        [without(side, group) for group in range(len(count))] for side, count in enumerate(counts)
    ]
    return without(), dict(zip(("samples", "reference"), replicates, strict=True))


def _within(
    kernel: Float[np.ndarray, "images images"], member: Float[np.ndarray, "groups images"]
) -> Float[np.ndarray, "groups groups"]:
    """Sums of a kernel over pairs of different images, by their groups."""
    np.fill_diagonal(kernel, 0)
    return member @ kernel @ member.T


def precision_and_recall(samples: Features, reference: Others) -> tuple[float, float] | None:
    """The share of samples near real images, and of real images near samples.

    Near is within the distance of the third neighbour of its kind. None for less than five images.
    """
    if min(len(samples), len(reference)) < 5:
        return None
    measure = load_torch_fidelity("torch_fidelity.metric_prc").prc_features_to_metric
    found = measure(samples, reference, save_cpu_ram=True, verbose=False)
    return found["precision"], found["recall"]
