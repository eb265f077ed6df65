"""Figures as tests draw them: sections of presets, labels, and tables of known numbers."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.text import Text

from gud.config.figures import FigureSection, Labels, figure_sections
from gud.config.sections.validation import validate
from gud.figures.drawing.draw import drawing

STAND_IN = "16x16 patches, a small network"
LABELS = Labels(dataset="patches", stand_in=STAND_IN)
SETTINGS = {
    "figure2": {"experiment": "white", "components": 8},
    "figure3": {"experiments": ["white", "matching"]},
    "figure5": {"experiments": ["white"], "box": {"a": [0.8, 1.2], "r": [0, 0.3]}},
    "wavelets": {"experiments": ["haar"]},
}


def section(name: str, **settings) -> FigureSection:
    """The section of a figure, by default with the settings above."""
    return validate(figure_sections()[name], SETTINGS.get(name, {}) | settings, name)


def drawn(name: str, source, labels: Labels = LABELS, **settings) -> Figure:
    return drawing(section(name, **settings), source, labels)


def texts(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(Text)).replace("\n", " ")


def row(experiment, a, r, nll):
    return {
        "experiment": experiment,
        "group": experiment,
        "seed": 0,
        "whitened": experiment == "matching",
        "network_space": "image",
        "preconditioning": "none",
        "gamma_noise": "auto",
        "a": a,
        "r": r,
        "nll_bits_per_dim": nll,
        "nll_stderr": 0.05 if experiment == "white" else 0.07,
        "nll_minus_standard": nll - 4.2,
        "nll_minus_standard_stderr": abs(a - 1) / 50,
        "nll_minus_standard_band": abs(a - 1) / 20,
        "images": 128,
        "fid": 10 * nll,
        "fid_stderr": np.nan,
        "fid_metric": "FD, random features",
        "fid_images": 256,
        "fid_reference": "train",
        "fid_reference_images": 2000,
    }


def scan() -> pd.DataFrame:
    """The table of Figure 3: two curves over a."""
    points = [(name, a) for name in ("matching", "white") for a in (1.6, 0.4, 1.0)]
    return pd.DataFrame([row(name, a, 0.0, 4.2 + 0.1 * (a - 1)) for name, a in points])


def plane() -> pd.DataFrame:
    """The table of Figure 5: a coarse grid and a finer one in the box."""
    coarse = {(a, r) for a in (0.4, 0.7, 1.0, 1.3, 1.6) for r in (0.0, 0.25, 0.5, 0.75, 1.0)}
    fine = {(a, r) for a in (0.8, 0.9, 1.0, 1.1, 1.2) for r in (0.0, 0.1, 0.2, 0.3)}
    points = sorted(coarse | fine)
    return pd.DataFrame(
        [row("white", a, r, 4.2 + (a - 0.9) ** 2 + (r - 0.1) ** 2) for a, r in points]
    )


def softness() -> pd.DataFrame:
    """The table of the wavelet scan, lowest at a = 0.5, b = 0.3, without standard diffusion."""
    points = [(a, b) for a in (0.3, 0.5, 0.7) for b in (0.3, 0.4, 0.5, 0.6, 0.7)]
    rows = [
        {
            "experiment": "haar",
            "seed": 0,
            "a": a,
            "b": b,
            "nll_bits_per_dim": 4 + (a - 0.5) ** 2 + b / 10,
            "nll_minus_standard_stderr": np.nan,
            "nll_minus_best": (a - 0.5) ** 2 + (b - 0.3) / 10,
            "nll_minus_best_band": 0.0123,
        }
        for a, b in points
    ]
    return pd.DataFrame(rows)
