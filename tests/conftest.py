from pathlib import Path

import pytest
from training_runs import make_files, start


@pytest.fixture(scope="session")
def files(tmp_path_factory) -> tuple[Path, Path]:
    return make_files(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def uninterrupted(files, tmp_path_factory) -> Path:
    """The folder of a training that nothing disturbed."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    process = start(files, folder)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    return folder
