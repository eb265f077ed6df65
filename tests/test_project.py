"""The project's own files agree with each other."""

import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
CONDA_NAMES = {
    "pytorch": "torch",
    "matplotlib-base": "matplotlib",
    "snakemake-minimal": "snakemake",
}


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_conda_environment_asks_for_what_pyproject_asks_for():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    pip = next(entry["pip"] for entry in environment if isinstance(entry, dict))
    conda = [entry for entry in environment if isinstance(entry, str) and entry != "pip"]
    given = {}
    for requirement in map(Requirement, conda + pip):
        name = CONDA_NAMES.get(requirement.name, requirement.name)
        given[canonicalize_name(name)] = requirement.specifier
    python = given.pop("python")
    optional = project()["optional-dependencies"]["workflow"]
    wanted = {
        canonicalize_name(requirement.name): requirement.specifier
        for requirement in map(Requirement, project()["dependencies"] + optional)
    }
    assert given == wanted
    assert python == Requirement(f"python{project()['requires-python']}").specifier


def test_the_constraints_pin_every_dependency_inside_its_range():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = {canonicalize_name(pin.name): pin.specifier for pin in map(Requirement, lines)}
    extras = project()["optional-dependencies"]
    for requirement in map(Requirement, project()["dependencies"] + sum(extras.values(), [])):
        name = canonicalize_name(requirement.name)
        (pin,) = pins[name]
        assert pin.operator == "==", name
        assert requirement.specifier.contains(pin.version), name
