import importlib.util

import numpy as np
import pytest
from sklearn.datasets import load_sample_images

from gud.evaluate.quality import features


@pytest.fixture(scope="session")
def torch_fidelity_loaded():
    """Imported, which takes seconds, where tests need it and not where they are collected."""
    if importlib.util.find_spec("torch_fidelity") is None:
        pytest.skip("torch-fidelity is not installed")
    features.load_torch_fidelity()


@pytest.fixture(scope="module")
def patches() -> tuple[np.ndarray, np.ndarray]:
    """Two disjoint random halves of the 16x16 patches of two photographs."""
    tiles = [
        photo[y : y + 16, x : x + 16].transpose(2, 0, 1)
        for photo in load_sample_images().images
        for y in range(0, photo.shape[0] - 15, 16)
        for x in range(0, photo.shape[1] - 15, 16)
    ]
    tiles = np.stack(tiles)[np.random.default_rng(0).permutation(len(tiles))]
    half = len(tiles) // 2
    return tiles[:half], tiles[half : 2 * half]
