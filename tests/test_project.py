"""The project's own files agree with each other."""

import re
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from presets import ROOT
from snakemake.profiles import ProfileConfigFileParser

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


def test_every_package_is_installed():
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    rooms = {path.parent.relative_to(ROOT) for path in (ROOT / "gud").rglob("__init__.py")}
    assert {".".join(room.parts) for room in rooms} == set(tools["setuptools"]["packages"])


SITE = ("SBATCH_PARTITION", "SBATCH_ACCOUNT", "GUD_GPU_PARTITION", "GUD_GPU_MODEL")
SITE += ("GUD_TRAIN_MINUTES", "GUD_SLURM_STATUS")


def slurm_profile():
    with open(ROOT / "slurm/config.v9+.yaml") as file:
        return ProfileConfigFileParser().parse(file)


def test_the_slurm_profile_asks_for_the_sites_gpus_in_the_rules_that_want_one(monkeypatch):
    rules = "\n".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    blocks = re.split(r"^(?:use )?rule ", rules, flags=re.M)[1:]
    wanting = {re.match(r"(?:\w+ as )?(\w+)", block)[1] for block in blocks if " gpu=" in block}
    heirs = re.findall(r"^use rule (\w+) as (\w+)", rules, re.M)
    wanting |= {heir for parent, heir in heirs if parent in wanting}
    monkeypatch.setenv("GUD_GPU_MODEL", "a100")
    assert set(slurm_profile()["set-resources"]) == {f"{rule}:gpu_model=a100" for rule in wanting}


def test_the_slurm_profile_names_partition_and_account_only_where_the_site_has_said_them(
    monkeypatch,
):
    for name in SITE:
        monkeypatch.delenv(name, raising=False)
    plain = slurm_profile()
    assert "set-resources" not in plain
    assert plain["default-resources"] == ["mem_mb=2000", "runtime=30"]
    monkeypatch.setenv("SBATCH_PARTITION", "long")
    monkeypatch.setenv("SBATCH_ACCOUNT", "physics")
    monkeypatch.setenv("GUD_GPU_PARTITION", "gpu")
    set_up = slurm_profile()
    assert {"slurm_partition=long", "slurm_account=physics"} < set(set_up["default-resources"])
    assert "train:slurm_partition=gpu" in set_up["set-resources"]


def test_the_slurm_profile_limits_the_time_of_trainings_alone(monkeypatch):
    for name in SITE:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GUD_TRAIN_MINUTES", "720")
    assert slurm_profile()["set-resources"] == ["train:runtime=720"]
    monkeypatch.setenv("GUD_GPU_MODEL", "a100")
    limited = [one for one in slurm_profile()["set-resources"] if "runtime" in one]
    assert limited == ["train:runtime=720"]


def test_the_slurm_profile_has_no_setting_that_the_default_profile_overrides():
    default = yaml.safe_load((ROOT / "profiles/default/config.v9+.yaml").read_text())
    assert slurm_profile().keys() & default.keys() == set()


def test_in_several_processes_tests_of_one_file_or_costly_fixture_stay_together(request):
    """Else each process would make every costly fixture for itself."""
    if not hasattr(request.config, "workerinput"):
        pytest.skip("the tests run in one process")
    assert request.node.nodeid.endswith("@test_project")


def test_shapes_are_checked_in_every_module_that_states_them():
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]
    packages = re.search(r"--jaxtyping-packages=(\S+)", options["ini_options"]["addopts"])[1]
    stating = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in (ROOT / "gud").rglob("*.py")
        if "from jaxtyping import" in path.read_text()
    }
    *checked, checker = packages.split(",")
    assert checker == "beartype.beartype"
    for module in stating:
        assert any(f"{module}.".startswith(f"{package}.") for package in checked), module
    for package in checked:
        assert any(f"{module}.".startswith(f"{package}.") for module in stating), package
