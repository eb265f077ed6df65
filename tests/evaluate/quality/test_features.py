"""Features of images: drawn by a seed, or those of Inception."""

import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from quality_images import settings

from gud.errors import InputError
from gud.evaluate.quality import features
from gud.evaluate.quality.frechet import Moments
from gud.provenance import sha256

pytestmark = pytest.mark.usefixtures("torch_fidelity_loaded")


def test_one_seed_gives_the_same_features_and_another_gives_others(patches):
    images = torch.from_numpy(patches[0][:8])
    first = features.RandomFeatures(0)(images)
    assert torch.equal(first, features.RandomFeatures(0)(images))
    assert not torch.allclose(first, features.RandomFeatures(1)(images), rtol=0.1)


def test_network_draws_leave_the_global_random_state_alone():
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    features.RandomFeatures(0)
    assert torch.equal(torch.rand(4), expected)


@pytest.mark.parametrize("side", [3, 8, 33])
def test_features_exist_and_are_finite_for_any_image_size(side):
    found = features.RandomFeatures(0)(torch.zeros(2, 3, side, side + 1, dtype=torch.uint8))
    assert found.shape == (2, features.RandomFeatures.features) and found.isfinite().all()


def test_covariance_of_the_features_of_real_patches_is_nonsingular(patches):
    found = features.extract_features(torch.from_numpy(patches[0]), settings())
    statistics = Moments.of(found).statistics()
    assert np.linalg.cond(statistics["sigma"]) < 1e8


def test_registering_twice_is_harmless():
    assert features.register() == features.register()


def test_only_inception_is_labelled_fid():
    assert features.METRICS["random"] == "FD, random features"
    assert [name for name, label in features.METRICS.items() if "FID" in label] == ["inception"]


def test_unknown_extractor_is_refused():
    with pytest.raises(InputError, match="'vgg'"):
        features.make_extractor("vgg", 0)


class Creator:
    """Unpickled without restriction, it creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_pickled_code_in_the_weights_is_never_run(tmp_path, monkeypatch):
    weights, trace = tmp_path / "weights.pth", tmp_path / "trace"
    torch.save({"fc.bias": Creator(trace)}, weights)
    monkeypatch.setattr(features, "INCEPTION_SHA256", sha256(weights))
    with pytest.raises(pickle.UnpicklingError):
        features.inception_weights(weights)
    assert not trace.exists()


def test_inception_has_the_weights_of_the_file(tmp_path, monkeypatch):
    """The file is made from an untrained network, whose constructor insists on weights."""
    from torch_fidelity import FeatureExtractorInceptionV3

    weights = tmp_path / "weights.pth"
    torch.save({}, weights)
    with monkeypatch.context() as patch:
        patch.setattr(torch.nn.Module, "load_state_dict", lambda self, state: None)
        untrained = FeatureExtractorInceptionV3("untrained", ["2048"], str(weights))
    torch.save(untrained.state_dict(), weights)
    monkeypatch.setattr(features, "INCEPTION_SHA256", sha256(weights))
    network, layer = features.make_extractor("inception", 0, weights)
    images = torch.randint(256, (2, 3, 16, 16), dtype=torch.uint8)
    assert layer == "2048"
    assert torch.equal(network.cpu()(images)[0], untrained(images)[0])


def test_url_of_the_weights_is_the_one_torch_fidelity_would_download():
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

    assert features.INCEPTION_URL == URL_INCEPTION_V3


def test_missing_torch_fidelity_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(InputError, match="torch-fidelity"):
        features.load_torch_fidelity()
