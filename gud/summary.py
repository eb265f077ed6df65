"""A short text for the end of a run: the best points of each table and where the figures lie.

python -m gud.summary --tables TABLE.csv... [--figures FILE...] [--stand-in TEXT] --out FILE.md
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from gud.errors import InputError, command_line
from gud.points import is_standard, parameters_of
from gud.provenance import atomic, write_record

HEADER = (
    "experiment",
    "prior",
    "best point",
    "its NLL, bits/dim",
    "NLL on the SNR path of standard diffusion",
    "best minus that",
    "largest minus smallest",
    "best sample quality",
    "points",
)


def summarise(
    tables: dict[str, pd.DataFrame], figures: Iterable[str] = (), stand_in: str = ""
) -> str:
    """Markdown: one line for each experiment of each table, then the figures' paths.

    Errors are standard errors over the test images; those of differences are over the differences
    of the same images.
    """
    lines = ["# Results", ""]
    lines += [f"Stand-in: {stand_in}", ""] if stand_in else []
    for name, table in tables.items():
        lines += [f"## {name}", "", _line(HEADER), _line(["---"] * len(HEADER))]
        lines += [_line(_cells(group)) for _, group in table.groupby("experiment", sort=False)]
        lines.append("")
    lines += [
        "Errors are standard errors over the test images; those of differences are over the "
        "differences of the same images.",
        "",
    ]
    lines += [f"- {figure}" for figure in figures]
    return "\n".join(lines).rstrip() + "\n"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(points: pd.DataFrame) -> list[str]:
    first = points.iloc[0]
    prior = "variance-matching (whitened)" if first.whitened else "isotropic (unwhitened)"
    head = [str(first.experiment), prior]
    return [*head, *_nll_cells(points), _quality_cell(points), str(len(points))]


def _nll_cells(points: pd.DataFrame) -> list[str]:
    points = points.dropna(subset="nll_bits_per_dim")
    if points.empty:
        return ["-"] * 5
    best = points.loc[points.nll_bits_per_dim.idxmin()]
    worst = points.loc[points.nll_bits_per_dim.idxmax()]
    standard = points[is_standard(points)]
    return [
        _point(best),
        _value(best.nll_bits_per_dim, best.nll_stderr),
        " ".join(
            f"{_value(row.nll_bits_per_dim, row.nll_stderr)} at {_point(row)}"
            for _, row in standard.iterrows()
        )
        or "-",
        _value(best.nll_minus_standard, best.nll_minus_standard_stderr),
        _value(worst.nll_bits_per_dim - best.nll_bits_per_dim, worst.nll_minus_best_stderr),
    ]


def _quality_cell(points: pd.DataFrame) -> str:
    if "fid" not in points or points.fid.isna().all():
        return "-"
    best = points.loc[points.fid.idxmin()]
    return f"{best.fid_metric}: {_value(best.fid, best.fid_stderr, digits=3)} at {_point(best)}"


def _point(row: pd.Series) -> str:
    return ", ".join(f"{name} = {value:g}" for name, value in parameters_of(row).items())


def _value(value: float, error: float, digits: int = 4) -> str:
    if pd.isna(value):
        return "-"
    text = f"{value:.{digits}f}"
    return text if pd.isna(error) else f"{text} ± {error:.{digits}f}"


@command_line
def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", type=Path, nargs="+", required=True, metavar="TABLE.csv")
    parser.add_argument("--figures", nargs="*", default=[], metavar="FILE")
    parser.add_argument("--stand-in", default="", help="what stands in for the paper's data")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args(argv)
    started = time.time()
    if missing := [path for path in arguments.tables if not path.is_file()]:
        raise InputError(f"table {missing[0]} does not exist")
    tables = {str(path): pd.read_csv(path) for path in arguments.tables}
    with atomic(arguments.out) as temporary:
        temporary.write_text(summarise(tables, arguments.figures, arguments.stand_in))
    write_record(arguments.out, inputs=arguments.tables, started=started)


if __name__ == "__main__":
    sys.exit(main())
