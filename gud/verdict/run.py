"""The command `gud verdict`: how the papers' claims fare on the tables of a preset."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import click
import pandas as pd

from gud.cli import File, NamedPreset, OutFile, preset_argument
from gud.config.figures import TableSection, figure_sections
from gud.config.paths import table_file
from gud.errors import InputError
from gud.figures.drawing.style import write_figure
from gud.provenance import write_record, write_text
from gud.report.markdown import embed, read_page
from gud.verdict.claims import CLAIMS, load_claims
from gud.verdict.effects import draw_effects
from gud.verdict.findings import judge
from gud.verdict.galleries import read_galleries
from gud.verdict.numbers import read_numbers
from gud.verdict.page import MARKERS, as_page, as_summary, as_table

FORMS = (".csv", ".md", ".png", ".pdf")


@click.command()
@preset_argument()
@click.option(
    "--out", type=OutFile(), multiple=True, help="Table .csv, page .md, figure .png/.pdf."
)
@click.option("--markdown", type=File, help="File to show the verdicts in.")
@click.argument("sources", type=File, nargs=-1)
def main(
    preset: NamedPreset, out: tuple[Path, ...], markdown: Path | None, sources: tuple[Path, ...]
) -> None:
    """Put the papers' claims to the test on the tables of PRESET.

    SOURCES are tables (.csv) and images drawn at a fixed key (.npz); by default all that the
    preset has. Without --out and --markdown, the page is printed.
    """
    started = time.time()
    sources = sources or made(preset)
    for path in out:
        if path.suffix not in FORMS:
            raise InputError(f"--out {path} must end in {', '.join(FORMS)}")
    page = None if markdown is None else read_page(markdown, MARKERS)
    stand_in = preset.preset.stand_in
    table = verdicts(sources, bool(stand_in))
    text = as_page(table, preset.name, stand_in)
    for path in out:
        match path.suffix:
            case ".csv":
                write_text(path, table.to_csv(index=False))
            case ".md":
                write_text(path, text)
            case _:
                note = f"Stand-in: {stand_in}." if stand_in else ""
                title = f"Verdicts of {preset.name}"
                figure = draw_effects(table, note)
                write_figure(figure, [path], title, inputs=sources, settings={}, started=started)
                continue
        write_record(path, inputs=[CLAIMS, *sources], started=started)
    if markdown is not None and page is not None:
        write_text(markdown, embed(page, as_summary(table), MARKERS))
    if not out and markdown is None:
        click.echo(text, nl=False)


def verdicts(sources: Sequence[Path], stand_in: bool) -> pd.DataFrame:
    """The table of verdicts on some tables and galleries."""
    tables = [path for path in sources if path.suffix == ".csv"]
    galleries = [path for path in sources if path.suffix == ".npz"]
    numbers = [*read_numbers(tables), *read_galleries(galleries)]
    return as_table(judge(load_claims(), numbers), stand_in)


def made(preset: NamedPreset) -> tuple[Path, ...]:
    """The tables and galleries that a preset has."""
    tabled = [name for name, made in figure_sections().items() if issubclass(made, TableSection)]
    tables = [preset.results / table_file(name) for name in tabled]
    found = [table for table in tables if table.is_file()]
    found += sorted(preset.results.glob("*/gallery-*/*.npz"))
    if not found:
        raise InputError(
            f"{preset.results}/tables holds none of {', '.join(tabled)}: make them first, "
            f"e.g. `snakemake --cores all all --config preset={preset.name}`"
        )
    return tuple(found)
