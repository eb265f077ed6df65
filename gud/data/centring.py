"""Dequantisation and mean removal: mean image, grey levels, and a check."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int64, UInt8
from scipy import special
from torch import Tensor

from gud.data.blocks import blocks
from gud.diffusion.dequantisation import quantise

CELLS = 64
"""Equal parts of the interval of a grey level, in which the dequantised values are counted."""
IMPOSSIBLE = 1e-9
"""A probability that says that the dequantisation is wrong, not that chance was unkind."""


def grey_levels(
    images: UInt8[Tensor, "count channels height width"],
) -> Int64[Tensor, "channels 256"]:
    """How often each grey level occurs in each channel."""
    counts = torch.zeros(images.shape[1], 256, dtype=torch.int64)
    for block in blocks(images):
        for channel, values in enumerate(block.unbind(1)):
            counts[channel] += torch.bincount(values.flatten(), minlength=256)
    return counts


def position(
    levels: UInt8[Tensor, "batch c h w"], phi: Float[Tensor, "batch c h w"]
) -> Float[np.ndarray, " values"]:
    """Where in the interval of its grey level each dequantised value lies, in [0, 1)."""
    return ((phi.double() + 1) * 128 - levels).flatten().numpy()


def uniformity(
    levels: UInt8[Tensor, "batch c h w"], phi: Float[Tensor, "batch c h w"]
) -> pd.DataFrame:
    """Whether phi is `levels` dequantised: levels that come back, positions that are uniform.

    Returns:
        One row a check: what was measured, what is expected, the probability of a deviation as
        large if the positions are uniform (NaN where it must be exact), and the number of values.

    Raises:
        ArithmeticError: one of them cannot be chance.
    """
    u = position(levels, phi)
    n = len(u)
    cells = np.bincount((u * CELLS).astype(int).clip(0, CELLS - 1), minlength=CELLS)
    spread, scale = levels.double().std(correction=0).item(), np.sqrt(n)
    correlation = float(
        np.mean((u - 0.5) * (levels.flatten().numpy() - levels.double().mean().item()))
    )
    correlation = correlation / (spread * np.sqrt(1 / 12)) if spread else 0.0
    chi_squared = ((cells - n / CELLS) ** 2 / (n / CELLS)).sum()
    rows = {
        "share of grey levels that come back": (
            (quantise(phi) == levels).double().mean().item(),
            1.0,
            np.nan,
        ),
        f"chi-squared of {CELLS} cells of the bin": (
            chi_squared,
            CELLS - 1.0,
            special.chdtrc(CELLS - 1, chi_squared),
        ),
        "mean position in the bin": (u.mean(), 0.5, _normal((u.mean() - 0.5) * scale * 12**0.5)),
        "variance of the position in the bin": (
            u.var(),
            1 / 12,
            _normal((u.var() - 1 / 12) * scale / (1 / 80 - 1 / 144) ** 0.5),
        ),
        "correlation of position and level": (correlation, 0.0, _normal(correlation * scale)),
    }
    table = pd.DataFrame(
        [(name, *values, n) for name, values in rows.items()],
        columns=["check", "value", "expected", "p_value", "values"],
    )
    for row in table.itertuples():
        wrong = row.value != row.expected if pd.isna(row.p_value) else row.p_value < IMPOSSIBLE
        if wrong:
            raise ArithmeticError(
                f"dequantised values are not uniform in the bins of their levels: {row.check} is "
                f"{row.value:g}, expected {row.expected:g} (p = {row.p_value:.1g})"
            )
    return table


def _normal(z: float) -> float:
    """Probability of a standard normal deviation at least as large."""
    return float(2 * special.ndtr(-abs(z)))
