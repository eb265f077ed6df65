"""Versions of the code and of the packages that make an artefact."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import platform
import subprocess
import sys
from pathlib import Path

PACKAGES = (
    *("torch", "numpy", "scipy", "scikit-learn", "scikit-image", "safetensors"),
    *("pywavelets", "pandas", "matplotlib", "pillow"),
)
PACKAGE = Path(__file__).parents[1]
"""The folder of `gud`."""


@functools.cache
def sources() -> dict[str, bytes]:
    """Every source of `gud` by its path in the package, as it was at the first call."""
    files = sorted(PACKAGE.rglob("*.py"))
    return {str(file.relative_to(PACKAGE)): file.read_bytes() for file in files}


@functools.cache
def code_version() -> dict[str, str]:
    """Git commit (if any) and a sha256 over the package's sources, which needs no git."""
    digest = hashlib.sha256()
    for name, content in sources().items():
        digest.update(name.encode() + b"\0" + content)
    version = {"gud_sha256": digest.hexdigest()}
    if described := git("describe", "--always", "--dirty", "--abbrev=40"):
        version["git"] = described
    return version


def git(*words: str) -> str | None:
    """What git says of the checkout that the package lies in; None if there is none."""
    try:
        asked = subprocess.run(
            ["git", "-C", str(PACKAGE), *words], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return asked.stdout.strip()


@functools.cache
def source_digest(name: str) -> str | None:
    """The first half of the sha256 of a source of `gud`; None if there is no such source."""
    content = sources().get(name)
    return None if content is None else hashlib.sha256(content).hexdigest()[:32]


def loaded_sources() -> dict[str, str]:
    """The sources of `gud` that this process has imported, with their `source_digest`."""
    modules = (name for name in list(sys.modules) if name.partition(".")[0] == PACKAGE.name)
    stems = ("/".join(name.split(".")[1:]) for name in modules)
    files = (f"{stem}{end}" for stem in stems for end in (".py", "/__init__.py"))
    names = sorted(file.removeprefix("/") for file in files)
    return {name: digest for name in names if (digest := source_digest(name))}


@functools.cache
def package_versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
