import json

import numpy as np
import pytest
from commands import gud, status
from damages import DAMAGES
from hypothesis import given
from hypothesis import strategies as st
from presets import made_by

from gud.config.jobs import Evaluation, evaluations_of
from gud.config.preset import load_preset
from gud.config.sections.evaluation import Sampling
from gud.config.sections.points import parameters_of_point
from gud.errors import InputError
from gud.evaluate.join import join
from gud.evaluate.run import run_job
from gud.evaluate.shards import Shards, compute_shards
from gud.provenance import read_record, write_record

SAMPLING = {
    "images": 10,
    "batch_size": 4,
    "method": "ancestral",
    "grid": "uniform",
    "steps": 2,
    "rtol": 0.1,
    "atol": 0.1,
    "noise_free_last_step": True,
    "denoise": False,
    "precision": "float32",
}


def evaluation(points=("a=0.5_r=0", "a=1_r=0"), batches=2, **sampling):
    names = {name: parameters_of_point(name) for name in points}
    settings = Sampling(**SAMPLING | sampling)
    return Evaluation("scan", "scan", made_by(group="scan"), 3, "samples", names, settings, batches)


def evaluate(parameters, numbers):
    """Values that depend on the point and the image alone."""
    values = 100 * parameters["a"] + numbers
    return {"images": values, "evaluations": np.array([len(numbers)])}


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"weights")
    return path


def job(tmp_path, model, name, points, evaluate=evaluate):
    out = tmp_path / f"samples/jobs/{name}.json"
    run_job(evaluation(), points, evaluate, inputs=[model], out=out, device="cpu")
    return out


def merged(tmp_path, model, point="a=1_r=0"):
    out = tmp_path / f"samples/{point}.npz"
    return status(lambda: join(Shards.of(evaluation(), point, out, [model]))), out


