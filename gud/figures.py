"""Figures 2, 3 and 5 of the paper.

python -m gud.figures figure2 --settings JSON --source STATISTICS.safetensors --out F.pdf F.png
python -m gud.figures figure3 --settings JSON --source TABLE.csv --out F.pdf F.png
python -m gud.figures figure5 --settings JSON --source TABLE.csv --out F.pdf F.png
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from safetensors import SafetensorError
from torch import Tensor

from gud.errors import InputError, command_line
from gud.figure2 import Figure2, draw_figure2
from gud.figure3 import Figure3, draw_figure3
from gud.figure5 import Figure5, draw_figure5
from gud.figure_style import Labels, write_figure
from gud.representation import Statistics
from gud.settings import validate


def load_table(path: Path) -> pd.DataFrame:
    """A table of `gud.tables`."""
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise InputError(f"table {path} cannot be read: {error}") from None
    needed = ("experiment", "a", "r", "nll_bits_per_dim", "nll_minus_standard_stderr")
    if missing := [name for name in needed if name not in table]:
        raise InputError(f"table {path} has no column {missing[0]}")
    return table


def load_variance(path: Path) -> Tensor:
    """The variances Sigma_i in the statistics of a dataset."""
    try:
        return Statistics.load(path).variance
    except (OSError, SafetensorError, TypeError) as error:
        raise InputError(f"statistics {path} cannot be read: {error}") from None


FIGURES: dict[str, tuple[type[Labels], Any, Any, str]] = {
    "figure2": (Figure2, load_variance, draw_figure2, "Figure 2: component-wise noising schedules"),
    "figure3": (
        Figure3,
        load_table,
        draw_figure3,
        "Figure 3: likelihood and sample quality over softness",
    ),
    "figure5": (
        Figure5,
        load_table,
        draw_figure5,
        "Figure 5: likelihood over softness and ordering",
    ),
}


@command_line
def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("figure", choices=FIGURES)
    parser.add_argument("--settings", type=json.loads, required=True, help="as JSON")
    parser.add_argument(
        "--source",
        type=Path,
        required=True,
        help="statistics (.safetensors) for figure2, a table (.csv) for the others",
    )
    parser.add_argument("--out", type=Path, nargs="+", required=True, metavar="FILE")
    arguments = parser.parse_args(argv)
    started = time.time()
    section, load, draw, title = FIGURES[arguments.figure]
    labels = validate(section, arguments.settings, f"settings of {arguments.figure}")
    figure = draw(load(arguments.source), labels)
    write_figure(
        figure,
        arguments.out,
        title,
        inputs=[arguments.source],
        settings=arguments.settings,
        started=started,
    )


if __name__ == "__main__":
    sys.exit(main())
