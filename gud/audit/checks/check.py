"""Checks of artefacts, and the registry of their kinds."""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from pydantic_core import to_jsonable_python

from gud.audit.staleness import changed_sources, some
from gud.cli import NamedPreset
from gud.config.leaves import differing
from gud.config.preset import Preset
from gud.data import datasets
from gud.errors import InputError
from gud.provenance import Record, package_versions, record_path
from gud.provenance.places import path_of


@dataclass(frozen=True)
class Check:
    """One statement about an artefact.

    Args:
        statement: that should be true.
        holds: whether it is.
        measured: what was found, in words.
        stale: whether the artefact is then no longer what it should be, and not wrong in itself.
    """

    statement: str
    holds: bool
    measured: str = ""
    stale: bool = False


@dataclass(frozen=True)
class Run:
    """The results of a preset, with what several checks share.

    Args:
        named: the preset as it is now, and its file.
        results: the folder of its artefacts.
        scratch: a folder for what is made again to be compared.
    """

    named: NamedPreset
    results: Path
    scratch: Path

    @property
    def preset(self) -> Preset:
        return self.named.preset

    @functools.cache  # noqa: B019
    def images(self, path: Path, split: str) -> Any:
        """The images of a split of a data set."""
        return datasets.load(path, split)

    def folder(self, name: str) -> Path:
        """A folder of its own in the scratch folder."""
        path = Path(self.scratch, re.sub(r"\W", "_", name))
        path.mkdir(exist_ok=True)
        return path

    def again(self, name: str, command: click.Command, outs: Sequence[str], **given: Any) -> Path:
        """The folder, of that name, with what a command makes now, which is done once.

        Args:
            outs: the files that it writes, each called as the option that names it.
            given: its other options.
        """
        folder = self.folder(name)
        if not record_path(folder / outs[-1]).exists():
            assert command.callback
            command.callback(**given, **{Path(out).stem: folder / out for out in outs})
        return folder

    def __hash__(self) -> int:
        return hash(self.results)


@dataclass(frozen=True)
class Artefact:
    """A file to check.

    Args:
        path: of the file.
        described: how it was made; None where the file holds that itself.
        names: the groups of its kind's pattern.
        run: that it belongs to.
    """

    path: Path
    described: Record | None
    names: dict[str, str]
    run: Run

    @property
    def record(self) -> Record:
        if self.described is None:
            raise InputError(f"{self.path} has no record")
        return self.described

    @property
    def seed(self) -> int:
        if (seed := self.record.get("seed")) is None:
            raise InputError(f"the record of {self.path} gives no seed")
        return seed

    @property
    def settings(self) -> dict[str, Any]:
        return self.record["settings"]

    @property
    def inputs(self) -> list[Path]:
        return [path_of(name, self.path.parent) for name in self.record["inputs"]]

    def input(self, suffix: str) -> Path:
        """The first input with a suffix."""
        for path in self.inputs:
            if path.name.endswith(suffix):
                return path
        raise InputError(f"the record of {self.path} names no input that ends in {suffix}")


Checker = Callable[[Artefact], Iterator[Check]]


@dataclass(frozen=True)
class Kind:
    """A kind of artefact: its name, the pattern of its path below the results, and its checks."""

    name: str
    pattern: re.Pattern[str]
    check: Checker
    recorded: bool


KINDS: list[Kind] = []


def kind(name: str, pattern: str, *, recorded: bool = True) -> Callable[[Checker], Checker]:
    """Enter a function as the checks of a kind of artefact.

    Args:
        pattern: of the path below the folder of the preset's results.
        recorded: whether each must have a record; others hold their own digests.
    """

    def enter(check: Checker) -> Checker:
        KINDS.append(Kind(name, re.compile(pattern), check, recorded))
        return check

    return enter


def kind_of(path: str) -> tuple[Kind, dict[str, str]] | None:
    """The kind of an artefact by its path below the results, and what the path names."""
    for known in KINDS:
        if found := known.pattern.fullmatch(path):
            return known, found.groupdict()
    return None


def near(
    statement: str, found: Any, expected: Any, *, rtol: float = 0.0, atol: float = 0.0
) -> Check:
    """Whether numbers are those expected, NaN where NaN is expected."""
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    if found.shape != expected.shape:
        return Check(statement, False, f"shape {found.shape}, expected {expected.shape}")
    holds = np.allclose(found, expected, rtol=rtol, atol=atol, equal_nan=True)
    deviations = np.abs(found - expected)
    worst = np.max(deviations, initial=0.0, where=~np.isnan(deviations))
    return Check(statement, holds, f"largest deviation {worst:.2g}")


def same_file(statement: str, artefact: Artefact, again: Path) -> Check:
    """Whether an artefact has the bytes that the same work gives now.

    Other bytes of other versions of the code or packages are no fault of the artefact.
    """
    if artefact.path.read_bytes() == again.read_bytes():
        return Check(statement, True, "the same bytes")
    others = other_versions(artefact.record)
    measured = f"other bytes; {others}" if others else "other bytes"
    return Check(statement, False, measured, stale=bool(others))


def other_versions(record: Record) -> str:
    """What has another version now than when a record was written."""
    now = package_versions()
    parts = [
        f"{name} {version} then, {now.get(name, 'none')} now"
        for name, version in record.get("packages", {}).items()
        if now.get(name) != version
    ]
    return "; ".join([*parts, *filter(None, [changed_sources(record)])])


def of_job(artefact: Artefact, job: Callable[..., Any], *names: str) -> Check:
    """Whether the settings of an artefact are those of the job that the preset asks for.

    Args:
        job: of a preset and of what the artefact's path says by some names; `InputError` if the
            preset asks for none.
    """
    try:
        asked = job(artefact.run.preset, *(artefact.names[name] for name in names))
    except InputError:
        asked = None
    return prescribed(artefact.settings, asked)


def prescribed(settings: Any, asked: Any, what: str = "preset") -> Check:
    """Whether settings are those that the preset now asks for; names the keys that are not.

    Args:
        settings: JSON values.
        asked: a section or other values, with sections among them.
    """
    changed = ", ".join(
        f"{key} = {json.dumps(now)}, made with {json.dumps(then)}"
        for key, (then, now) in differing(settings, to_jsonable_python(asked)).items()
    )
    return Check(f"its settings are those of the {what}", not changed, changed, stale=True)


def made_of(artefact: Artefact, asked: Iterable[str]) -> Check:
    """Whether an artefact was made of the files that the preset now asks for.

    Args:
        asked: below the results.
    """
    now, then = {artefact.run.results / name for name in asked}, set(artefact.inputs)
    told = {"made without": now - then, "made with": then - now}
    other = "; ".join(
        f"{how} {some(sorted(os.path.relpath(path, artefact.run.results) for path in paths))}"
        for how, paths in told.items()
        if paths
    )
    return Check("it is made of what the preset asks for", not other, other, stale=True)
