"""The shares of samples that a classifier assigns to the class that was asked for, as a table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

ALL = "all"
"""The row of all classes together."""
COLUMNS = (
    "class",
    "guided_share",
    "guided_share_stderr",
    "unguided_share",
    "unguided_share_stderr",
    "samples",
    "scale",
    "judge_accuracy",
    "judge_images",
)


def share(hits: np.ndarray) -> tuple[float, float]:
    """The share of what is true, and its standard error; samples are independent."""
    mean = float(hits.mean())
    return mean, math.sqrt(mean * (1 - mean) / max(len(hits) - 1, 1))


def mean_share(assigned: np.ndarray) -> tuple[float, float]:
    """The share of guided samples that are assigned to the class asked for, over all classes.

    Its standard error is that over the images: samples of one number share their random numbers.

    Args:
        assigned: the class that each sample is taken for, shape (images, classes).
    """
    each = (assigned == np.arange(assigned.shape[1])).mean(1)
    error = each.std(ddof=1) / math.sqrt(len(each)) if len(each) > 1 else math.nan
    return float(each.mean()), float(error)


def shares_table(
    arrays: Mapping[str, np.ndarray], classes: Sequence[str], scale: float
) -> pd.DataFrame:
    """A row of `COLUMNS` for each class, and one for all.

    Of unguided samples, asked for each class in turn, 1 / classes are right in all.

    Args:
        arrays: what `gud.evaluate.applications.guide` writes.
        scale: of the guidance.
    """
    assigned, unguided = arrays["assigned"], arrays["assigned_unguided"]
    found = {
        name: (*share(assigned[:, number] == number), *share(unguided == number))
        for number, name in enumerate(classes)
    }
    found[ALL] = (*mean_share(assigned), 1 / len(classes), 0.0)
    beside = len(assigned), scale, float(arrays["accuracy"]), int(arrays["tested"])
    return pd.DataFrame([(name, *row, *beside) for name, row in found.items()], columns=COLUMNS)
