"""The command that measures samples: what it writes, keeps and refuses."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from commands import status
from quality_images import INCEPTION, RANDOM, distance, noisy

from gud.config.sections.evaluation import Quality
from gud.config.sections.validation import validate
from gud.evaluate.quality import features, measure

pytestmark = pytest.mark.usefixtures("torch_fidelity_loaded")


@pytest.fixture
def files(tmp_path, patches):
    """Paths of a run of the command line; `run(**changes)` runs it and returns its status."""
    paths = SimpleNamespace(
        samples=tmp_path / "samples.npz", data=tmp_path / "data.npz", out=tmp_path / "out.json"
    )
    np.savez(paths.samples, images=noisy(patches[0][:300], 8))
    np.savez(paths.data, train=patches[1], test=patches[0][300:])

    def run_measure(changes, weights):
        settings = validate(Quality, RANDOM | changes, "quality")
        measure.measure_quality(settings, paths.samples, paths.data, paths.out, weights)

    def run(file: Path | None = None, **changes) -> int:
        return status(run_measure, changes, file)

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


def test_the_samplers_own_bias_stands_beside_the_distance(files, patches):
    bias = {"variance_bias": np.array([-0.25, -0.25]), "variance_rms": np.array([0.5, 0.5])}
    np.savez(files.samples, images=patches[0][:30], **bias)
    assert files.run() == 0
    found = json.loads(files.out.read_text())
    assert (found["sampler_variance_bias"], found["sampler_variance_rms"]) == (-0.25, 0.5)


def test_second_run_reads_the_kept_statistics_and_gives_the_same_distance(files):
    files.run()
    first = json.loads(files.out.read_text())["fid"]
    (kept,) = files.data.with_name("data.npz.statistics").glob("*.npz")
    stamp = kept.stat().st_mtime_ns
    files.run()
    assert json.loads(files.out.read_text())["fid"] == first
    assert kept.stat().st_mtime_ns == stamp
    with np.load(kept, allow_pickle=False) as arrays:
        shifted = dict(arrays) | {"mean": arrays["mean"] + 1}
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
    drawn = [measure.choose(50, 20, seed, "data").tolist() for seed in (0, 0, 1)]
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


def test_inception_without_weights_says_where_they_come_from(files, capsys):
    assert files.run(**INCEPTION) == 2
    error = capsys.readouterr().err
    assert "--weights" in error and features.INCEPTION_URL in error


def test_other_inception_weights_are_refused_because_their_distance_is_not_fid(files, capsys):
    other = files.out.with_name("other.pth")
    torch.save({}, other)
    assert files.run(other, **INCEPTION) == 2
    assert features.INCEPTION_SHA256 in capsys.readouterr().err


def test_a_region_of_the_reference_is_never_split_between_groups(files, patches):
    """Images that are repeated in their region tell no more than once."""
    train = patches[1][:200]
    errors = []
    for repeats in (1, 3):
        np.savez(
            files.data,
            train=train.repeat(repeats, 0),
            train_region=np.arange(200).repeat(repeats),
        )
        files.run(stderr_groups=10)
        errors.append(json.loads(files.out.read_text())["fid_stderr"])
    assert errors[1] == pytest.approx(errors[0], rel=0.05)
