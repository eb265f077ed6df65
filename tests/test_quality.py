"""Sample quality: the distance against closed forms, its sensitivity, its labels and its errors."""

import importlib.util
import json
import pickle
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_sample_images

from gud import features, quality
from gud.errors import InputError
from gud.provenance import sha256
from gud.tasks import Quality

if importlib.util.find_spec("torch_fidelity") is None:
    pytest.skip("torch-fidelity is not installed", allow_module_level=True)
features.load_torch_fidelity()

RANDOM = {
    "extractor": "random",
    "extractor_seed": 0,
    "reference": "train",
    "reference_images": None,
    "weights": None,
    "stderr_groups": 0,
    "batch_size": 256,
}

INCEPTION = {"extractor": "inception", "weights": "inception"}


def settings(**changes) -> Quality:
    return Quality(**RANDOM | changes)


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


def distance(samples: np.ndarray, reference: np.ndarray, **changes) -> float:
    return quality.frechet_distance(
        torch.from_numpy(samples), torch.from_numpy(reference), settings(**changes)
    )


def noisy(images: np.ndarray, strength: float) -> np.ndarray:
    noise = np.random.default_rng(1).normal(size=images.shape)
    return np.clip(np.rint(images + strength * noise), 0, 255).astype(np.uint8)


def blurred(images: np.ndarray, width: float) -> np.ndarray:
    return np.rint(gaussian_filter(images.astype(float), (0, 0, width, width))).astype(np.uint8)


def test_distance_equals_the_closed_form_by_matrix_square_root(patches):
    network = features.RandomFeatures(0)
    first, second = (network(torch.from_numpy(part)).numpy() for part in patches)
    product = np.cov(first, rowvar=False) @ np.cov(second, rowvar=False)
    expected = (
        np.sum((first.mean(0) - second.mean(0)) ** 2)
        + first.var(0, ddof=1).sum()
        + second.var(0, ddof=1).sum()
        - 2 * np.trace(sqrtm(product).real)
    )
    assert distance(*patches) == pytest.approx(expected, rel=1e-4)


def test_distance_equals_the_one_of_torch_fidelitys_front_end(patches):
    import torch_fidelity

    found = torch_fidelity.calculate_metrics(
        input1=quality.Images(torch.from_numpy(patches[0])),
        input2=quality.Images(torch.from_numpy(patches[1])),
        fid=True,
        feature_extractor=features.register(),
        rng_seed=0,
        cuda=False,
        cache=False,
        save_cpu_ram=True,
        verbose=False,
    )
    assert distance(*patches) == pytest.approx(found[torch_fidelity.KEY_METRIC_FID], rel=1e-6)


def test_distance_of_a_set_to_itself_is_zero(patches):
    assert abs(distance(patches[0], patches[0])) < 1e-3


def test_distance_is_symmetric(patches):
    noise = noisy(patches[0], 8)
    assert distance(noise, patches[1]) == pytest.approx(distance(patches[1], noise), rel=1e-6)


def test_distance_does_not_depend_on_the_batch_size(patches):
    expected = distance(*patches)
    assert distance(*patches, batch_size=37) == pytest.approx(expected, rel=1e-5)


def test_real_halves_are_closer_than_any_visible_corruption(patches):
    held_out, reference = patches
    floor = distance(held_out, reference)
    assert 4 * floor < distance(noisy(held_out, 8), reference)
    assert 4 * floor < distance(blurred(held_out, 0.6), reference)


@pytest.mark.parametrize(
    ("corrupt", "strengths"),
    [(noisy, [0, 4, 8, 16, 32, 64]), (blurred, [0, 0.5, 0.7, 1, 1.5, 2.5])],
)
def test_distance_grows_with_the_strength_of_corruption(patches, corrupt, strengths):
    held_out, reference = patches
    distances = [distance(corrupt(held_out, strength), reference) for strength in strengths]
    assert all(
        weaker < stronger for weaker, stronger in zip(distances, distances[1:], strict=False)
    )


def test_a_few_images_far_from_the_rest_give_a_finite_distance(patches):
    found = distance(patches[0][:2], patches[1])
    assert np.isfinite(found) and found > distance(*patches)


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
    statistics = quality.feature_statistics(
        quality.extract_features(torch.from_numpy(patches[0]), settings())
    )
    assert np.linalg.cond(statistics["sigma"]) < 1e8


def test_registering_twice_is_harmless():
    assert features.register() == features.register()


def test_only_inception_is_labelled_fid():
    assert features.METRICS["random"] == "FD, random features"
    assert [name for name, label in features.METRICS.items() if "FID" in label] == ["inception"]


@pytest.fixture
def files(tmp_path, patches):
    """Paths of a run of the command line; `run(**changes)` runs it and returns its status."""
    paths = SimpleNamespace(
        samples=tmp_path / "samples.npz", data=tmp_path / "data.npz", out=tmp_path / "out.json"
    )
    np.savez(paths.samples, images=noisy(patches[0][:300], 8))
    np.savez(paths.data, train=patches[1], test=patches[0][300:])

    def run(*more: str, **changes) -> int:
        arguments = ["--samples", paths.samples, "--reference", paths.data, "--out", paths.out]
        text = json.dumps(RANDOM | changes)
        return quality.main([*map(str, arguments), "--settings", text, *more])

    paths.run = run
    return paths


