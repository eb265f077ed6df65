"""What the rooms of the package know of each other."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gud.commands import COMMANDS
from gud.config.sections.processes import BY_NAME
from gud.diffusion.processes import PROCESSES

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "gud"
PRESETS = PACKAGE.parent / "config"
AT_HOME = ("diffusion/processes/", "config/sections/processes.py")
"""Where processes are written, and where presets name them."""
EXPORTED = ("__init__.py", "api.py")
"""What users import, and the default of a function of theirs."""
STRANGERS = sorted(
    path.relative_to(PACKAGE).as_posix()
    for path in PACKAGE.rglob("*.py")
    if not path.relative_to(PACKAGE).as_posix().startswith((*AT_HOME, *EXPORTED))
)
LIGHT = (
    *("audit", "watch", "verdict", "join", "table", "comparison", "summary", "course"),
    *("likelihoods", "samples", "figure"),
)
"""Commands that compute nothing, which start in the time that Python takes."""
MEMBERS = {process.__name__ for process in PROCESSES.values()}
SECTIONS = {section.__name__ for section in BY_NAME.values()}


def names(path):
    """Imported names, attributes and strings of a module."""
    for node in ast.walk(ast.parse((PACKAGE / path).read_text())):
        match node:
            case ast.ImportFrom():
                yield from (alias.name for alias in node.names)
            case ast.Attribute():
                yield node.attr
            case ast.Constant(value=str(text)):
                yield text


def test_the_processes_are_told_from_others_by_their_names():
    assert len(STRANGERS) > 150
    assert {"OrnsteinUhlenbeck", "PhaseSpaceLangevin"} <= MEMBERS
    assert set(names("diffusion/processes/__init__.py")) >= MEMBERS


@pytest.mark.parametrize("path", STRANGERS)
def test_no_module_outside_the_room_of_processes_names_one(path):
    assert not set(names(path)) & (MEMBERS | SECTIONS | PROCESSES.keys() - {"recipe"})


def test_tests_lie_in_folders_named_after_rooms():
    folders = {path.parent.relative_to(TESTS) for path in TESTS.rglob("test_*.py")}
    rooms = {folder for folder in folders if (PACKAGE / folder).is_dir()}
    assert {str(folder) for folder in folders - rooms} == {"workflow", "slurm", "spoilt_inputs"}
    assert len(rooms) > 15


@pytest.mark.slow
def test_commands_that_compute_nothing_start_and_read_every_preset_without_torch():
    every = {name: module for named in COMMANDS.values() for name, (module, _) in named.items()}
    modules = [every[name] for name in LIGHT]
    read = "; ".join(f"load_preset({str(preset)!r})" for preset in sorted(PRESETS.glob("*.yaml")))
    program = f"""
import sys, {", ".join(modules)}
from gud.config.preset import load_preset
{read}
print("torch" in sys.modules)"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr


@pytest.mark.slow
def test_a_training_starts_without_what_only_tables_and_pictures_need():
    program = """
import sys, gud.training.run
print({"pandas", "scipy.stats", "matplotlib"} & {*sys.modules})"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr


def test_a_room_imports_those_above_it_in_the_list_of_contributing():
    listed = re.findall(
        r"^\| `gud/(\w+)/` \|", (PACKAGE.parent / "CONTRIBUTING.md").read_text(), re.M
    )
    assert set(listed) == {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    for number, room in enumerate(listed):
        for path in (PACKAGE / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                match node:
                    case ast.ImportFrom(module=str(module)):
                        modules = [module]
                    case ast.Import():
                        modules = [alias.name for alias in node.names]
                    case _:
                        continue
                for module in modules:
                    _, _, other = module.partition("gud.")
                    assert other.split(".")[0] not in listed[number + 1 :], f"{path}: {module}"
