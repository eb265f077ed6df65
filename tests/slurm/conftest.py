import pytest
from cluster import Unavailable, running


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """A SLURM of one node with two CPUs, for all tests."""
    try:
        with running(tmp_path_factory.mktemp("slurm")) as cluster:
            yield cluster
    except Unavailable as error:
        pytest.skip(str(error))
    assert cluster.processes() == []
