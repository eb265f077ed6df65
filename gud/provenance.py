"""Atomic writing of artefacts, each with a JSON record of how it was made.

The record of `x.npz` is `x.npz.json`: inputs with sha256, resolved settings, seed, code
version, package versions, device and wall time. `python -m gud.audit x.npz` follows the chain.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import secrets
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "scikit-image", "torchdiffeq", "safetensors")


_UMASK = os.umask(0)
os.umask(_UMASK)


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary neighbour of `path` that takes its name once the block succeeds."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays last: matplotlib and numpy choose the format by it.
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.partial{path.suffix}")
    try:
        yield temporary
        # Some writers (safetensors) keep their files from other users; take the usual mode.
        temporary.chmod(0o666 & ~_UMASK)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def sha256(path: str | Path) -> str:
    """Hexadecimal sha256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def record_path(path: str | Path) -> Path:
    return Path(f"{path}.json")


@functools.cache
def code_version() -> dict[str, str]:
    """Git commit (if any) and a sha256 over the package's sources, which needs no git."""
    root = Path(__file__).parent
    digest = hashlib.sha256()
    for source in sorted(root.glob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    version = {"gud_sha256": digest.hexdigest()}
    git = ["git", "-C", str(root)]
    try:
        described = subprocess.run(
            [*git, "describe", "--always", "--dirty", "--abbrev=40"],
            capture_output=True,
            text=True,
            check=True,
        )
        version["git"] = described.stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        pass
    return version


@functools.cache
def package_versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def write_record(
    path: str | Path,
    *,
    inputs: Iterable[str | Path] = (),
    settings: dict[str, Any] | None = None,
    seed: int | None = None,
    started: float | None = None,
    device: str = "cpu",
    **more: Any,
) -> None:
    """Write the provenance record of a finished artefact.

    Args:
        path: the artefact, already under its final name.
        inputs: files it was made from.
        settings: the resolved settings it was made with (JSON values).
        seed: the seed of every random draw in it, if any.
        started: `time.time()` when the work began.
        device: name of the device that did the work.
        more: further JSON values, e.g. the URL of a download.
    """
    record = {
        "artefact": Path(path).name,
        "sha256": sha256(path),
        "inputs": {os.path.relpath(source, Path(path).parent): sha256(source) for source in inputs},
        "settings": settings or {},
        "seed": seed,
        "code": code_version(),
        "packages": package_versions(),
        "device": device,
        "machine": platform.platform(),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": None if started is None else round(time.time() - started, 3),
        **more,
    }
    with atomic(record_path(path)) as temporary:
        temporary.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")


def read_record(path: str | Path) -> dict[str, Any]:
    """The record of an artefact; `FileNotFoundError` if it has none."""
    return json.loads(record_path(path).read_text())
