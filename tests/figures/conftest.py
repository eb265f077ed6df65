import figure_tables
import pytest

scan = pytest.fixture(figure_tables.scan)
plane = pytest.fixture(figure_tables.plane)
softness = pytest.fixture(figure_tables.softness)
