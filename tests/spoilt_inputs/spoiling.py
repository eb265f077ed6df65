"""Ways to spoil a file: each leaves it unlike what the command that reads it expects."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from gud.provenance import record_digest, record_path, sha256

Spoil = Callable[[Path], None]


def _remove(path: Path) -> None:
    path.unlink()


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def _written(content: str) -> Spoil:
    def spoil(path: Path) -> None:
        path.write_text(content)

    return spoil


def _edited(change: Callable[[bytes], bytes]) -> Spoil:
    def spoil(path: Path) -> None:
        path.write_bytes(change(path.read_bytes()))

    return spoil


ANY: dict[str, Spoil] = {
    "missing": _remove,
    "a folder": _folder,
    "a link to itself": _loop,
    "empty": _written(""),
    "a page": _written("<html>404 Not Found</html>\n"),
    "zeros": _edited(lambda content: bytes(len(content))),
    "no text": _edited(lambda content: b"\xff\xfe\x00" + content),
    "cut": _edited(lambda content: content[: len(content) // 2]),
    "reversed": _edited(lambda content: content[::-1]),
}
"""None of these is ever an artefact."""


def _arrays(change: Callable[[np.ndarray], np.ndarray]) -> Spoil:
    def spoil(path: Path) -> None:
        with np.load(path) as file:
            arrays = dict(file)
        np.savez(path, **{name: change(array) for name, array in arrays.items()})

    return spoil


def _nan(array: np.ndarray) -> np.ndarray:
    return np.full(array.shape, np.nan) if array.dtype.kind in "fui" else array


NPZ: dict[str, Spoil] = {
    "no arrays": lambda path: np.savez(path),
    "another name": lambda path: np.savez(path, other=np.zeros(3)),
    "objects": _arrays(lambda array: np.array([{}, None], dtype=object)),
    "words": _arrays(lambda array: np.full(array.shape, "word")),
    "NaN": _arrays(_nan),
    "no images": _arrays(lambda array: array[:0] if array.ndim else array),
    "one number": _arrays(lambda array: array.ravel()[0]),
    "another axis": _arrays(lambda array: array[..., None]),
    "flat": _arrays(np.ravel),
    "complex": _arrays(
        lambda array: array.astype(np.complex64) if array.dtype.kind in "fui" else array
    ),
    "truth": _arrays(lambda array: array.astype(bool) if array.dtype.kind in "fui" else array),
    "negative": _arrays(
        lambda array: -array.astype(np.int64) if array.dtype.kind in "fui" else array
    ),
    "half the pixels": _arrays(lambda array: array[..., ::2] if array.ndim else array),
}


def _tensors(change: Callable[[dict[str, torch.Tensor]], dict], metadata: bool = True) -> Spoil:
    def spoil(path: Path) -> None:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            told = file.metadata()
        changed = {name: tensor.contiguous() for name, tensor in change(tensors).items()}
        save_file(changed, path, told if metadata else None)

    return spoil


SAFETENSORS: dict[str, Spoil] = {
    "no metadata": _tensors(lambda tensors: tensors, metadata=False),
    "no tensors": _tensors(lambda tensors: {}),
    "a tensor less": _tensors(lambda tensors: dict(list(tensors.items())[1:])),
    "a tensor more": _tensors(lambda tensors: tensors | {"more": torch.zeros(2)}),
    "flat tensors": _tensors(lambda tensors: {n: t.ravel()[:-1] for n, t in tensors.items()}),
    "bytes": _tensors(lambda tensors: {n: t.to(torch.uint8) for n, t in tensors.items()}),
    "NaN tensors": _tensors(
        lambda tensors: {n: torch.full_like(t, math.nan) for n, t in tensors.items()}
    ),
    "zero tensors": _tensors(lambda tensors: {n: torch.zeros_like(t) for n, t in tensors.items()}),
}


def _rows(change: Callable[[list[str]], list[str]]) -> Spoil:
    def spoil(path: Path) -> None:
        path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")

    return spoil


def _all_fields(value: str) -> Spoil:
    """Another value for all fields of the rows."""
    return _rows(lambda lines: [lines[0], *(",".join([value] * _width(lines)) for _ in lines[1:])])


def _width(lines: list[str]) -> int:
    return lines[0].count(",") + 1


CSV: dict[str, Spoil] = {
    "no rows": _rows(lambda lines: lines[:1]),
    "no header": _rows(lambda lines: lines[1:]),
    "another header": _rows(lambda lines: [lines[0].upper(), *lines[1:]]),
    "a foreign table": _written("name,age\nAda,36\n"),
    "words for numbers": _all_fields("word"),
    "infinities": _all_fields("inf"),
    "nothing": _all_fields(""),
    "truth": _all_fields("True"),
    "vast numbers": _all_fields("9" * 400),
    "a longer row": _rows(lambda lines: [lines[0], *(f"{line},1,2" for line in lines[1:])]),
    "a shorter row": _rows(lambda lines: [lines[0], "1"]),
    "a column twice": _rows(lambda lines: [f"{line},{line}" for line in lines]),
    "an open quotation": _rows(lambda lines: [*lines, '"']),
}


def _values(change: Callable[[object], object]) -> Spoil:
    """Another value for each that is no list or mapping."""

    def changed(value: object) -> object:
        if isinstance(value, dict):
            return {key: changed(entry) for key, entry in value.items()}
        return [changed(entry) for entry in value] if isinstance(value, list) else change(value)

    def spoil(path: Path) -> None:
        path.write_text(json.dumps(changed(json.loads(path.read_text()))))

    return spoil


def _number(value: object) -> bool:
    return isinstance(value, int | float)


JSON: dict[str, Spoil] = {
    "a list": _written("[]"),
    "a mapping of nothing": _written("{}"),
    "null": _written("null"),
    "a number": _written("3"),
    "a word": _written('"word"'),
    "deep": _written("[" * 100_000),
    "lists of lists": _written("[[[[]]]]"),
    "NaN for numbers": _values(lambda value: math.nan if _number(value) else value),
    "words for numbers": _values(lambda value: "word" if _number(value) else value),
    "numbers for words": _values(lambda value: 7 if isinstance(value, str) else value),
    "null for all": _values(lambda value: None),
    "lists for all": _values(lambda value: [value]),
    "half a character": _values(lambda value: "\ud800" if isinstance(value, str) else value),
    "vast numbers": _values(lambda value: 10**300 if _number(value) else value),
}
BY_SUFFIX = {".npz": NPZ, ".safetensors": SAFETENSORS, ".csv": CSV, ".json": JSON}


def ways(path: str) -> dict[str, Spoil]:
    """All ways to spoil a file of this name."""
    return ANY | BY_SUFFIX.get(Path(path).suffix, {})


def forge(path: Path) -> None:
    """Let the record of a spoilt file say that it is as it was made, if it has one."""
    if path.is_file() and record_path(path).is_file():
        told = json.loads(record_path(path).read_text()) | {"sha256": sha256(path)}
        sealed = told | {"record_sha256": record_digest(told)}
        record_path(path).write_text(json.dumps(sealed))
