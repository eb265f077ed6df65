"""A short text for the end of a run: the best points of each table and where the figures lie."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

import click
import pandas as pd

from gud.cli import File, NamedPreset, out_option, preset_option
from gud.provenance import write_record, write_text
from gud.report.columns import scale_note
from gud.report.markdown import markdown_table
from gud.report.parameters import is_standard, parameters_of
from gud.report.reading import read_table

SHOWN = (
    "experiment",
    "whitened",
    "nll_bits_per_dim",
    "nll_stderr",
    "nll_minus_standard",
    "nll_minus_standard_stderr",
    "nll_minus_best_stderr",
)
"""Columns of a table that the summary shows."""

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
ERRORS = (
    "± of a number is its standard error: of NLL over the test images, those of one region taken "
    "together; of sample quality over the samples and the reference images. ± of a difference is "
    "the half-width of the 95 % band that holds for all pairs of points of an experiment at once, "
    "on the same images, so also for the best and the worst. Neither covers another training."
)


def summarise(
    tables: dict[str, pd.DataFrame], figures: Iterable[str] = (), stand_in: str = ""
) -> str:
    """Markdown: one line for each experiment of each table, then the figures' paths."""
    lines = ["# Results", ""]
    lines += [f"Stand-in: {stand_in}", ""] if stand_in else []
    for name, table in tables.items():
        groups = [group for _, group in table.groupby("experiment", sort=False)]
        lines += [f"## {name}", "", markdown_table(HEADER, map(_cells, groups)).rstrip()]
        # The networks of all seeds are evaluated on the same images.
        notes = [f"{name}: {scale_note(rows)}" for name, rows in table.groupby("group", sort=False)]
        lines += ["", *(f"{note}\n" for note in notes if not note.endswith(": "))]
    lines += [ERRORS, ""]
    lines += [f"- {figure}" for figure in figures]
    return "\n".join(lines).rstrip() + "\n"


def _cells(points: pd.DataFrame) -> list[str]:
    first = points.iloc[0]
    prior = "variance-matching (whitened)" if first.whitened else "isotropic (unwhitened)"
    if first.get("network_space") == "whitened":
        prior += ", network sees whitened images"
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
        _value(best.nll_minus_standard, best.nll_minus_standard_band),
        _value(worst.nll_bits_per_dim - best.nll_bits_per_dim, worst.nll_minus_best_band),
    ]


def _quality_cell(points: pd.DataFrame) -> str:
    if not {"fid", "fid_stderr", "fid_metric"} <= set(points) or points.fid.isna().all():
        return "-"
    best = points.loc[points.fid.idxmin()]
    where = _point(best) + (f", {best.samples}" if "samples" in best else "")
    return f"{best.fid_metric}: {_value(best.fid, best.fid_stderr, digits=3)} at {where}"


def _point(row: pd.Series) -> str:
    return ", ".join(f"{name} = {value:g}" for name, value in parameters_of(row).items())


def _value(value: float, error: float, digits: int = 4) -> str:
    if pd.isna(value):
        return "-"
    text = f"{value:.{digits}f}"
    return text if pd.isna(error) else f"{text} ± {error:.{digits}f}"


@click.command()
@preset_option()
@out_option("Markdown file to write.")
@click.argument("files", type=File, nargs=-1, required=True)
def main(preset: NamedPreset, out: Path, files: tuple[Path, ...]) -> None:
    """Write the headline numbers of FILES: tables (.csv), and figures to be listed."""
    started = time.time()
    paths = [path for path in files if path.suffix == ".csv"]
    tables = {str(path): read_table(path, SHOWN) for path in paths}
    figures = [str(path) for path in files if path.suffix != ".csv"]
    write_text(out, summarise(tables, figures, preset.preset.stand_in))
    write_record(out, inputs=[path for path in files if path.is_file()], started=started)
