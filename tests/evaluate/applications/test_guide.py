"""Samples of classes: of laws that are known, and as the command writes them."""

import numpy as np
import pytest
import torch
from columns import SIZE, VARIANCE, exact, untrained
from commands import status

from gud.classifier import StateClassifier
from gud.config.applications import GuidanceJob
from gud.config.sections.evaluation import Guidance
from gud.config.sections.validation import validate
from gud.evaluate.applications.guide import draw_classes, guide_images
from gud.provenance import read_record

SAMPLING = {
    "images": 5,
    "batch_size": 2,
    "method": "euler_maruyama",
    "grid": "uniform",
    "steps": 4,
    "rtol": 1e-3,
    "atol": 1e-3,
    "noise_free_last_step": True,
    "denoise": True,
    "precision": "float32",
}
POINT, CLASSES = {"b": 0.6}, ("dark", "light")
TOLD, ERROR = (-0.2, 0.3), 0.04
"""What is told of every pixel of a class, and the variance of its error."""


class Told(StateClassifier):
    """p(y | z(t)) of independent pixels of which y = chi + error is told: a Gaussian."""

    def __init__(self):
        model = untrained()
        super().__init__(model.settings, model.representation.statistics, CLASSES)

    def of_classes(self, wanted):
        y = torch.tensor(TOLD)[wanted][:, None, None, None]

        def log_likelihood(z, state):
            alpha, sigma = (x[:, None, None].to(z) for x in (state.alpha, state.sigma))
            total = alpha**2 * VARIANCE + sigma**2
            mean, variance = alpha * VARIANCE / total * z, VARIANCE * sigma**2 / total
            return -((y - mean) ** 2 / (2 * (variance + ERROR))).flatten(1).sum(1)

        return log_likelihood


def guidance(scale=1.0, **sampling):
    raw = {"scale": scale, "sampling": SAMPLING | sampling}
    return validate(Guidance, raw, "settings of a test")


@pytest.mark.slow
def test_samples_of_a_class_have_the_law_of_the_data_given_the_class():
    model, settings = exact(), guidance(steps=80, method="exponential_sde2")
    guided, unguided = draw_classes(model, Told(), POINT, range(40), settings, seed=0)
    mean = model.representation.statistics.mean
    gain = VARIANCE / (VARIANCE + ERROR)
    laws = [(gain * y, gain * ERROR) for y in TOLD]
    for images, (centre, variance) in zip(
        (*guided.unbind(1), unguided), (*laws, (0.0, VARIANCE)), strict=True
    ):
        deviation = (images.double() + 0.5) / 128 - 1 - mean
        error = (variance / deviation.numel()) ** 0.5
        assert float(deviation.mean()) == pytest.approx(centre, abs=4.5 * error + 0.004)
        assert float(deviation.var()) / variance == pytest.approx(1, abs=0.08)


def test_without_a_gradient_all_classes_are_drawn_as_the_unguided_images():
    model, settings = exact(), guidance(scale=1e-12)
    guided, unguided = draw_classes(model, Told(), POINT, range(3), settings, seed=0)
    assert all(torch.equal(images, unguided) for images in guided.unbind(1))


@pytest.fixture
def command(tmp_path):
    model = untrained()
    model.save(tmp_path / "model.safetensors")
    for seed, name in enumerate(("guide", "judge")):
        torch.manual_seed(seed)
        found = StateClassifier(model.settings, model.representation.statistics, CLASSES)
        found.save(tmp_path / f"{name}.safetensors")
    images = np.random.default_rng(0).integers(0, 256, (6, 3, SIZE, SIZE)).astype(np.uint8)
    labels = {"test_label": np.arange(6) % 2, "classes": np.array(CLASSES)}
    np.savez(tmp_path / "data.npz", train=images, test=images, **labels)

    def run(name="out.npz", **sampling):
        raw = {"scale": 1.0, "sampling": SAMPLING | sampling}
        made = {"experiment": "columns", "parameters": POINT, "seed": 0, "guidance": raw}
        file, guide, judge, data = (
            tmp_path / one
            for one in ("model.safetensors", "guide.safetensors", "judge.safetensors", "data.npz")
        )
        job = validate(GuidanceJob, made, "settings")
        guide_images(job, file, guide, judge, data, tmp_path / name, torch.device("cpu"))

    return lambda *name, **sampling: status(run, *name, **sampling)


def test_samples_do_not_depend_on_the_batch_size_and_every_one_is_judged(command, tmp_path):
    for batch in (1, 3):
        assert command(f"{batch}.npz", batch_size=batch) == 0
    one, three = (dict(np.load(tmp_path / f"{batch}.npz")) for batch in (1, 3))
    assert one["guided"].shape == (5, 2, 3, SIZE, SIZE) and one["assigned"].shape == (5, 2)
    for name in ("guided", "unguided"):
        assert abs(one[name].astype(int) - three[name]).max() <= 1
    assert set(one["assigned"].flat) | set(one["assigned_unguided"]) <= {0, 1}
    assert (float(one["accuracy"]) * 6) % 1 == 0 and int(one["tested"]) == 6
    assert read_record(tmp_path / "1.npz")["seed"] == 0


@pytest.mark.parametrize("what", ["prior", "classes"])
def test_a_classifier_of_other_states_or_classes_is_refused(command, tmp_path, capsys, what):
    model = untrained(**{"prior": "variance_matching"} if what == "prior" else {})
    classes = CLASSES if what == "prior" else ("dark", "bright")
    found = StateClassifier(model.settings, model.representation.statistics, classes)
    found.save(tmp_path / "judge.safetensors")
    assert command() == 2
    error = capsys.readouterr().err
    says = {"prior": "its prior differs", "classes": "knows the classes dark, bright"}
    assert says[what] in error and "judge.safetensors" in error and error.count("\n") == 1
