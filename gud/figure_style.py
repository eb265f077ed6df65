"""How the figures look and how they are written: the same bytes from the same numbers."""

from __future__ import annotations

import logging
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import matplotlib.style
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.text import Text
from pydantic import Field

from gud.errors import InputError
from gud.provenance import atomic, write_record
from gud.settings import BasisSettings, Name, Section

logging.getLogger("fontTools").setLevel(logging.WARNING)

WIDTH, COLUMN_WIDTH = 6.9, 3.4
"""Widths of a figure over two columns and over one, in inches."""

A_LABEL = "inverse softness $a$"
NLL_LABEL = "NLL (bits/dim)"

BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "#666666"
"""Okabe and Ito's colours, told apart by the colour-blind; grey for what is secondary."""

STYLE: dict[str, Any] = {
    "font.size": 7.5,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "lines.linewidth": 1.1,
    "lines.markersize": 4,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,
}


BASIS_NAMES = {"pixel": "pixel", "pca": "PCA", "fourier": "Fourier", "haar": "Haar"}


class Labels(Section):
    """What the small print of a figure names: the data, and what stands in for the paper's.

    The figure's experiment, its basis and its gamma_denoise may come along with every figure.
    """

    dataset: str
    stand_in: str
    experiment: Name | None = None
    basis: BasisSettings | None = None
    gamma_denoise: Annotated[float, Field(lt=0)] | None = None

    @property
    def data_note(self) -> str:
        basis = f", {BASIS_NAMES[self.basis.name]} basis" if self.basis else ""
        return f"Data: {self.dataset}{basis}."

    @property
    def stand_in_note(self) -> str:
        return f"Stand-in: {self.stand_in}." if self.stand_in else ""


@contextmanager
def style() -> Iterator[None]:
    """The settings under which figures are drawn and written, whatever the user's matplotlibrc."""
    with matplotlib.style.context(["default", STYLE]):
        yield


def small_print(figure: Figure, *sentences: str) -> Text:
    """Sentences, the empty ones left out, in small type along the lower edge."""
    length = round(165 * figure.get_figwidth() / WIDTH)
    lines = [line for sentence in sentences for line in textwrap.wrap(sentence, length)]
    return figure.supxlabel(
        "\n".join(lines), x=0.01, ha="left", fontsize=5.5, color=GREY, linespacing=1.3
    )


def rows_of(table: pd.DataFrame, experiment: str, parameters: Iterable[str]) -> pd.DataFrame:
    """The points of one experiment, all of which must have the parameters."""
    rows = table[table.experiment == experiment]
    if rows.empty:
        raise InputError(
            f"the table holds no point of {experiment}, only {sorted(table.experiment.unique())}"
        )
    for name in parameters:
        if name not in rows or rows[name].isna().any():
            raise InputError(f"the table gives no {name} for the points of {experiment}")
    return rows


def write_figure(
    figure: Figure,
    paths: Iterable[Path],
    title: str,
    *,
    inputs: Sequence[Path],
    settings: dict[str, Any],
    started: float,
) -> None:
    """Write a figure under each of the paths (.pdf or .png), with the record of each.

    Title, small print and a fixed date are the files' metadata.
    """
    note = figure.get_supxlabel()
    with style():
        for path in paths:
            match path.suffix:
                case ".pdf":
                    metadata = {
                        "Title": title,
                        "Subject": note,
                        "CreationDate": datetime(2000, 1, 1, tzinfo=UTC),
                    }
                case ".png":
                    metadata = {"Title": title, "Description": note}
                case _:
                    raise InputError(f"--out {path} must end in .pdf or .png")
            with atomic(path) as temporary:
                figure.savefig(temporary, metadata=metadata)
            write_record(path, inputs=inputs, settings=settings, started=started)
