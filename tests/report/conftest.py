import pytest
from table_artefacts import BITS, likelihood


@pytest.fixture
def points(tmp_path):
    return [likelihood(tmp_path, a, bits) for a, bits in BITS.items()]
