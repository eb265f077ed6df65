"""Nested settings by their dotted keys."""

from __future__ import annotations

from typing import Any


def leaves(tree: Any, prefix: str = "") -> dict[str, Any]:
    """The values of nested settings by their dotted keys."""
    if not isinstance(tree, dict):
        return {prefix.removesuffix("."): tree}
    found: dict[str, Any] = {}
    for key, value in tree.items():
        found |= leaves(value, f"{prefix}{key}.")
    return found


def differing(one: Any, other: Any) -> dict[str, tuple[Any, Any]]:
    """The values of two nested settings by the dotted keys under which they differ."""
    found, wanted = leaves(one), leaves(other)
    both = {key: (found.get(key), wanted.get(key)) for key in found | wanted}
    return {key: (here, there) for key, (here, there) in both.items() if here != there}