@given(points=st.integers(1, 5), images=st.integers(1, 30), size=st.integers(1, 9), n=st.data())
def test_jobs_cover_every_image_of_every_point_once_in_whole_batches(points, images, size, n):
    batches = n.draw(st.integers(1, 12))
    names = [f"a={a}_r=0" for a in range(points)]
    asked = evaluation(names, batches, images=images, batch_size=size)
    jobs = list(asked.jobs().values())
    found = {name: [] for name in names}
    for one in jobs:
        assert 1 <= sum(-(-(last - first) // size) for first, last in one.values()) <= batches
        for name, (first, last) in one.items():
            assert first % size == 0
            found[name] += range(first, last)
    assert all(numbers == list(range(images)) for numbers in found.values())
    assert all(
        sum(-(-(last - first) // size) for first, last in one.values()) == batches
        for one in jobs[:-1]
    )


def test_shards_of_several_jobs_merge_to_what_one_job_gives(tmp_path, model):
    one, several = tmp_path / "one", tmp_path / "several"
    job(one, model, 0, {"a=1_r=0": (0, 10)})
    job(several, model, 0, {"a=0.5_r=0": (0, 10), "a=1_r=0": (0, 4)})
    job(several, model, 1, {"a=1_r=0": (4, 10)})
    for folder in (one, several):
        code, out = merged(folder, model)
        assert code == 0
        with np.load(out) as arrays:
            assert arrays["images"].tolist() == list(range(100, 110))
            assert arrays["evaluations"].tolist() == [4, 4, 2]
    assert (one / "samples/a=1_r=0.npz").read_bytes() == (
        several / "samples/a=1_r=0.npz"
    ).read_bytes()


def test_the_record_of_a_point_tells_the_time_and_the_makers_of_its_shards(tmp_path, model):
    job(tmp_path, model, 0, {"a=1_r=0": (0, 10)})
    record = read_record(merged(tmp_path, model)[1])
    assert record["seed"] == 3
    assert record["seconds"] >= 0
    assert record["device"] == "cpu"
    assert [maker["shards"] for maker in record["made_by"]] == [3]
    assert record["made_by"][0]["code"] == record["code"]


def test_the_audit_of_a_point_tells_of_shards_that_other_code_made(tmp_path, model, capsys):
    job(tmp_path, model, 0, {"a=1_r=0": (0, 10)})
    path = tmp_path / "samples/shards/a=1_r=0/000004.npz"
    with np.load(path) as file:
        arrays = dict(file)
    made = json.loads(str(arrays["made"]))
    made["code"]["gud_sha256"] = "0" * 64
    np.savez(path, **arrays | {"made": np.array(json.dumps(made))})
    code, out = merged(tmp_path, model)
    write_record(model)
    assert gud("audit", out) == 0
    assert "made by code 00000000" in capsys.readouterr().out


def test_a_finished_shard_is_never_computed_again(tmp_path, model):
    job(tmp_path, model, 0, {"a=1_r=0": (0, 8)})
    asked = []

    def noting(parameters, numbers):
        asked.append(int(numbers[0]))
        return evaluate(parameters, numbers)

    job(tmp_path, model, 1, {"a=1_r=0": (0, 10)}, noting)
    assert asked == [8]


def test_another_model_or_setting_computes_its_shards_anew(tmp_path, model):
    job(tmp_path, model, 0, {"a=1_r=0": (0, 10)})
    model.write_bytes(b"other weights")
    code, out = merged(tmp_path, model)
    assert code == 2
    assert not out.exists()
    asked = []
    job(tmp_path, model, 0, {"a=1_r=0": (0, 10)}, lambda p, n: asked.append(n) or evaluate(p, n))
    assert len(asked) == 3


def test_a_failed_shard_fails_alone_and_the_next_attempt_computes_it_alone(tmp_path, model):
    def failing(parameters, numbers):
        if parameters["a"] == 0.5 and numbers[0] == 4:
            raise InputError("the sampler gave values that are not finite")
        return evaluate(parameters, numbers)

    points = {"a=0.5_r=0": (0, 10), "a=1_r=0": (0, 10)}
    with pytest.raises(InputError, match=r"1 of 6 shards failed.*gave values that are not finite"):
        job(tmp_path, model, 0, points, failing)
    assert not (tmp_path / "samples/jobs/0.json").exists()
    assert merged(tmp_path, model)[0] == 0
    asked = []
    job(tmp_path, model, 0, points, lambda s, n: asked.append(n.tolist()) or evaluate(s, n))
    assert asked == [[4, 5, 6, 7]]


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_shard_is_computed_again(tmp_path, model, caplog, damage):
    job(tmp_path, model, 0, {"a=1_r=0": (0, 10)})
    shard = tmp_path / "samples/shards/a=1_r=0/000004.npz"
    shard.write_bytes(damage(shard.read_bytes()))
    job(tmp_path, model, 0, {"a=1_r=0": (0, 10)})
    assert "000004.npz cannot be read" in caplog.text
    assert merged(tmp_path, model)[0] == 0


def test_merging_without_a_shard_says_which_and_what_to_do(tmp_path, model, capsys):
    job(tmp_path, model, 0, {"a=1_r=0": (0, 8)})
    code, out = merged(tmp_path, model)
    assert code == 2
    assert not out.exists()
    error = capsys.readouterr().err
    assert "shards/a=1_r=0/000008.npz" in error
    assert "delete the job" in error


def test_images_that_no_batch_starts_with_are_refused(tmp_path):
    shards = Shards(tmp_path / "a=1_r=0.npz", {}, (), 10, 4)
    with pytest.raises(InputError, match="images 2 to 10 of a=1_r=0 must start at a multiple"):
        shards.starts(2, 10)


def test_work_of_no_shards_computes_nothing():
    assert compute_shards([], evaluate, label="none", device="cpu") == 0


def test_a_job_is_named_by_what_it_computes():
    four, five = evaluation(images=8), evaluation([*evaluation().points, "a=1.5_r=0"], images=8)
    assert list(four.jobs()) == list(five.jobs())[:2]
    assert not set(four.jobs()) & set(evaluation(images=8, steps=3).jobs())


@pytest.mark.parametrize("preset", ["demo", "paper"])
def test_every_evaluation_of_a_preset_has_jobs(preset):
    preset = load_preset(f"config/{preset}.yaml")
    found = [one for name in preset.experiments for one in evaluations_of(preset, name)]
    assert {one.name for one in found} >= {"nll", "samples", "gallery-ode"}
    assert all(bool(one.jobs()) == bool(one.points) for one in found)


def alter(path, **changes):
    """Other arrays in a shard, or none of a name, beside what is said of how it was made."""
    with np.load(path) as file:
        arrays = dict(file) | changes
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})


ALTERED = {
    "a value": {"images": np.array([104.0, 105.0, 106.0, 7.0])},
    "NaN": {"images": np.array([104.0, np.nan, 106.0, 107.0])},
    "fewer images": {"images": np.array([104.0, 105.0, 106.0])},
    "another type": {"images": np.array([104, 105, 106, 107])},
    "another shape": {"images": np.array([[104.0], [105.0], [106.0], [107.0]])},
    "no images": {"images": None},
    "one array more": {"more": np.zeros(4)},
    "other evaluations": {"evaluations": np.array([2])},
    "no word of how it was made": {"made": np.array("{}")},
    "no JSON": {"made": np.array("{")},
    "no text": {"made": np.array(1.0)},
}


@pytest.mark.parametrize("how", ALTERED)
def test_an_altered_shard_is_not_joined_but_computed_again(tmp_path, model, capsys, how):
    job(tmp_path, model, 0, {"a=1_r=0": (0, 10)})
    path = tmp_path / "samples/shards/a=1_r=0/000004.npz"
    alter(path, **ALTERED[how])
    code, out = merged(tmp_path, model)
    assert code == 2 and not out.exists()
    assert str(path) in capsys.readouterr().err
    asked = []
    job(tmp_path, model, 0, {"a=1_r=0": (0, 10)}, lambda p, n: asked.append(n) or evaluate(p, n))
    assert [numbers.tolist() for numbers in asked] == [[4, 5, 6, 7]]
    assert merged(tmp_path, model)[0] == 0


def test_a_shard_in_the_place_of_another_is_not_joined(tmp_path, model):
    job(tmp_path, model, 0, {"a=1_r=0": (0, 10)})
    folder = tmp_path / "samples/shards/a=1_r=0"
    (folder / "000004.npz").write_bytes((folder / "000000.npz").read_bytes())
    assert merged(tmp_path, model)[0] == 2


@pytest.mark.parametrize(
    "arrays",
    [
        {"images": np.zeros(3)},
        {"images": np.full(4, np.nan)},
        {"images": np.full(4, "four")},
        {"images": np.array(4.0)},
        {"evaluations": np.array([1, 2])},
    ],
)
def test_a_shard_without_a_finite_row_for_each_image_fails(tmp_path, model, arrays):
    with pytest.raises(InputError, match=r"1 of 1 shards failed"):
        job(tmp_path, model, 0, {"a=1_r=0": (0, 4)}, lambda p, n: evaluate(p, n) | arrays)
    assert not (tmp_path / "samples/shards/a=1_r=0/000000.npz").exists()


def test_shards_that_disagree_on_types_are_not_joined(tmp_path, model, capsys):
    def mixed(parameters, numbers):
        arrays = evaluate(parameters, numbers)
        return arrays if numbers[0] else arrays | {"images": arrays["images"].astype(np.float32)}

    job(tmp_path, model, 0, {"a=1_r=0": (0, 10)}, mixed)
    assert merged(tmp_path, model)[0] == 2
    assert "000004.npz holds {'evaluations': 'int64 ()'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "points", [{"a=1_r=0": (4, 4)}, {"a=1_r=0": (8, 4)}, {"a=1.0_r=0": (0, 4)}]
)
def test_ranges_without_images_and_points_of_another_spelling_are_refused(tmp_path, model, points):
    with pytest.raises(InputError, match="a=1"):
        job(tmp_path, model, 0, points)
    assert not (tmp_path / "samples").exists()


def test_an_artefact_is_called_as_its_point(tmp_path, model):
    job(tmp_path, model, 0, {"a=1_r=0": (0, 10)})
    with pytest.raises(InputError, match="must be called a=1_r=0.npz"):
        Shards.of(evaluation(), "a=1_r=0", tmp_path / "samples/other.npz", [model])
