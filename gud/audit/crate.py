"""A preset with its artefacts as one RO-Crate, for programs that know nothing of this one.

It follows the Provenance Run profile of Workflow Run RO-Crate: the Snakefile is the workflow, each
command of `gud` a tool of it, and what one call made a `CreateAction` whose objects are files and
settings. All of it is read from the records. The crate has the layout of a checkout, so that
`gud verify` works in it. Checkpoints, which have no records, stay out; of downloads it has the
sha256 alone.
"""

from __future__ import annotations

import json
import mimetypes
import os
import shlex
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import click
from rocrate.model.entity import Entity
from rocrate.rocrate import ROCrate

from gud.audit.chain import PASSED, examine
from gud.audit.checks import kind_of
from gud.audit.reading import Bundle
from gud.audit.root import artefacts, below
from gud.cli import File, NamedPreset, preset_argument
from gud.config.leaves import leaves
from gud.errors import InputError
from gud.provenance import Record, atomic, files_of, read_record, record_path, sha256
from gud.provenance.places import CHECKOUT, IN_PACKAGE, PROJECT, path_of

PROFILE = "https://w3id.org/ro/wfrun/{}/0.5"
TERMS = "https://w3id.org/ro/terms/workflow-run#"
BINARY = "application/octet-stream"
TYPES = {bool: "Boolean", int: "Integer", float: "Float"}
"""Of parameters; others are text."""
JOINED = ("likelihood", "samples")
"""Kinds of artefacts whose parts the receipts of jobs have."""


def recorded(results: Path) -> dict[str, Record]:
    """The records of the artefacts of a preset, by their paths below its results.

    Raises:
        InputError: an artefact is not as recorded, or there is none.
    """
    found = {}
    for path in artefacts(results):
        record, status = examine(path, None, Bundle(path.parent), sha256)
        if status not in (*PASSED, "MISSING RECORD"):
            raise InputError(f"{path} cannot be put into a crate: it is {status}")
        if record:
            found[below(path, results)] = record
    if not found:
        raise InputError(f"{results} has no artefact with a record")
    return found


def settings_of(record: Record) -> Iterator[tuple[str, Any]]:
    """The settings of a record by their dotted keys, with seed and machine.

    A job computes shards of several points, which the paths of its results tell apart.
    """
    points = record["settings"].get("points")
    told = {key: record[key] for key in ("seed", "device", "machine") if key in record}
    trees = points.values() if isinstance(points, dict) else [record["settings"]]
    for tree in (told, *trees):
        yield from ((key, value) for key, value in leaves(tree).items() if key)


def ended(record: Record) -> str:
    """When an artefact was finished; nothing where its record does not tell."""
    return str(record.get("finished", "")).replace("Z", "+00:00")


def one_or_all(entities: Iterable[Entity]) -> Any:
    """A list, or what is alone in it, as the specification would have it."""
    found = list(entities)
    return found if len(found) > 1 else found[0]


