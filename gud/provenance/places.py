"""Names of input files in records, which hold on other machines and after a move.

`package:scikit-image==0.26.0/skimage/data/astronaut.png` lies in an installed package, and
`project:docs/reference/published.yaml` in the checkout that `gud` lies in; any other file has its
path relative to the record.
"""

from __future__ import annotations

import functools
import importlib.metadata
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from gud.provenance.versions import PACKAGE

IN_PACKAGE = re.compile(r"package:(?P<name>[^=/]+)==(?P<version>[^/]+)/(?P<path>.+)")
PROJECT = "project:"
CHECKOUT = PACKAGE.parent
KEPT = ("config", "docs", "gud")
"""Folders of the checkout whose files are inputs wherever results are written."""


@functools.cache
def _distributions() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


def name_of(source: str | Path, folder: str | Path) -> str:
    """The name of a file in a record in `folder`."""
    path = Path(os.path.abspath(source))
    for root in map(Path, sys.path):
        if root.name in ("site-packages", "dist-packages") and path.is_relative_to(root):
            inside = path.relative_to(root)
            for distribution in _distributions().get(inside.parts[0], [])[:1]:
                version = importlib.metadata.version(distribution)
                return f"package:{distribution}=={version}/{inside.as_posix()}"
    relative = os.path.relpath(path, folder)
    if relative.startswith(".."):
        for kept in KEPT:
            if path.is_relative_to(CHECKOUT / kept):
                return f"{PROJECT}{path.relative_to(CHECKOUT).as_posix()}"
    return relative


def path_of(name: str, folder: str | Path) -> Path:
    """Where the file lies that a record in `folder` names, if it is there.

    A file of a package is looked for in the version that is installed.
    """
    if found := IN_PACKAGE.fullmatch(name):
        inside = Path(found["path"])
        for root in sys.path:
            if (path := Path(root, inside)).is_file():
                return path
        return inside
    if name.startswith(PROJECT):
        return CHECKOUT / name.removeprefix(PROJECT)
    return Path(os.path.abspath(Path(folder, name)))
