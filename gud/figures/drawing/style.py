"""How the figures look and how they are written: the same bytes from the same numbers."""

from __future__ import annotations

import io
import logging
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import LogLocator

from gud.errors import InputError
from gud.provenance import atomic, write_record

logging.getLogger("fontTools").setLevel(logging.WARNING)

WIDTH, COLUMN_WIDTH = 6.9, 3.4
"""Widths of a figure over two columns and over one, in inches."""

A_LABEL = "inverse softness $a$"
NLL_LABEL = "NLL (bits/dim)"

BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "#666666"
"""Okabe and Ito's colours, told apart by the colour-blind; grey for what is secondary."""
OKABE_ITO = (GREY, BLUE, VERMILION, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""For several curves."""

STYLE: dict[str, Any] = {
    "font.sans-serif": ["Arial", "DejaVu Sans", "Liberation Sans", "sans-serif"],
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
    "xtick.minor.size": 2,
    "ytick.minor.size": 2,
    "patch.edgecolor": "white",
    "patch.force_edgecolor": True,
    "lines.linewidth": 1.1,
    "lines.markersize": 4,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,
}


@contextmanager
def style() -> Iterator[None]:
    """The settings under which figures are drawn and written, whatever the user's matplotlibrc."""
    with matplotlib.style.context(["default", "seaborn-v0_8-ticks", STYLE]):
        yield


def logarithmic(axis: Axes) -> None:
    """A logarithmic scale upwards, with plain numbers beside it, several to a decade."""
    axis.set_yscale("log")
    axis.yaxis.set(major_locator=LogLocator(subs=(1, 2, 3, 5, 7)), major_formatter="{x:g}")
    axis.tick_params(axis="y", which="minor", left=False, labelleft=False)


def small_print(figure: Figure, *sentences: str) -> Text:
    """Sentences, the empty ones left out, in small type along the lower edge."""
    length = round(165 * figure.get_figwidth() / WIDTH)
    lines = [line for sentence in sentences for line in textwrap.wrap(sentence, length)]
    return figure.supxlabel(
        "\n".join(lines), x=0.01, ha="left", fontsize=5.5, color=GREY, linespacing=1.3
    )


def write_figure(
    figure: Figure,
    paths: Iterable[Path],
    title: str,
    *,
    inputs: Sequence[Path],
    settings: dict[str, Any],
    started: float,
    made_with: Sequence[Path] = (),
) -> None:
    """Write a figure under each of the paths (.pdf or .png), with the record of each.

    Title, small print and a fixed date are the files' metadata.
    """
    note, paths = figure.get_supxlabel(), list(paths)
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
            drawn = io.BytesIO()
            figure.savefig(drawn, format=path.suffix[1:], metadata=metadata)
            with atomic(path) as temporary:
                temporary.write_bytes(drawn.getvalue())
    for path in paths:
        write_record(
            path,
            inputs=inputs,
            made_with=[other for other in (*paths, *made_with) if other != path],
            settings=settings,
            started=started,
        )
