import pytest
from bills import write

from gud.config.preset import load_preset
from gud.planning.costs import by_network, network_cost


@pytest.fixture(scope="module")
def costs(tmp_path_factory):
    preset = load_preset(write(tmp_path_factory.mktemp("costs") / "tiny.yaml"))
    return by_network(preset, network_cost)
