"""Arrays of npz files are as they are said to be, or refused in one sentence."""

import numpy as np
import pytest
from damages import DAMAGES

from gud.data.arrays import load_arrays
from gud.errors import InputError

KINDS = {"bits": "f images probes", "index": "i images"}


@pytest.fixture
def file(tmp_path):
    return tmp_path / "point.npz"


def test_arrays_that_fit_are_read_and_optional_ones_may_be_missing(file):
    np.savez(file, bits=np.ones((3, 2)), index=np.arange(3), more=np.zeros(1))
    found = load_arrays(file, KINDS, optional={"region": "i images"})
    assert found.keys() == KINDS.keys() and found["bits"].shape == (3, 2)


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"bits": np.ones((3, 2))}, "must hold bits, index"),
        ({"bits": np.ones((3, 2)), "index": np.arange(2)}, r"shape \(images = 3\)"),
        ({"bits": np.ones((0, 2)), "index": np.arange(0)}, r"bits .* of shape \(0, 2\)"),
        (
            {"bits": np.ones(3), "index": np.arange(3)},
            r"expected float of shape \(images, probes\)",
        ),
        ({"bits": np.full((3, 2), np.nan), "index": np.arange(3)}, "not finite"),
        ({"bits": np.ones((3, 2)), "index": np.ones(3)}, "expected integers"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(file, arrays, sentence):
    np.savez(file, **arrays)
    with pytest.raises(InputError, match=sentence):
        load_arrays(file, KINDS)


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_refused(file, damage):
    np.savez_compressed(file, bits=np.ones((3, 2)), index=np.arange(3))
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(InputError, match="cannot be read"):
        load_arrays(file, KINDS)