class Crate:
    """The crate of a preset, made of the records of its artefacts.

    Args:
        preset: of the results.
        results: the folder of its artefacts.
        records: by the paths of the artefacts below that folder.
    """

    def __init__(self, preset: NamedPreset, results: Path, records: dict[str, Record]):
        self.folder, self.records = Path(os.path.abspath(results)), records
        self.name = preset.name
        self.crate = crate = ROCrate(version="1.1")
        for term in ("sha256", "resourceUsage"):
            crate.metadata.extra_terms[term] = TERMS + term
        crate.name = f"{preset.name}: Generation with Unified Diffusion, replicated"
        crate.description = preset.preset.stand_in or crate.name
        crate.license = self.entity("https://spdx.org/licenses/MIT", "CreativeWork", name="MIT")
        crate.datePublished = max(map(ended, records.values()))
        crate.root_dataset["conformsTo"] = [
            self.entity(PROFILE.format(name), "CreativeWork", name=f"{name} run crate")
            for name in ("process", "workflow", "provenance")
        ]
        self.workflow = crate.add_workflow(
            CHECKOUT / "Snakefile", "Snakefile", main=True, lang="snakemake"
        )
        self.workflow._jsonld["@type"].append("HowTo")
        for path in sorted(CHECKOUT.glob("workflow/**/*.*")):
            crate.add_file(path, path.relative_to(CHECKOUT))
        self.read = [crate.add_file(preset.file, Path("config", preset.file.name))]
        self.run()

    def entity(self, identifier: str, kind: str, **properties: Any) -> Entity:
        """What is no file, by its identifier: entered once."""
        known = self.crate.get(identifier)
        return known or self.crate.add_jsonld({"@id": identifier, "@type": kind, **properties})

    @cache  # noqa: B019
    def file(self, path: str) -> Entity:
        """An artefact of the preset, which its record comes with."""
        source, place = self.folder / path, Path("results", self.name, path)
        told = {"name": source.name, "sha256": self.records[path]["sha256"]}
        told["encodingFormat"] = mimetypes.guess_type(source.name)[0] or BINARY
        if record_path(source).is_file():
            self.crate.add_file(record_path(source), record_path(place))
        return self.crate.add_file(source, place, properties=told, record_size=True)

    def used(self, name: str, digest: str, user: str) -> Entity:
        """A file that the record of the artefact `user` names."""
        path = path_of(name, (self.folder / user).parent)
        if path.is_relative_to(self.folder) and below(path, self.folder) in self.records:
            return self.file(below(path, self.folder))
        if name.startswith(PROJECT):
            return self.crate.add_file(path, name.removeprefix(PROJECT))
        identifier = f"#sha256-{digest}"
        if found := IN_PACKAGE.fullmatch(name):
            identifier = f"pkg:pypi/{found['name']}@{found['version']}#{quote(found['path'])}"
        elif record_path(path).is_file():
            identifier = read_record(path)["settings"].get("url", identifier)
        self.read.append(self.entity(identifier, "CreativeWork", name=path.name, sha256=digest))
        return self.read[-1]

    def tool(self, record: Record) -> Entity:
        """The command of `gud` that a record names, in the version that ran."""
        word = shlex.split(record.get("command", "gud unknown"))[1]
        code, packages = record["code"], record.get("packages", {})
        needed = [
            self.entity(f"#{name}-{version}", "SoftwareApplication", name=name, version=version)
            for name, version in packages.items()
        ]
        return self.entity(
            f"#gud-{word}-{code['gud_sha256'][:16]}",
            "SoftwareApplication",
            name=f"gud {word}",
            softwareVersion=f"git {code.get('git', '-')}, sha256 {code['gud_sha256']}",
            softwareRequirements=[{"@id": one.id} for one in needed],
        )

    def setting(self, tool: Entity, key: str, value: Any) -> Entity:
        """The value of a parameter of a tool: the same for all calls that had it."""
        parameter = f"{tool.id}/{quote(key)}"
        if parameter not in self.crate:
            kind = TYPES.get(type(value), "Text")
            formal = self.entity(parameter, "FormalParameter", name=key, additionalType=kind)
            tool.append_to("input", formal)
        return self.entity(
            f"{parameter}/{quote(json.dumps(value), safe='')}",
            "PropertyValue",
            name=key,
            value=value if isinstance(value, (str, int, float)) else json.dumps(value),
            exampleOfWork={"@id": parameter},
        )

    def action(self, made: Sequence[str]) -> Entity:
        """What one call of a command made, by the paths of its artefacts."""
        record, tool = self.records[made[0]], self.tool(self.records[made[0]])
        known = kind_of(made[0])
        # A point names the shards that were joined; other parts are shards computed by the call.
        computed = () if known and known[0].name in JOINED else ("parts",)
        objects: dict[str, Entity] = {}
        results = {self.file(path).id: self.file(path) for path in made}
        for relation in ("inputs", "parts"):
            for path in made:
                for name, digest in files_of(self.records[path])[relation].items():
                    one = self.used(name, digest, path)
                    (results if relation in computed else objects)[one.id] = one
        for key, value in settings_of(record):
            one = self.setting(tool, key, value)
            objects[one.id] = one
        told = {
            "name": f"{tool['name']}: {made[0]}",
            "description": record.get("command", "its record names no command"),
            "endTime": ended(record),
        }
        if record.get("seconds") is not None:
            told["resourceUsage"] = self.entity(
                f"#seconds-{record['seconds']}",
                "PropertyValue",
                name="wall time",
                propertyID="https://schema.org/duration",
                unitCode="https://qudt.org/vocab/unit/SEC",
                value=record["seconds"],
            )
        identifier = f"#made-{quote(made[0])}"
        entered = one_or_all(objects.values()), one_or_all(results.values())
        return self.crate.add_action(tool, identifier, *entered, properties=told)

    def calls(self) -> list[tuple[str, ...]]:
        """The artefacts that each call of a command made together; shards are parts of jobs."""
        found = set()
        for path, record in self.records.items():
            known = kind_of(path)
            if not (known and known[0].name == "shard"):
                here = (self.folder / path).parent
                others = [path_of(name, here) for name in record.get("made_with", {})]
                inside = [below(o, self.folder) for o in others if o.is_relative_to(self.folder)]
                found.add(tuple(sorted({path, *(one for one in inside if one in self.records)})))
        return sorted(found)

    def run(self) -> None:
        """Enter every call, its command as a step of the workflow, and the run of that."""
        actions = [self.action(made) for made in self.calls()]
        by_tool = defaultdict(list)
        for action in actions:
            by_tool[action["instrument"].id].append(action)
        controls = []
        for number, (tool, done) in enumerate(by_tool.items(), 1):
            step = self.entity(
                f"#step-{number}", "HowToStep", position=str(number), workExample={"@id": tool}
            )
            self.workflow.append_to("step", step)
            self.workflow.append_to("hasPart", self.crate.get(tool))
            control = self.entity(f"#control-{number}", "ControlAction", instrument=step)
            control["object"] = one_or_all(done)
            controls.append(control)
        read = {used["@id"] for action in actions for used in action.properties()["object"]}
        ends = [self.file(path) for path in self.records if self.file(path).id not in read]
        command = f"snakemake all --config preset={self.name}"
        whole = {"name": f"all of {self.name}", "description": command}
        whole["endTime"] = max(map(ended, self.records.values()))
        everything = self.crate.add_action(
            self.workflow, "#run", one_or_all(dict.fromkeys(self.read)), ends, properties=whole
        )
        engine = self.entity("https://snakemake.github.io", "SoftwareApplication", name="Snakemake")
        organised = self.entity("#organised", "OrganizeAction", name="the run of the workflow")
        organised["instrument"], organised["object"] = engine, controls
        organised["result"] = everything
        self.crate.root_dataset["mentions"] = [everything, organised, *actions]


@click.command()
@preset_argument()
@click.option("--results", type=File, help="Folder of the artefacts; default: results/NAME.")
@click.option("--out", type=File, required=True, help="Folder or .zip to write.")
def main(preset: NamedPreset, results: Path | None, out: Path) -> None:
    """Write a preset with all its artefacts and their provenance as an RO-Crate."""
    results = results or preset.results
    if out.exists():
        raise InputError(f"--out {out} exists, expected the name of a new folder or .zip")
    if not (CHECKOUT / "Snakefile").is_file():
        raise InputError(f"there is no Snakefile in {CHECKOUT}: crates are made with a checkout")
    crate = Crate(preset, results, recorded(results)).crate
    if out.suffix == ".zip":
        with atomic(out) as temporary:
            crate.write_zip(temporary)
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as folder:
        crate.write(Path(folder, out.name))
        os.replace(Path(folder, out.name), out)
