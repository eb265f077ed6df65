"""Write the page of a preset."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import click
import jinja2

from gud.audit.verify import STATUSES, Verdict, running, summary, verify
from gud.cli import File, NamedPreset, OutFile, preset_argument
from gud.provenance import write_record, write_text
from gud.webpage import content, jobs

TEMPLATE = Path(__file__).with_name("page.html.jinja")
PICTURES = ("verdict*.png", "figures/*.png", "data/*.png", "*/*.png")
TABLES = ("verdict*.csv", "tables/*.csv", "*/guided/*.csv")


def shown(folder: Path, patterns: Sequence[str]) -> list[str]:
    """The artefacts in a folder with one of some patterns, in the order of these."""
    return [*dict.fromkeys(name for one in patterns for name in content.existing(folder, one))]


def render(preset: NamedPreset, folder: Path, verdicts: list[Verdict]) -> str:
    """The page of the results in a folder."""
    results = content.Results.of(folder)
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(TEMPLATE.read_text()).render(
        name=preset.name,
        stand_in=preset.preset.stand_in,
        pictures=[content.picture(results, name) for name in shown(folder, PICTURES)],
        claims=[content.claims(results, n) for n in content.existing(folder, "verdict*.csv")],
        tables=[content.table(results, n) for n in content.existing(folder, "tables/*.csv")],
        graph=content.graph(results),
        costs=jobs.costs(folder),
        environment=jobs.environment(results.records.values()),
        verdicts=sorted(verdicts, key=lambda verdict: -STATUSES.index(verdict.status)),
        verdict_counts=summary(verdicts),
        traces=content.traces(results),
        anchor=content.anchor,
        place_of=results.place_of,
    )


@click.command()
@preset_argument()
@click.option("--results", type=File, help="Folder of the artefacts; default: results/NAME.")
@click.option("--out", type=OutFile(), help="Default: report.html in that folder.")
def main(preset: NamedPreset, results: Path | None, out: Path | None) -> None:
    """Write one self-contained page of a preset, with a check of every artefact."""
    started = time.time()
    with running(preset, results) as run:
        page = render(preset, run.results, list(verify(run)))
        out = out or run.results / "report.html"
    write_text(out, page)
    inputs = [run.results / name for name in shown(run.results, (*PICTURES, *TABLES))]
    write_record(out, inputs=inputs, started=started)
    print(click.format_filename(out))
