"""Tables in Markdown, and pages that show one between two markers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from gud.errors import InputError

Markers = tuple[str, str]


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table, each line ended."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def read_page(path: Path, markers: Markers) -> str:
    """The text of a page that has the two markers."""
    try:
        text = path.read_text()
    except UnicodeDecodeError as error:
        raise InputError(f"--markdown {path} is not text: {error}") from None
    embed(text, "", markers)
    return text


def embed(text: str, table: str, markers: Markers) -> str:
    """`text` with the table between its two markers in place of what is there."""
    before, begin, rest = text.partition(markers[0])
    _, end, after = rest.partition(markers[1])
    if not (begin and end):
        raise InputError(f"--markdown needs a file with {markers[0]} and, after it, {markers[1]}")
    return f"{before}{begin}\n{table}{end}{after}"
