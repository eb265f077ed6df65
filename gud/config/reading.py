"""YAML of a preset, read strictly and in bounded time and memory.

Scalars are those of YAML 1.2, in which `010` is no octal number, `no` no boolean and `1e-3` a
number. What could lie or never end is refused in one sentence: a key that stands twice, an alias
that contains itself or multiplies without end, tags, other documents in the file.
"""

from __future__ import annotations

import math
import re
import unicodedata
from pathlib import Path
from typing import Any

import yaml

from gud.errors import InputError

LONGEST = 1 << 17
"""Bytes of a preset's file, ten times those of `paper`."""
DEEPEST = 32
"""Levels of nesting, aliases followed."""
MOST = 10_000
"""Values, aliases followed."""
LARGEST = 10**15
"""Magnitude of a number: beyond it, not all integers are doubles."""
CORE = "tag:yaml.org,2002:"


_KINDS = {type(None): "empty", yaml.ScalarNode: "one value", yaml.SequenceNode: "a list"}


class _Refused(ValueError):
    """What is wrong with a file, without its name."""


class _Loader(yaml.CSafeLoader):
    """Composes nodes by libyaml; their scalars have the tags of YAML 1.2's core schema."""

    yaml_implicit_resolvers: dict[str, Any] = {}


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(0|[1-9][0-9_]*)", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ("float", r"[-+]?\.inf|\.nan", list("-+.")),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(CORE + _tag, re.compile(f"^(?:{_pattern})$"), _first)


def read_yaml(path: Path, kind: str = "preset") -> dict[str, Any]:
    """The mapping in a YAML file; `InputError` says in one sentence why there is none.

    Args:
        kind: what the file is, for the sentence.
    """
    try:
        if path.exists() and not path.is_file():
            raise _Refused("cannot be read: it is not a file")
        with open(path, "rb") as file:
            content = file.read(LONGEST + 1)
        if len(content) > LONGEST:
            raise _Refused(f"has more than {LONGEST} bytes, which no preset needs")
        text = content.decode("utf-8-sig")
        _refuse_unbounded(text)
        node = yaml.compose(text, _Loader)
        if not isinstance(node, yaml.MappingNode):
            raise _Refused(f"must be a mapping of settings, not {_KINDS[type(node)]}")
        return _Reader().value(node, ())
    except OSError as error:
        raise InputError(f"{kind} {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(
            f"{kind} {path} is not UTF-8 text: {error.reason} at {error.start}"
        ) from None
    except yaml.MarkedYAMLError as error:
        what, mark = error.problem or error.context, error.problem_mark or error.context_mark
        where = _place(text, mark) if mark else ""
        raise InputError(f"{kind} {path} is not YAML: {what}{where}") from None
    except yaml.YAMLError as error:
        raise InputError(f"{kind} {path} is not YAML: {' '.join(str(error).split())}") from None
    except _Refused as error:
        raise InputError(f"{kind} {path} {error}") from None


def _place(text: str, mark: yaml.Mark) -> str:
    """Where in a text something is wrong, with the character there."""
    there = text.splitlines()[mark.line : mark.line + 1]
    character = "".join(there)[mark.column : mark.column + 1]
    at = f" at {character!a}" if character else ""
    return f"{at} in line {mark.line + 1}, column {mark.column + 1}"


def _refuse_unbounded(text: str) -> None:
    """What nests or goes on without end, told by its events, before nodes are made of them."""
    depth = count = 0
    for event in yaml.parse(text, _Loader):
        if isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if not isinstance(event, yaml.NodeEvent):
            continue
        count += 1
        _bound(depth + 1, count, _line(event))
        if tag := getattr(event, "tag", None):
            raise _Refused(f"has the tag {tag} in line {_line(event)}; presets take none")
        depth += isinstance(event, yaml.CollectionStartEvent)


class _Reader:
    """Values of nodes, aliases followed; `count` bounds how many."""

    def __init__(self) -> None:
        self.count = 0

    def value(self, node: yaml.Node, keys: tuple[str, ...]) -> Any:
        self.count += 1
        _bound(len(keys), self.count, _line(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, keys)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*keys, str(n))) for n, item in enumerate(node.value)]
        where = f"{'.'.join(keys)} (line {_line(node)})"
        match node.tag.removeprefix(CORE):
            case "null":
                return None
            case "bool":
                return node.value.lower() == "true"
            case "int":
                return _number(int, node.value, where)
            case "float":
                return _number(float, node.value, where)
        return _printable(node.value, where)

    def _mapping(self, node: yaml.MappingNode, keys: tuple[str, ...]) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        seen: set[str] = set()
        for key, item in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _Refused(f"has a list or mapping for a key in line {_line(key)}")
            if key.tag not in (CORE + "str", CORE + "merge"):
                raise _Refused(f"has the key {key.value!r} in line {_line(key)}: put it in quotes")
            if not key.value.isprintable():
                raise _Refused(
                    f"has the key {key.value!r} in line {_line(key)}: it must be one line"
                )
            name = key.value
            if name in seen:
                raise _Refused(f"gives {'.'.join((*keys, name))} twice, again in line {_line(key)}")
            seen.add(name)
            if key.tag == CORE + "str":
                own[name] = self.value(item, (*keys, name))
                continue
            for other in item.value if isinstance(item, yaml.SequenceNode) else [item]:
                values = self.value(other, (*keys, name))
                if not isinstance(values, dict):
                    raise _Refused(f"merges by << what is not a mapping, in line {_line(key)}")
                merged = values | merged
        return merged | own


def _number(kind: type[int] | type[float], text: str, where: str) -> int | float:
    """A number of the patterns above; those beyond what settings need are refused unread."""
    digits = text.replace("_", "").replace(".inf", "inf").replace(".nan", "nan").lower()
    value = kind(digits) if len(digits) < 40 else math.inf
    if not abs(value) <= LARGEST:
        raise _Refused(f"has {where} = {text:.40}, which must be a number within 1e15 of 0")
    return value


def _printable(text: str, where: str) -> str:
    for character in text:
        if unicodedata.category(character) == "Cc" and character not in "\n\t":
            raise _Refused(
                f"holds the character U+{ord(character):04X}, not to be printed, at {where}"
            )
    return text


def _bound(depth: int, count: int, line: int) -> None:
    if depth > DEEPEST:
        raise _Refused(
            f"is nested more than {DEEPEST} deep in line {line}, or contains itself there"
        )
    if count > MOST:
        raise _Refused(f"holds more than {MOST} values, aliases followed, by line {line}")


def _line(place: yaml.Node | yaml.Event) -> int:
    return place.start_mark.line + 1 if place.start_mark else 0
