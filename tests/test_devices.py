"""Where networks run and in which precision, as far as a machine without a GPU can tell."""

import numpy as np
import pytest
import torch
from columns import exact
from pretending import pretending
from training_runs import run_settings

from gud.config.jobs import TrainingJob
from gud.config.sections.evaluation import (
    Likelihood,
    ReconstructionSettings,
    Sampling,
    StripSettings,
)
from gud.config.sections.validation import validate
from gud.data import statistics
from gud.devices import float32_precision, resolve_device, resolve_precision
from gud.errors import InputError
from gud.evaluate.applications.extend import draw_strips, window_of
from gud.evaluate.applications.reconstruct import reconstruct
from gud.evaluate.likelihood import image_bits
from gud.evaluate.samples import draw_images
from gud.training.step import Training

SECTION = {"images": 2, "batch_size": 2}
TOLERANCES = {"rtol": 0.1, "atol": 0.1}
LIKELIHOOD = TOLERANCES | {
    "probes": 1,
    "method": "rk4",
    "steps": 1,
    "coordinates": "components",
    "start": "data",
}
SAMPLING = TOLERANCES | {"method": "ode", "grid": "uniform", "steps": 2}
SAMPLING |= {"noise_free_last_step": True, "denoise": False}
IMAGES = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)


def tf32() -> tuple[bool, bool]:
    """Whether a GPU's convolutions and its matrix products are of TF32; PyTorch: yes and no."""
    return torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32


class Watched(torch.nn.Module):
    """A network that notes how a GPU would multiply, in its forward and its backward pass."""

    def __init__(self, network):
        super().__init__()
        self.network, self.seen = network, set()

    def forward(self, images, gamma):
        def note(gradient):
            self.seen.add(tf32())
            return gradient

        note(None)
        out = self.network(images, gamma)
        if out.requires_grad:
            out.register_hook(note)
        return out


def likelihood(model, precision):
    image_bits(model, model.schedule(b=0.6), IMAGES, **LIKELIHOOD, precision=precision)


def samples(model, precision):
    for method in ("ode", "ancestral"):
        settings = SAMPLING | {"method": method, "precision": precision}
        draw_images(model, model.schedule(b=0.6), [0, 1], **settings)


def strips(model, _):
    values = {"strips": 1, "batch_size": 1, "windows": 2, "shift": 2, "time": None}
    strip = StripSettings(**values, residual=0.0, steps_per_unit=5.0)
    draw_strips(model, window_of(model, {"b": 0.6}, strip), [0], strip, 0)


def reconstructions(model, _):
    settings = ReconstructionSettings(images=2, batch_size=2, keys=1, time=0.5, steps=2)
    reconstruct(model, model.schedule(b=0.6), IMAGES, [0, 1], settings, 0)


@pytest.mark.parametrize(
    ("work", "precision", "expected"),
    [
        (likelihood, "float32", False),
        (likelihood, "tf32", True),
        (samples, "float32", False),
        (samples, "tf32", True),
        (strips, None, False),
        (reconstructions, None, False),
    ],
)
def test_networks_multiply_in_the_precision_asked_for(work, precision, expected):
    assert tf32() == (True, False)
    model = exact()
    model.network = Watched(model.network)
    work(model, precision)
    assert model.network.seen == {(expected, expected)}
    assert tf32() == (True, False)


def test_training_multiplies_in_tf32_only_if_asked(files):
    images = torch.from_numpy(np.load(files[0])["train"])
    for precision, allowed in (("float32", False), ("bfloat16", False), ("tf32", True)):
        settings = validate(TrainingJob, run_settings(precision=precision), "test")
        training = Training(settings, images, statistics.load(files[1]), torch.device("cpu"))
        training.precision = precision
        training.model.network = watched = Watched(training.model.network)
        training.update(0)
        assert watched.seen == {(allowed, allowed)}


def test_the_precision_is_put_back_after_an_error():
    with pytest.raises(KeyError), float32_precision("float32"):
        assert tf32() == (False, False)
        with float32_precision("tf32"):
            assert tf32() == (True, True)
        assert tf32() == (False, False)
        raise KeyError
    assert tf32() == (True, False)


@pytest.mark.parametrize("section", [Likelihood, Sampling])
def test_likelihood_and_samples_are_never_computed_in_less(section):
    values = SECTION | (LIKELIHOOD if section is Likelihood else SAMPLING)
    assert validate(section, values | {"precision": "float32"}, "test").precision == "float32"
    with pytest.raises(InputError, match='precision = "bfloat16" is not allowed'):
        validate(section, values | {"precision": "bfloat16"}, "test")


def test_a_cpu_has_no_tf32():
    assert resolve_precision("tf32", torch.device("cpu")) == "float32"
    assert resolve_precision("tf32", torch.device("cuda")) == "tf32"
    assert resolve_precision("float32", torch.device("cuda")) == "float32"


def test_each_process_of_a_machine_needs_a_gpu_of_its_own(monkeypatch):
    with pretending():
        # One that each process sees alone, as SLURM may show it, or the same: `join` finds out.
        assert resolve_device(None, 1) == torch.device("cuda", 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
        assert resolve_device("cuda", 1) == torch.device("cuda", 1)
        with pytest.raises(InputError, match="process 2 of this machine.* 2 GPUs"):
            resolve_device("cuda", 2)
        assert resolve_device("cpu", 2) == torch.device("cpu")
