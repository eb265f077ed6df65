"""Distances of images: closed forms, sensitivity, errors."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from quality_images import blurred, distance, noisy, settings
from scipy.linalg import sqrtm
from torch.utils.data import Subset

from gud.evaluate.quality import features, measure
from gud.evaluate.quality.frechet import Moments, jackknife_replicates, jackknife_stderr
from gud.evaluate.quality.frechet import distance as distance_of
from gud.evaluate.quality.neighbours import kernel_distance, precision_and_recall

pytestmark = pytest.mark.usefixtures("torch_fidelity_loaded")


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

    one, two = (Subset(torch.from_numpy(part), range(len(part))) for part in patches)
    found = torch_fidelity.calculate_metrics(
        input1=one,
        input2=two,
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


@pytest.mark.parametrize("groups", [1, 7])
def test_moments_of_groups_give_those_of_their_union(groups):
    random = np.random.default_rng(0)
    found = torch.from_numpy(random.standard_normal((60, 5)) + random.standard_normal(5))
    group = random.integers(0, groups, 60)
    moments = Moments.of(found, group)
    for without in (None, *range(groups if groups > 1 else 0)):
        kept = found.numpy()[group != (-1 if without is None else without)]
        statistics = moments.statistics(without)
        np.testing.assert_allclose(statistics["mu"], kept.mean(0))
        np.testing.assert_allclose(statistics["sigma"], np.cov(kept, rowvar=False))


def test_the_jackknife_error_is_the_spread_over_independent_samples_and_references(
    patches, record_property
):
    """Few references, so that an error over the samples alone would be far too small."""
    found = features.extract_features(torch.from_numpy(patches[1]), settings())
    truth = Moments.of(found).statistics()
    normal = np.random.default_rng(0).multivariate_normal

    def draw(shift, size):
        features = torch.from_numpy(normal(truth["mu"] * shift, truth["sigma"], size=size))
        return Moments.of(features, np.arange(size) % 10)

    pairs = [(draw(1.05, 1200), draw(1.0, 400)) for _ in range(40)]
    distances = [distance_of(*(part.statistics() for part in pair)) for pair in pairs]
    estimates = [jackknife_stderr(jackknife_replicates(*pair)) for pair in pairs]
    ratio = np.mean(estimates) / np.std(distances, ddof=1)
    record_property("estimate / spread", float(ratio))
    assert 0.8 < ratio < 1.35
    target = Moments.of(found)
    assert jackknife_replicates(pairs[0][0], target) is None


@pytest.mark.slow
def test_the_distance_needs_no_other_call_before_it():
    """torch-fidelity cannot be imported as it is beside a torchvision built for another torch."""
    program = (
        "import numpy as np; from gud.evaluate.quality.frechet import distance;"
        "one = {'mu': np.zeros(2), 'sigma': np.eye(2)};"
        "assert abs(distance(one, one | {'mu': np.ones(2)}) - 2) < 1e-6"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_kernel_distance_is_that_of_torch_fidelity_on_equally_many_images(patches):
    from torch_fidelity.metric_kid import kid_features_to_metric

    found = [features.extract_features(torch.from_numpy(part[:60]), settings()) for part in patches]
    groups = np.arange(60) % 6, np.arange(60) % 5
    kid, replicates = kernel_distance(*found, groups)
    whole = kid_features_to_metric(*found, kid_subsets=1, kid_subset_size=60, verbose=False)
    assert kid == pytest.approx(whole["kernel_inception_distance_mean"], rel=1e-6)
    assert [len(part) for part in replicates.values()] == [6, 5]
    fewer = [part[group != 2] for part, group in zip(found, groups, strict=True)]
    single = np.zeros(50, dtype=np.int64), np.zeros(60, dtype=np.int64)
    assert kernel_distance(fewer[0], found[1], single) == (
        pytest.approx(replicates["samples"][2]),
        None,
    )


def test_the_kernel_distance_does_not_depend_on_the_number_of_images_as_the_frechet_one_does(
    patches,
):
    real, like = (features.extract_features(torch.from_numpy(p), settings()) for p in patches)
    darker = features.extract_features(torch.from_numpy(patches[1] // 2), settings())
    groups = {count: (np.arange(count) % 10,) * 2 for count in (100, 400)}
    few, many = (kernel_distance(darker[:n], real[:n], groups[n]) for n in groups)
    assert abs(few[0] - many[0]) < 3 * jackknife_stderr(few[1])
    assert jackknife_stderr(many[1]) < jackknife_stderr(few[1])
    moments = {n: [Moments.of(part[:n]).statistics() for part in (like, real)] for n in groups}
    assert distance_of(*moments[100]) > 2 * distance_of(*moments[400])


def test_precision_falls_for_noise_and_recall_for_few_kinds_of_images(patches):
    real = features.extract_features(torch.from_numpy(patches[0][:200]), settings())
    same = features.extract_features(torch.from_numpy(patches[1][:200]), settings())
    noise = torch.randint(0, 255, (200, 3, 16, 16), dtype=torch.uint8)
    wrong = features.extract_features(noise, settings())
    one = same[:1] + 1e-3 * torch.randn(200, same.shape[1], dtype=same.dtype)
    precision, recall = precision_and_recall(same, real)
    assert precision > 0.5 and recall > 0.5
    assert precision_and_recall(wrong, real)[0] < 0.1
    assert precision_and_recall(one, real)[1] < recall / 2
    assert precision_and_recall(real[:4], same) is None


def test_every_quality_has_all_measures_on_equally_many_images(tmp_path, patches):
    samples, reference, out = (tmp_path / name for name in ("s.npz", "r.npz", "q.json"))
    np.savez(samples, images=patches[0][:40])
    np.savez(reference, train=patches[1][:100], test=patches[1][:2])
    measure.measure_quality(settings(stderr_groups=4), samples, reference, out)
    found = json.loads(out.read_text())
    assert found["kid_images"] == 40 and (found["images"], found["reference_images"]) == (40, 100)
    assert found["kid_stderr"] == jackknife_stderr(found["kid_replicates"])
    assert found["fid_stderr"] == jackknife_stderr(found["fid_replicates"])
    assert 0 <= found["precision"] <= 1 and 0 <= found["recall"] <= 1
