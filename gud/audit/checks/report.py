"""Checks of tables, figures and summaries: each is made again from what it was made from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from gud.audit.checks.check import Artefact, Check, kind, made_of, prescribed, same_file
from gud.config.figures import FigureSection, TableSection, figure_settings, labels_of
from gud.figures.drawing.draw import draw
from gud.provenance import record_path
from gud.report import comparison, summary, tables
from gud.report.reading import read_table
from gud.verdict import run as judge

ROUNDING = 1e-6
"""Of the intervals of verdicts, which another number of threads may round otherwise."""


@kind("comparison", r"tables/comparison\.csv")
def compared(artefact: Artefact) -> Iterator[Check]:
    published = artefact.input(".yaml")
    sources = [path for path in artefact.inputs if path.parent == artefact.path.parent]
    again = artefact.run.folder("comparison") / "comparison.csv"
    found, _ = comparison.compare(comparison.load_published(published), sources)
    found.to_csv(again, index=False)
    yield same_file("it compares its tables", artefact, again)


@kind("table", r"tables/(?P<figure>\w+)\.csv")
def table(artefact: Artefact) -> Iterator[Check]:
    found = read_table(artefact.path, ("experiment",))
    yield Check("its numbers are finite", True, f"{len(found)} rows")
    likelihoods = found.get("nll_bits_per_dim", pd.Series(dtype=float))
    qualities = found.get("fid", pd.Series(dtype=float))
    empty = found.index.difference(likelihoods.dropna().index.union(qualities.dropna().index))
    yield Check(
        "every row has a likelihood or a quality", not len(empty), f"{len(empty)} have none"
    )
    again = artefact.run.folder("tables") / artefact.path.name
    references = artefact.settings.get("reference", {})
    section = artefact.run.preset.figures.named().get(artefact.names["figure"])
    if isinstance(section, TableSection):
        preset = artefact.run.preset
        yield prescribed(references, section.references())
        asked = (section.likelihoods, section.qualities, section.scales)
        yield made_of(artefact, [file for files in asked for file in files(preset)])
    tables.tabulate(artefact.inputs, references).to_csv(again, index=False)
    yield same_file("it aggregates its points", artefact, again)


@kind("figure", r"figures/(?P<figure>\w+)\.(?P<form>pdf|png)")
def figure(artefact: Artefact) -> Iterator[Check]:
    preset, name = artefact.run.preset, artefact.names["figure"]
    section = preset.figures.named().get(name)
    if not isinstance(section, FigureSection):
        yield Check("the preset makes it", False, stale=True)
        return
    labels = labels_of(preset, section)
    asked = prescribed(artefact.settings, figure_settings(section, labels))
    yield asked
    if asked.holds:
        # Both forms are drawn at once, from what either record says.
        sources = json.dumps(artefact.record["inputs"], sort_keys=True)
        folder = artefact.run.folder(f"{name} {hashlib.sha256(sources.encode()).hexdigest()}")
        outs = [folder / f"{name}.{form}" for form in ("pdf", "png")]
        if not record_path(outs[-1]).exists():
            draw(section, labels, in_order(artefact, section.sources(preset)), outs)
        again = folder / f"{name}.{artefact.names['form']}"
        yield same_file("it is drawn again to the same bytes", artefact, again)


def in_order(artefact: Artefact, sources: Sequence[str]) -> list[Path]:
    """The inputs of a figure as it reads them: a record keeps no order."""
    places = {artefact.run.results.absolute() / name: n for n, name in enumerate(sources)}
    return sorted(artefact.inputs, key=lambda path: places.get(path, len(places)))


@kind("verdict", r"verdict(?P<quick>(?:-quick)?)\.(?P<form>csv|md|png|pdf)")
def verdict(artefact: Artefact) -> Iterator[Check]:
    sources = tuple(path for path in artefact.inputs if path.suffix in (".csv", ".npz"))
    yield Check("its record names what it judges", bool(sources))
    out = artefact.run.folder(f"verdict{artefact.names['quick']}") / artefact.path.name
    judge.main.callback(artefact.run.named, (out,), None, sources)  # type: ignore[misc]
    statement = "the claims are judged the same again"
    if artefact.names["form"] == "csv" and alike(pd.read_csv(artefact.path), pd.read_csv(out)):
        yield Check(statement, True, f"numbers to {ROUNDING:g}")
    else:
        yield same_file(statement, artefact, out)


def alike(found: pd.DataFrame, again: pd.DataFrame) -> bool:
    """Whether two tables are the same up to the rounding of another number of threads."""
    try:
        pd.testing.assert_frame_equal(found, again, rtol=ROUNDING, atol=ROUNDING)
    except AssertionError:
        return False
    return True


@kind("summary", r"(?P<summary>summary|quick)\.md")
def summarised(artefact: Artefact) -> Iterator[Check]:
    text = artefact.path.read_text()
    yield Check("its record names what it shows", bool(artefact.inputs))
    sources = {str(path): path for path in artefact.inputs if path.suffix == ".csv"}
    shown = {name: read_table(path, summary.SHOWN) for name, path in sources.items()}
    again = summary.summarise(shown, (), artefact.run.preset.stand_in)
    # Tables are named as the command named them: only the lines with numbers are compared.
    missing = [line for line in again.splitlines() if line.startswith("|") and line not in text]
    yield Check("it tells the numbers of its tables", not missing, "; ".join(missing[:1]))
