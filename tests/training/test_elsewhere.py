"""A training that was begun on one kind of device, or in one precision, resumes there alone."""

import json

import pytest
from pretending import pretending
from test_distributed import FEW
from training_runs import arguments, run, run_settings, steps_saved, weights

from gud.cli import main
from gud.provenance import read_record


def run_on_gpu(files, folder, **changes) -> int:
    words = arguments(files, folder / "model.safetensors", run_settings(**changes))
    with pretending():
        return main([*words[:-1], "cuda"])


def test_a_run_does_not_go_on_on_another_device(files, tmp_path, capsys):
    assert run(files, tmp_path, **FEW | {"steps": 6}) == 0
    before = weights(tmp_path)
    assert run_on_gpu(files, tmp_path, **FEW) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert 'belongs to another run, with device = "cpu" (now "cuda"); resume with what' in error
    assert weights(tmp_path) == before and steps_saved(tmp_path)[-1] == 6


@pytest.mark.slow
def test_a_run_begun_on_a_gpu_goes_on_there_and_says_where(files, tmp_path, capsys):
    assert run_on_gpu(files, tmp_path / "whole", **FEW) == 0
    assert run_on_gpu(files, tmp_path / "parts", **FEW | {"steps": 6}) == 0
    assert run_on_gpu(files, tmp_path / "parts", **FEW) == 0
    assert weights(tmp_path / "parts") == weights(tmp_path / "whole")
    assert read_record(tmp_path / "parts/model.safetensors")["device"] == "pretended GPU"
    assert run(files, tmp_path / "parts", **FEW | {"steps": 20}) == 2
    assert 'device = "cuda" (now "cpu")' in capsys.readouterr().err


@pytest.mark.parametrize(("first", "second"), [("float32", "bfloat16"), ("bfloat16", "float32")])
def test_a_run_does_not_go_on_in_another_precision(files, tmp_path, capsys, first, second):
    few = FEW | {"steps": 2}
    assert run(files, tmp_path, **few | {"precision": first}) == 0
    assert run(files, tmp_path, **few | {"precision": second, "steps": 4}) == 2
    assert f"precision = {json.dumps(first)} (now {json.dumps(second)})" in capsys.readouterr().err


def test_a_precision_that_comes_to_the_same_is_the_same(files, tmp_path):
    assert run(files, tmp_path, **FEW | {"steps": 2, "precision": "tf32"}) == 0
    assert run(files, tmp_path, **FEW | {"steps": 4, "precision": "float32"}) == 0
