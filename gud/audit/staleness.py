"""Which code that matters to an artefact has changed since it was made."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

from gud.config.figures import ROOMS, figure_sections
from gud.provenance import Record, sha256
from gud.provenance.places import CHECKOUT, PROJECT
from gud.provenance.versions import git, source_digest

IMMATERIAL = (
    *("__", "api.py", "cli.py", "commands.py", "errors.py", "progress.py"),
    *("config/", "provenance/"),
)
"""Sources on which no number depends, or none that the settings in the record do not tell."""
SECTIONS = tuple(room.removeprefix("gud.").replace(".", "/") + "/" for room in ROOMS)
"""Where the sections of figures are, all of which are imported to read any preset."""
PICTURES = (".png", ".pdf")
NAMED = 3
"""Sources and commits that are named of many."""


def changed_sources(record: Record) -> str:
    """The files of the project that made an artefact and have changed, with the commits.

    Empty if none has. They are sources, and inputs such as the papers' claims. Records of the
    earlier form do not tell the sources: nothing is said of those.
    """
    names = [
        f"gud/{name}"
        for name, digest in record.get("sources", {}).items()
        if source_digest(name) != digest and matters(name, record.get("artefact", ""))
    ]
    for name, digest in record.get("inputs", {}).items():
        if name.startswith(PROJECT):
            file = CHECKOUT / name.removeprefix(PROJECT)
            if file.is_file() and sha256(file) != digest:
                names.append(name.removeprefix(PROJECT))
    if not names:
        return ""
    made = record["code"].get("git", "").removesuffix("-dirty")
    commits = commits_since(made, tuple(names)) if made else ()
    since = f"; commits {some(commits)}" if commits else ""
    return f"changed: {some([name.removeprefix('gud/') for name in names])}{since}"


def matters(source: str, artefact: str) -> bool:
    """Whether what an artefact holds depends on a source of `gud` that its command imported.

    Args:
        source: below the folder of `gud`.
        artefact: the name of its file.
    """
    file = Path(artefact)
    picture = file.suffix in PICTURES
    if source.startswith(SECTIONS):
        # A figure is drawn by its section, and by those that this one derives from.
        section: type = figure_sections().get(file.stem, object)
        modules = {base.__module__ for base in section.__mro__}
        return picture and f"gud.{source.removesuffix('.py').replace('/', '.')}" in modules
    if source.startswith("figures/drawing/"):
        return picture
    return not source.startswith(IMMATERIAL)


@functools.cache
def commits_since(commit: str, files: tuple[str, ...]) -> tuple[str, ...]:
    """The commits after one that touched some files of the checkout, the latest first."""
    paths = [f":(top){name}" for name in files]
    listed = git("log", "--format=%h", f"{commit}..HEAD", "--", *paths)
    return tuple(listed.split()) if listed else ()


def some(names: Sequence[str]) -> str:
    """The first of some names, and how many more there are."""
    rest = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {rest} more" if rest > 0 else "")
