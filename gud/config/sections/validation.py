"""Validation, and what is wrong with settings in one sentence that names the key in the file."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Hashable, Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from pydantic import BaseModel, TypeAdapter, ValidationError
from typing_extensions import is_typeddict

from gud.errors import InputError

S = TypeVar("S")
Keys = tuple[str, ...]
"""A key in a file, after those of the sections around it."""
Fault = tuple[Keys, str]
"""A key, and what is wrong with what it holds, as the rest of a sentence that begins with it."""


_adapter = functools.cache(TypeAdapter)
_types_of_keys = functools.cache(get_type_hints)


def validate(section: type[S], raw: Any, source: str, name: Callable[[Keys], str] = ".".join) -> S:
    """`raw` as a section; an `InputError` names the first wrong key, its value, what is allowed.

    Args:
        section: a model, or a `TypedDict`.
        source: where `raw` is from.
        name: what a key, with the sections around it, is called.
    """
    try:
        # Through JSON, so that YAML lists may fill tuples while types stay strict.
        return _adapter(cast(Hashable, section)).validate_json(json.dumps(raw))
    except ValidationError as error:
        raise InputError(f"{source}: {_sentence(section, error, name)}") from None
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{source} holds a value that JSON cannot express: {error}") from None


def _sentence(section: type, error: ValidationError, name: Callable[[Keys], str]) -> str:
    errors = [(tuple(_keys(section, [*details["loc"]])), details) for details in error.errors()]
    keys, first = errors[0]
    messages = [details["msg"] for other, details in errors if other == keys]
    what = " or ".join(dict.fromkeys(message[0].lower() + message[1:] for message in messages))
    where, value = name(keys), json.dumps(first["input"], default=str)
    match first["type"]:
        case "extra_forbidden":
            return f"{where} is not a known key"
        case "missing":
            return f"{where} is missing"
        case "value_error":
            message = first["msg"].removeprefix("Value error, ")
            return f"{where}: {message}" if where else message
    return f"{where} = {value[:60]} is not allowed: {what}" if where else f"{value[:60]}: {what}"


def _keys(annotation: Any, location: list[str | int]) -> Iterator[str]:
    """The keys of a file in a location of pydantic's, which also names the members of unions."""
    while location:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
            continue
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin in (Union, UnionType):
            members = [member for member in arguments if member is not NoneType]
            tag = location.pop(0) if len(members) > 1 else None
            annotation = next((m for m in members if tag is None or _has_tag(m, tag)), None)
            continue
        part = location.pop(0)
        if part != "[key]":
            yield str(part)
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            field = annotation.model_fields.get(str(part))
            annotation = field.annotation if field else None
        elif is_typeddict(annotation):
            annotation = _types_of_keys(annotation).get(str(part))
        else:
            annotation = arguments[-1] if origin in (dict, list, tuple) else None


def _has_tag(member: Any, tag: str | int) -> bool:
    """Whether a section is the member of a union that goes by a name."""
    fields = getattr(member, "model_fields", {}).values()
    return any(tag in get_args(field.annotation) for field in fields)
