"""The pages point at what exists, and say what the project's files say."""

import os
import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from presets import ROOT

PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md")])
USERS_OWN = {"config/mine.yaml"}
PATH = re.compile(r"\.?[\w-][\w.+-]*(/[\w.+-]+)*/?")
FILES_WITH_NAMES = (".py", ".smk", ".yaml", ".toml")


def ids(page):
    return str(page.relative_to(ROOT))


def made_here(path: str) -> bool:
    """Whether git ignores a path: it is made by a command, not kept."""
    asked = subprocess.run(["git", "check-ignore", "--quiet", "--no-index", path], cwd=ROOT)
    return asked.returncode == 0


def links(text: str) -> list[str]:
    """Targets of markdown links and images to files of the project."""
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    return [target.split("#")[0] for target in targets if "://" not in target and target[0] != "#"]


def paths(text: str) -> set[str]:
    """Words of code, in lines and in blocks, that look like paths of the project."""
    code = re.findall(r"^```\w*\n(.*?)^```", text, re.M | re.S)
    prose = re.sub(r"^```\w*\n.*?^```", "", text, flags=re.M | re.S)
    code += re.findall(r"`([^`\n]+)`", prose)
    words = {word.strip("\"'(),;:") for piece in code for word in piece.split()}
    return {word for word in words if "/" in word and PATH.fullmatch(word)}


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_link_and_every_path_of_a_page_exists(page):
    text = page.read_text()
    for target in links(text):
        assert (page.parent / target).exists(), target
    for path in paths(text) - USERS_OWN:
        assert (ROOT / path).exists() or made_here(path), path


def test_a_missing_path_or_link_is_noticed():
    text = "See `gud/nowhere.py`, [this](docs/nowhere.md) and `a / b`.\n```sh\ngud x/y.yaml\n```\n"
    assert links(text) == ["docs/nowhere.md"]
    assert paths(text) == {"gud/nowhere.py", "x/y.yaml"}
    assert not made_here("gud/nowhere.py") and made_here("results/demo/x.csv")


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_name_that_a_page_finds_in_a_file_is_there(page):
    """As in "`NAME` in `path`", or "`ONE`, `TWO` and `THREE` in `path`"."""
    found = re.findall(r"((?:`\w+`(?:,? and |, ))*`\w+`) in `([\w./]+)`", page.read_text())
    if page.name == "CONTRIBUTING.md":
        assert len(found) > 15
    for names, path in found:
        if path.endswith(FILES_WITH_NAMES):
            text = (ROOT / path).read_text()
            for name in re.findall(r"`(\w+)`", names):
                assert re.search(rf"\b{name}\b", text), f"{name} in {path}"


def test_the_hooks_are_the_checks_of_make_check():
    recipe = re.search(r"^check:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.M)[1]
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [repo["repo"] for repo in hooks] == ["local"]
    assert [hook["entry"] for hook in hooks[0]["hooks"]] == [
        line.strip() for line in recipe.splitlines()
    ]
    assert all(hook["language"] == "system" for hook in hooks[0]["hooks"])
    assert not any(hook["pass_filenames"] for hook in hooks[0]["hooks"])


def test_every_target_of_the_makefile_is_explained_and_those_that_pages_name_exist():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.search(r"^\.PHONY: (.*)$", makefile, re.M)[1].split())
    named = {name for page in PAGES for name in re.findall(r"\bmake ([a-z-]+)`", page.read_text())}
    assert named <= targets
    assert set(re.findall(r"^# make ([a-z-]+)", makefile, re.M)) <= targets


def test_the_changelog_the_package_and_the_citation_have_one_version():
    versions = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.M)
    released = next(version for version in versions if version != "Unreleased")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert released == project["version"] == citation["version"]


def test_every_command_that_a_page_calls_is_one():
    from gud.commands import COMMANDS

    known = {name for section in COMMANDS.values() for name in section}
    for page in PAGES:
        called = re.findall(r"(?:^|`)gud ([a-z]+)", page.read_text(), re.M)
        assert set(called) <= known, page


@pytest.mark.slow
def test_the_api_reference_builds_without_warnings_and_holds_what_users_call(tmp_path):
    built = subprocess.run(
        [sys.executable, "docs/api.py", str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    assert "Warn" not in built.stderr
    import gud

    page = (tmp_path / "gud.html").read_text()
    for name in gud.__all__:
        assert f'id="{name}"' in page, name
    rooms = {path.parent for path in (ROOT / "gud").glob("*/__init__.py")}
    assert all((tmp_path / "gud" / f"{room.name}.html").exists() for room in rooms)
    assert (tmp_path / "gud/diffusion/schedules.html").exists()