def test_command_writes_the_distance_with_all_that_makes_it_comparable(files, patches):
    assert files.run() == 0
    found = json.loads(files.out.read_text())
    assert found["fid"] == pytest.approx(distance(noisy(patches[0][:300], 8), patches[1]), rel=1e-6)
    assert "FID" not in found["metric"]
    assert (found["images"], found["reference"], found["reference_images"]) == (
        300,
        "train",
        len(patches[1]),
    )
    record = json.loads((files.out.parent / "out.json.json").read_text())
    assert set(record["inputs"]) == {"samples.npz", "data.npz"}
    assert record["settings"] == RANDOM


def test_second_run_reads_the_kept_statistics_and_gives_the_same_distance(files):
    files.run()
    first = json.loads(files.out.read_text())["fid"]
    (kept,) = files.data.with_name("data.npz.statistics").glob("*.npz")
    stamp = kept.stat().st_mtime_ns
    files.run()
    assert json.loads(files.out.read_text())["fid"] == first
    assert kept.stat().st_mtime_ns == stamp
    with np.load(kept, allow_pickle=False) as arrays:
        shifted = dict(arrays) | {"mu": arrays["mu"] + 1}
    np.savez(kept, **shifted)
    files.run()
    assert json.loads(files.out.read_text())["fid"] > first + features.RandomFeatures.features / 2


@pytest.mark.parametrize(
    "changes", [{"extractor_seed": 1}, {"reference": "test"}, {"reference_images": 200}]
)
def test_kept_statistics_serve_no_other_settings(files, changes):
    files.run()
    first = json.loads(files.out.read_text())["fid"]
    files.run(**changes)
    assert json.loads(files.out.read_text())["fid"] != first
    assert len(list(files.data.with_name("data.npz.statistics").glob("*.npz"))) == 2


def test_kept_statistics_of_a_changed_reference_are_not_used(files, patches):
    files.run()
    first = json.loads(files.out.read_text())["fid"]
    np.savez(files.data, train=noisy(patches[1], 8), test=patches[0])
    files.run()
    assert json.loads(files.out.read_text())["fid"] < first / 2


def test_reference_subset_is_drawn_by_the_seed_without_repeats():
    images = torch.arange(50, dtype=torch.uint8).reshape(50, 1, 1, 1).expand(50, 3, 4, 4)
    drawn = [quality.choose(images, 20, seed, "data")[:, 0, 0, 0].tolist() for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert drawn[0] == sorted(set(drawn[0])) and len(drawn[0]) == 20 and drawn[0] != list(range(20))


def test_command_is_quiet_away_from_a_terminal(files, capfd):
    files.run()
    captured = capfd.readouterr()
    assert captured.out == "" and "Processing samples" not in captured.err


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (np.zeros((1, 3, 16, 16), np.uint8), "at least 2"),
        (np.zeros((4, 3, 8, 16), np.uint8), "expected the same"),
        (np.zeros((4, 3, 16, 16), np.float32), "torch.float32, expected 8-bit"),
        (np.zeros((4, 1, 16, 16), np.uint8), "expected (n, 3, height, width)"),
        (np.zeros((4, 3, 2, 2), np.uint8), "sides of 3 or more"),
    ],
)
def test_unusable_samples_are_refused_in_one_sentence(files, capsys, images, sentence):
    np.savez(files.samples, images=images)
    assert files.run() == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ") and sentence in error and str(files.samples) in error
    assert not files.out.exists()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"extractor": "vgg"}, "extractor"),
        ({"reference": "all"}, "reference"),
        ({"reference_images": 10**6}, "reference_images = 1000000"),
        ({"reference_images": 1}, "at least 2"),
        ({"batch_size": 0}, "batch_size"),
        ({"colour": 1}, "colour"),
    ],
)
def test_unusable_settings_are_refused_by_name(files, capsys, changes, sentence):
    assert files.run(**changes) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("content", [None, b"not an npz", b""])
def test_files_that_are_no_npz_are_refused_by_path(files, capsys, content):
    files.samples.unlink()
    if content is not None:
        files.samples.write_bytes(content)
    assert files.run() == 2
    assert f"{files.samples} is not an npz file with an array 'images'" in capsys.readouterr().err


def test_unknown_extractor_is_refused():
    with pytest.raises(InputError, match="'vgg'"):
        features.make_extractor("vgg", 0)


def test_inception_without_weights_says_where_they_come_from(files, capsys):
    assert files.run(**INCEPTION) == 2
    error = capsys.readouterr().err
    assert "--weights" in error and features.INCEPTION_URL in error


def test_other_inception_weights_are_refused_because_their_distance_is_not_fid(files, capsys):
    other = files.out.with_name("other.pth")
    torch.save({}, other)
    assert files.run("--weights", str(other), **INCEPTION) == 2
    assert features.INCEPTION_SHA256 in capsys.readouterr().err


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


def test_the_jackknife_error_is_the_spread_over_independent_samples(patches):
    target = quality.feature_statistics(
        quality.extract_features(torch.from_numpy(patches[1]), settings())
    )
    normal = np.random.default_rng(0).multivariate_normal
    sets = [
        torch.from_numpy(normal(target["mu"] * 1.01, target["sigma"], size=400)) for _ in range(40)
    ]
    distances = [quality.distance(quality.feature_statistics(part), target) for part in sets]
    estimates = [quality.jackknife_stderr(part, target, 10) for part in sets]
    assert 0.7 < np.mean(estimates) / np.std(distances, ddof=1) < 1.5
    assert quality.jackknife_stderr(sets[0], target, 0) is None
