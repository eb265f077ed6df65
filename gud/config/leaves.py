"""Nested settings by their dotted keys."""

from __future__ import annotations

import json
from typing import Any


def leaves(tree: Any, prefix: str = "") -> dict[str, Any]:
    """The values of nested settings by their dotted keys."""
    if not isinstance(tree, dict):
        return {prefix.removesuffix("."): tree}
    found: dict[str, Any] = {}
    for key, value in tree.items():
        found |= leaves(value, f"{prefix}{key}.")
    return found


def differing(one: Any, other: Any) -> list[tuple[str, str, str]]:
    """The dotted keys under which two hold different values, with the JSON of each."""
    found, wanted = leaves(one), leaves(other)
    return [
        (key, json.dumps(found.get(key)), json.dumps(wanted.get(key)))
        for key in sorted(found.keys() | wanted.keys())
        if found.get(key) != wanted.get(key)
    ]
