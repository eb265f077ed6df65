"""Arrays of npz files, as they must be."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from gud.errors import InputError

Arrays = dict[str, np.ndarray]
FINER = "finer_"
"""Begins the names of arrays that the first images of a likelihood have in addition."""
KINDS = {"8": "uint8", "f": "float", "i": "integers", "iu": "integers", "U": "text"}
"""What an array may hold, by numpy's `dtype.kind`, but "8" for 8 bits."""
NOT_NPZ = (
    *(OSError, EOFError, ValueError, TypeError, LookupError, AttributeError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)
"""What reading an npz file raises that is damaged, encrypted, or none."""


def load_arrays(
    path: str | Path, kinds: Mapping[str, str], optional: Mapping[str, str] | None = None
) -> Arrays:
    """Arrays of an npz file.

    Args:
        kinds: what each must be: one of `KINDS` and its axes, of which those of the same name have
            the same length, and at least 1 unless the name ends in 0. A number stands for itself.
        optional: the same of arrays that may be missing.
    """
    wanted = {**kinds, **(optional or {})}
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in wanted if name in kinds or name in file}
    except KeyError as error:
        raise InputError(f"{path} must hold {', '.join(kinds)}: {error.args[0]}") from None
    except NOT_NPZ as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    lengths: dict[str, int] = {}
    for name, array in arrays.items():
        kind, *axes = wanted[name].split()
        known = [int(axis) if axis.isdigit() else lengths.get(axis) for axis in axes]
        fits = array.ndim == len(axes) and all(
            size == length if length is not None else size > 0 or axis.endswith("0")
            for axis, size, length in zip(axes, array.shape, known, strict=True)
        )
        if not fits or not (array.dtype == np.uint8 if kind == "8" else array.dtype.kind in kind):
            shape = (f"{axis} = {lengths[axis]}" if axis in lengths else axis for axis in axes)
            raise InputError(
                f"{name} of {path} is {array.dtype} of shape {array.shape}, expected "
                f"{KINDS[kind]} of shape ({', '.join(shape)})"
            )
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise InputError(f"{name} of {path} holds values that are not finite")
        lengths |= dict(zip(axes, array.shape, strict=True))
    return arrays
