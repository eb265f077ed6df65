import pytest
from cluster import Unavailable, running
from pipeline import FIGURE, Pipeline, scan_preset


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """A SLURM of one node that has more CPUs than the machine, as jobs here wait a lot."""
    try:
        with running(tmp_path_factory.mktemp("slurm"), cpus=8) as cluster:
            yield cluster
    except Unavailable as error:
        pytest.skip(str(error))
    assert cluster.processes() == []


@pytest.fixture(scope="session")
def undisturbed(cluster, tmp_path_factory):
    """Figure 3 made on this machine without SLURM."""
    pipeline = Pipeline(tmp_path_factory.mktemp("local"), None, tiny=scan_preset())
    pipeline.ends(pipeline.start(FIGURE))
    return pipeline
