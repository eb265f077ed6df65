import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gud import audit, merge
from gud.errors import InputError
from gud.plan import Evaluation
from gud.preset import load_preset
from gud.provenance import read_record, write_record
from gud.shards import Shards, compute_shards, run_job
from gud.tasks import Sampling

SAMPLING = {
    "images": 10,
    "batch_size": 4,
    "method": "ancestral",
    "steps": 2,
    "rtol": 0.1,
    "atol": 0.1,
    "noise_free_last_step": True,
}
SETTINGS = {"experiment": "scan", "prior": "isotropic", "seed": 3, "sampling": SAMPLING}


def evaluate(shards, numbers):
    """Values that depend on the point and the image alone."""
    values = 100 * shards.settings["parameters"]["a"] + numbers
    return {"images": values, "evaluations": np.array([len(numbers)])}


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"weights")
    return path


def job(tmp_path, model, name, points, evaluate=evaluate):
    out = tmp_path / f"samples/jobs/{name}.json"
    run_job(SETTINGS | {"points": points}, "sampling", [model], evaluate, out=out, device="cpu")
    return out


def merged(tmp_path, model, point="a=1_r=0", parameters=None):
    settings = SETTINGS | {"parameters": parameters or {"a": 1.0, "r": 0.0}}
    out = tmp_path / f"samples/{point}.npz"
    status = merge.main(
        ["--settings", json.dumps(settings), "--inputs", str(model), "--out", str(out)]
    )
    return status, out


@given(points=st.integers(1, 5), images=st.integers(1, 30), size=st.integers(1, 9), n=st.data())
def test_jobs_cover_every_image_of_every_point_once_in_whole_batches(points, images, size, n):
    batches = n.draw(st.integers(1, 12))
    names = {f"a={a}_r=0": {"a": float(a), "r": 0.0} for a in range(points)}
    settings = Sampling(**SAMPLING | {"images": images, "batch_size": size})
    jobs = Evaluation("scan", "samples", names, settings, {}).jobs(batches)
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
    job(one, model, 0, {"a=1_r=0": [0, 10]})
    job(several, model, 0, {"a=0.5_r=0": [0, 10], "a=1_r=0": [0, 4]})
    job(several, model, 1, {"a=1_r=0": [4, 10]})
    for folder in (one, several):
        status, out = merged(folder, model)
        assert status == 0
        with np.load(out) as arrays:
            assert arrays["images"].tolist() == list(range(100, 110))
            assert arrays["evaluations"].tolist() == [4, 4, 2]
    assert (one / "samples/a=1_r=0.npz").read_bytes() == (
        several / "samples/a=1_r=0.npz"
    ).read_bytes()


def test_the_record_of_a_point_tells_the_time_and_the_makers_of_its_shards(tmp_path, model):
    job(tmp_path, model, 0, {"a=1_r=0": [0, 10]})
    record = read_record(merged(tmp_path, model)[1])
    assert record["seed"] == 3
    assert record["seconds"] >= 0
    assert record["device"] == "cpu"
    assert [maker["shards"] for maker in record["made_by"]] == [3]
    assert record["made_by"][0]["code"] == record["code"]


def test_the_audit_of_a_point_tells_of_shards_that_other_code_made(tmp_path, model, capsys):
    job(tmp_path, model, 0, {"a=1_r=0": [0, 10]})
    path = tmp_path / "samples/shards/a=1_r=0/000004.npz"
    with np.load(path) as file:
        arrays = dict(file)
    made = json.loads(str(arrays["made"]))
    made["code"]["gud_sha256"] = "0" * 64
    np.savez(path, **arrays | {"made": np.array(json.dumps(made))})
    status, out = merged(tmp_path, model)
    write_record(model)
    assert audit.main([str(out)]) == 0
    assert "made by code 00000000" in capsys.readouterr().out


def test_a_finished_shard_is_never_computed_again(tmp_path, model):
    job(tmp_path, model, 0, {"a=1_r=0": [0, 8]})
    asked = []

    def noting(shards, numbers):
        asked.append(int(numbers[0]))
        return evaluate(shards, numbers)

    job(tmp_path, model, 1, {"a=1_r=0": [0, 10]}, noting)
    assert asked == [8]


def test_another_model_or_setting_computes_its_shards_anew(tmp_path, model):
    job(tmp_path, model, 0, {"a=1_r=0": [0, 10]})
    model.write_bytes(b"other weights")
    status, out = merged(tmp_path, model)
    assert status == 2
    assert not out.exists()
    asked = []
    job(tmp_path, model, 0, {"a=1_r=0": [0, 10]}, lambda s, n: asked.append(n) or evaluate(s, n))
    assert len(asked) == 3


def test_a_failed_shard_fails_alone_and_the_next_attempt_computes_it_alone(tmp_path, model):
    def failing(shards, numbers):
        if shards.settings["parameters"]["a"] == 0.5 and numbers[0] == 4:
            raise InputError("the sampler left the finite numbers")
        return evaluate(shards, numbers)

    points = {"a=0.5_r=0": [0, 10], "a=1_r=0": [0, 10]}
    with pytest.raises(InputError, match=r"1 of 6 shards failed.*left the finite numbers"):
        job(tmp_path, model, 0, points, failing)
    assert not (tmp_path / "samples/jobs/0.json").exists()
    assert merged(tmp_path, model)[0] == 0
    asked = []
    job(tmp_path, model, 0, points, lambda s, n: asked.append(n.tolist()) or evaluate(s, n))
    assert asked == [[4, 5, 6, 7]]


def test_a_damaged_shard_is_computed_again(tmp_path, model, caplog):
    job(tmp_path, model, 0, {"a=1_r=0": [0, 10]})
    shard = tmp_path / "samples/shards/a=1_r=0/000004.npz"
    whole = shard.read_bytes()
    shard.write_bytes(whole[: len(whole) // 2])
    job(tmp_path, model, 0, {"a=1_r=0": [0, 10]})
    assert "000004.npz cannot be read" in caplog.text
    assert merged(tmp_path, model)[0] == 0


def test_merging_without_a_shard_says_which_and_what_to_do(tmp_path, model, capsys):
    job(tmp_path, model, 0, {"a=1_r=0": [0, 8]})
    status, out = merged(tmp_path, model)
    assert status == 2
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


@pytest.mark.parametrize("preset", ["demo", "paper"])
def test_every_evaluation_of_a_preset_has_jobs(preset):
    from gud.plan import evaluations

    found = list(evaluations(load_preset(f"config/{preset}.yaml")))
    assert {one.name for one in found} >= {"nll", "samples", "gallery-ode"}
    assert all(bool(one.jobs(3)) == bool(one.points) for one in found)
