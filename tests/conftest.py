import gc
from pathlib import Path

import pytest
from presets import whole_preset
from training_runs import complete, make_files
from workspace import Workspace

from gud.audit.verify import Verdict, running, verify

SHARED = ["cluster", "finished", "uninterrupted"]
LONG = [
    *("test_presets_in_workflow", "test_distributed", "test_spoilt_inputs", "test_train_stops"),
    *("test_pretended_gpu", "test_workflow", "test_docs", "test_tour"),
]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share something costly run in one process; so do those of one file.

    What takes longest is begun first.
    """

    def group(item: pytest.Item) -> str:
        fixtures = getattr(item, "fixturenames", [])
        return next((name for name in SHARED if name in fixtures), item.path.stem)

    files = {path.stem for path in Path(__file__).parent.rglob("test_*.py")}
    if gone := sorted(set(LONG) - files):
        raise pytest.UsageError(f"{__file__} names tests that are not there: {', '.join(gone)}")
    for item in items:
        item.add_marker(pytest.mark.xdist_group(group(item)))
    rank = {name: place for place, name in enumerate([*SHARED, *LONG])}
    items.sort(key=lambda item: rank.get(group(item), len(rank)))
    # What is imported and collected stays: no look for garbage need go through it.
    gc.freeze()


@pytest.fixture(scope="session")
def files(tmp_path_factory) -> tuple[Path, Path]:
    return make_files(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def uninterrupted(files, tmp_path_factory) -> Path:
    """The folder of a training that nothing disturbed."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    complete(files, folder)
    return folder


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Workspace:
    """One real run of the workflow, which no test may change."""
    workspace = Workspace(tmp_path_factory.mktemp("workflow"), "tiny")
    workspace.write(whole_preset())
    workspace.run("all")
    return workspace


@pytest.fixture(scope="session")
def verdicts(finished) -> list[Verdict]:
    """What `gud verify` finds in it."""
    with running(finished.named(), finished.folder / "results/tiny") as run:
        return list(verify(run))


@pytest.fixture
def copy(finished, tmp_path) -> Workspace:
    """A copy of it, which a test may change."""
    return finished.copy(tmp_path / "copy")
