"""The course of a training: its table, and the event files that TensorBoard shows."""

import csv
import math
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from training_runs import arguments, forget, run, run_settings, weights

from gud.audit.root import artefacts
from gud.cli import main
from gud.training.checkpoint import Checkpoints, read_checkpoint
from gud.training.curve import COLUMNS

SHORT = {"log_every": 3, "checkpoint_every": 5}


def rows(folder: Path) -> list[dict[str, float]]:
    with open(folder / "training.csv") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def test_a_run_that_was_killed_logs_the_same_rates_and_norms(files, tmp_path):
    assert run(files, tmp_path, steps=10, **SHORT) == 0
    before = rows(tmp_path)
    forget(tmp_path, 5)
    assert run(files, tmp_path, steps=10, **SHORT) == 0
    timeless = [name for name in COLUMNS if name not in ("seconds", "images_per_second")]
    for one, other in zip(before, rows(tmp_path), strict=True):
        assert [one[name] for name in timeless] == [other[name] for name in timeless]


def test_a_checkpoint_that_knows_no_rates_and_norms_goes_on_to_the_same_weights(files, tmp_path):
    assert run(files, tmp_path, steps=10, **SHORT) == 0
    expected = weights(tmp_path)
    forget(tmp_path, 5)
    path = tmp_path / "checkpoints/step-00000005.safetensors"
    found = read_checkpoint(path)
    old = {
        name: x[:, :4] if name == "history/rows" else x
        for name, x in found.tensors.items()
        if name not in ("history/learning_rate", "history/gradient_norm")
    }
    Checkpoints(path.parent, found.identity).save(5, old)
    assert run(files, tmp_path, steps=10, **SHORT) == 0
    assert weights(tmp_path) == expected
    norms = [row["gradient_norm"] for row in rows(tmp_path)]
    assert math.isnan(norms[0]) and all(norm > 0 for norm in norms[1:])


@pytest.fixture
def followed(files, tmp_path):
    """Run a short training with event files."""

    def followed():
        out = tmp_path / "run/model.safetensors"
        words = arguments(files, out, run_settings(steps=10, **SHORT))
        preset = Path(words[words.index("--preset") + 1])
        text = preset.read_text()
        assert "tensorboard: false" in text
        preset.write_text(text.replace("tensorboard: false", "tensorboard: true"))
        status = main(words)
        return status, out.parent

    return followed


def test_event_files_hold_each_row_of_the_table_once_after_a_killed_run_too(followed):
    status, folder = followed()
    forget(folder, 5)
    assert status == followed()[0] == 0
    assert len(list((folder / "tensorboard").iterdir())) == 2
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    table = [row for row in rows(folder) if row["step"] % SHORT["log_every"] == 0]
    for name in COLUMNS[1:]:
        scalars = events.Scalars(f"training/{name}")
        assert [scalar.step for scalar in scalars] == [row["step"] for row in table] == [3, 6, 9]
        values = [row[name] for row in table]
        assert [scalar.value for scalar in scalars] == pytest.approx(values, rel=1e-2)
    assert not [path for path in artefacts(folder.parent) if "tensorboard" in str(path)]


def test_without_tensorboard_the_key_is_refused_in_one_sentence(followed, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert followed()[0] == 2
    error = capsys.readouterr().err
    assert "compute.tensorboard = true needs the package tensorboard" in error
    assert error.count("\n") == 1
