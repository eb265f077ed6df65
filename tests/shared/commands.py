"""Calls of the command `gud`, and of the functions behind it, with an exit status."""

import contextlib
import json
import resource
from collections.abc import Iterator
from typing import Any

from presets import as_yaml, tiny_preset
from pydantic import TypeAdapter

from gud import cli
from gud.config.sections.bases import BasisSettings
from gud.config.sections.data import Data


def gud(*words) -> int:
    return cli.main([str(word) for word in words])


def status(function, *arguments, **options) -> int:
    """The exit status of a function, its error on stderr."""
    return cli.reported(lambda: function(*arguments, **options))


@contextlib.contextmanager
def disk_full_after(size: int) -> Iterator[None]:
    """No file can grow beyond `size` bytes, as on a full disk."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limit[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)


def data_section(settings: dict) -> Data:
    return TypeAdapter(Data).validate_json(json.dumps(settings))


def basis_section(settings: dict) -> BasisSettings:
    return TypeAdapter(BasisSettings).validate_json(json.dumps(settings))


def write_preset(path, preset: dict | None = None):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(as_yaml(tiny_preset() if preset is None else preset))
    return path


def preset_of(name: str, model: dict, training: dict, seed: int, **figures: Any) -> dict:
    """A preset of one experiment, which asks for nothing but its figures."""
    preset = tiny_preset()
    evaluation = {key: preset["defaults"][key] | {"grids": []} for key in ("nll", "quality")}
    preset["experiments"] = {
        name: {"title": "", "data": "natural16", **model, "training": training, **evaluation}
    }
    del preset["defaults"]
    return preset | {"seed": seed, "figures": figures, "quick": []}
