"""The batches that fit a GPU, against closed forms and the weights and activations of a network."""

import pytest
from commands import gud
from presets import ROOT, as_yaml, tiny_preset

from gud.config.preset import load_preset
from gud.networks.cost import Cost
from gud.planning.costs import network_cost
from gud.planning.memory import COPIES, GIGA, ROOM, advice, memory, micro_batch

# 1 GB of weights in training, and 1 GB an image.
COST = Cost(int(GIGA) // (4 * COPIES), 0, 0, 0, int(GIGA))
PAPER = ROOT / "config/paper.yaml"


@pytest.mark.parametrize(
    ("gigabytes", "share", "expected"),
    [(33 / ROOM, 32, 32), (32 / ROOM, 32, 16), (9 / ROOM, 24, 8), (1.9, 8, None), (20, 7, 7)],
)
def test_the_micro_batch_is_the_largest_divisor_that_fits(gigabytes, share, expected):
    assert micro_batch(COST, share, gigabytes + 1e-6) == expected


@pytest.fixture
def preset(tmp_path):
    def load(train_gpu=0, micro_batch=None):
        preset = tiny_preset()
        preset["compute"]["train_gpu"] = train_gpu
        preset["defaults"]["training"]["micro_batch"] = micro_batch
        path = tmp_path / "tiny.yaml"
        path.write_text(as_yaml(preset))
        return load_preset(path)

    return load


def first(preset, gigabytes, stage="training"):
    costs = dict.fromkeys(preset.experiments, COST)
    return next(note for note in advice(preset, costs, gigabytes) if f" {stage}: " in note)


def test_advice_names_the_key_and_its_value(preset):
    # Batches of 8.
    assert "8 images at once fit, 9 GB" in first(preset(), 9.1 / ROOM)
    assert "8 images at once need 9 GB: set training.micro_batch: 4, 5 GB" in first(preset(), 8.0)
    assert "4 images at once fit, 5 GB" in first(preset(train_gpu=2), 8.0)
    assert "2 images at once fit, 3 GB; up to training.micro_batch: 4 fits" in first(
        preset(micro_batch=2), 8.0
    )
    assert "not one image fits, 2 GB" in first(preset(), 2.0)
    # Likelihoods of 2 images; they keep one copy of the weights.
    likelihood = first(preset(), 1.3 / ROOM, "likelihood")
    assert "2 images at once need 2.2 GB" in likelihood and likelihood.endswith("at most 1")


@pytest.mark.slow
def test_the_large_network_of_the_paper_fits_40_gigabytes_and_its_batch_not_80():
    experiment = load_preset(PAPER).experiments["large"]
    cost = network_cost(experiment, 256)
    training = experiment.training
    assert memory(cost, training.batch_size, COPIES) > ROOM * 80 * GIGA
    assert micro_batch(cost, training.batch_size, 40.0) == training.micro_batch == 8
    assert micro_batch(cost, training.batch_size, 80.0) == 16


@pytest.mark.slow
def test_the_bill_says_which_batches_fit(tmp_path, capsys):
    path = tmp_path / "tiny.yaml"
    path.write_text(as_yaml(tiny_preset()))
    assert gud("bill", path, "--teraflops", "1", "--gpu-gb", "0.001") == 0
    said = capsys.readouterr().out
    assert "a GPU of 0.001 GB: up to 85% for weights and activations in float32" in said
    assert "a_scan_isotropic training: " in said
    assert gud("bill", path, "--teraflops", "1", "--gpu-gb", "0") == 2
    assert "--gpu-gb 0: expected a positive number" in capsys.readouterr().err
