"""Evaluation in blocks of images, each kept on disk: an interrupted run loses one at most."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gud.progress import progress
from gud.provenance import atomic, sha256

Arrays = dict[str, np.ndarray]


def fingerprint(settings: dict[str, Any], inputs: Sequence[Path]) -> str:
    """Names the unfinished work of exactly these settings and input files."""
    text = json.dumps([settings, [sha256(path) for path in inputs]], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def compute_blocks(
    images: np.ndarray,
    batch_size: int,
    compute: Callable[[np.ndarray], Arrays],
    *,
    out: Path,
    key: str,
    label: str,
) -> Arrays:
    """Compute arrays for blocks of images and join them along their first axis.

    Finished blocks lie in a hidden folder beside `out` until `finish` removes it.

    Args:
        images: indices of all images, shape (images,).
        compute: maps the indices of one block to its arrays.
        out: the artefact that the result is for.
        key: from `fingerprint`; blocks of other work are never taken.
        label: of the progress bar.
    """
    folder = _folder(out, key)
    parts = []
    for start in progress(range(0, len(images), batch_size), unit="block", label=label):
        path = folder / f"{start:06d}.npz"
        if not path.exists():
            arrays = compute(images[start : start + batch_size])
            with atomic(path) as temporary:
                np.savez(temporary, allow_pickle=False, **arrays)
        with np.load(path, allow_pickle=False) as arrays:
            parts.append(dict(arrays))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def finish(out: Path, key: str) -> None:
    """Remove the blocks once `out` is complete."""
    shutil.rmtree(_folder(out, key), ignore_errors=True)


def _folder(out: Path, key: str) -> Path:
    return out.parent / f".{out.stem}.{key}.blocks"
