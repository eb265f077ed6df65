"""Everything that a GPU does, on a device that pretends to be one: nothing misplaced, no copies."""

import pytest
import torch
from columns import SIZE, exact
from pretending import GPU, pretending
from training_runs import RUN, run_settings

from gud.config.jobs import TrainingJob
from gud.config.sections.evaluation import ReconstructionSettings, StripSettings
from gud.config.sections.validation import validate
from gud.data.statistics import fit
from gud.devices import send
from gud.diffusion.representation import Representation
from gud.evaluate.applications.extend import draw_strips, window_of
from gud.evaluate.applications.reconstruct import reconstruct
from gud.evaluate.likelihood import image_bits
from gud.evaluate.samples import draw_images
from gud.model import Model
from gud.randomness import Stream
from gud.training import step
from gud.training.step import Training

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
CPU = torch.device("cpu")
CASES = {
    "pca": ({"name": "pca"}, "soft_conditioning", "variance_matching", "none"),
    "fourier": ({"name": "fourier"}, "soft_conditioning", "isotropic", "gaussian"),
    "columns": ({"name": "pixel"}, "columns", "isotropic", "none"),
    "wavelets": ({"name": "haar", "levels": 2}, "wavelet_columns", "isotropic", "gaussian"),
}
RANGES = {
    "soft_conditioning": {"a": [0.5, 1.5], "r": [0.0, 0.0]},
    "columns": {"b": [0.3, 0.5]},
    "wavelet_columns": {"a": [0.3, 0.5], "b": [0.3, 0.5]},
}
ADAPTIVE = {"rtol": 0.1, "atol": 0.1, "precision": "float32"}
LIKELIHOOD = ADAPTIVE | {
    "probes": 2,
    "method": "rk4",
    "steps": 2,
    "coordinates": "standardised",
    "start": "noised",
}
SAMPLING = ADAPTIVE | {"method": "euler_maruyama", "steps": 3, "noise_free_last_step": True}


@pytest.fixture(scope="module")
def images():
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (64, 3, 4, 4), generator=generator, dtype=torch.uint8)


def settings_of(case: str, **training) -> TrainingJob:
    basis, schedule, prior, preconditioning = CASES[case]
    model = RUN["model"] | {"basis": basis, "prior": prior, "preconditioning": preconditioning}
    ranges = RANGES[schedule] | ({"r": [0.0, 1.0]} if case == "fourier" else {})
    model["schedule"] = model["schedule"] | {"name": schedule, "ranges": ranges}
    training = {"precision": "float32", "batch_size": 4} | training
    return validate(TrainingJob, run_settings(model=model, **training), "test")


def training_of(case: str, images, device, **changes) -> Training:
    run = settings_of(case, **changes)
    return Training(run, images, fit(images, run.model.basis), device)


def model_of(case: str, images, device) -> Model:
    return training_of(case, images, CPU).averaged_model().eval().requires_grad_(False).to(device)


def middle(model: Model):
    ranges = model.settings.schedule.ranges.items()
    return model.schedule(**{key: (low + high) / 2 for key, (low, high) in ranges})


@pytest.fixture(params=CASES)
def case(request):
    return request.param


@pytest.mark.slow
def test_a_training_step_waits_for_no_copy_and_gives_what_the_cpu_gives(case, images):
    plain = training_of(case, images, CPU)
    with pretending() as gpu:
        training = training_of(case, images, GPU)
        for n in range(3):
            plain.update(n)
            gpu.copies.clear()
            training.update(n)
            # The images; whether they are flipped, their grey levels' fractions, times and noise.
            assert gpu.copies == {"to device, no waiting": 5}
        training.check_losses(3)
        training.check_state(3)
        left, right = plain.tensors(), training.tensors()
        assert left.keys() == right.keys()
        assert all(torch.equal(left[name], right[name].cpu()) for name in left)


def test_a_sampler_step_waits_for_no_copy_and_gives_what_the_cpu_gives(case, images):
    def draw(model, steps):
        return draw_images(model, middle(model), [0, 5], **SAMPLING | {"steps": steps})[0]

    expected = draw(model_of(case, images, CPU), 3)
    with pretending() as gpu:
        model = model_of(case, images, GPU)
        draw(model, 3)
        gpu.copies.clear()
        assert torch.equal(draw(model, 3), expected)
        # The prior's noise and that of all steps but the last. Whether the images are finite, and
        # the images.
        assert gpu.copies == {"to device, no waiting": 3, "to host": 2}
        draw(model, 6)
        assert gpu.copies == {"to device, no waiting": 9, "to host": 4}


@pytest.mark.slow
@pytest.mark.parametrize("case", ["pca", "fourier", "columns"])
def test_an_evaluation_of_the_likelihood_asks_only_whether_it_is_finite(case, images):
    def bits(model, steps):
        return image_bits(model, middle(model), images[:2], **LIKELIHOOD | {"steps": steps})

    expected, evaluations = bits(model_of(case, images, CPU), 1)
    with pretending() as gpu:
        model, copies = model_of(case, images, GPU), []
        for steps in (1, 2):
            gpu.copies.clear()
            found, _ = bits(model, steps)
            copies.append(dict(gpu.copies))
            if steps == 1:
                assert torch.equal(found, expected)
    for way in ("to device", "to device, no waiting"):
        assert copies[1][way] == copies[0][way]
    # A step more in every interval is four evaluations.
    assert copies[1]["to host"] - copies[0]["to host"] == evaluations // 4 * 4


@pytest.mark.slow
@pytest.mark.parametrize("case", ["pca", "columns"])
def test_adaptive_solvers_give_what_the_cpu_gives(case, images):
    def run(model):
        settings = LIKELIHOOD | {"method": "tsit5", "steps": None}
        bits, _ = image_bits(model, middle(model), images[:2], **settings)
        sampling = SAMPLING | {"method": "ode"}
        return bits, draw_images(model, middle(model), [0, 5], **sampling)[0]

    expected = run(model_of(case, images, CPU))
    with pretending():
        found = run(model_of(case, images, GPU))
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_strips_and_reconstructions_are_those_of_the_cpu():
    values = {"strips": 2, "batch_size": 2, "windows": 3, "shift": 2, "time": None}
    strip = StripSettings(**values, residual=0.0, steps_per_unit=20.0)
    images = torch.zeros(2, 3, SIZE, SIZE, dtype=torch.uint8)
    again = ReconstructionSettings(images=2, batch_size=2, keys=2, time=0.5, steps=4)

    def run(model):
        strips = draw_strips(model, window_of(model, {"b": 0.6}, strip), [0, 1], strip, 0)
        noised, decoded = reconstruct(model, middle(model), images, [0, 1], again, 0)
        return strips.images, strips.snapshot, noised, decoded

    expected = run(exact())
    with pretending():
        found = [tensor.cpu() for tensor in run(exact().to(GPU))]
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_operands_on_two_devices_are_caught(images, monkeypatch):
    def encode(self, phi):
        return self.basis.forward(phi - self.statistics.mean.float())

    monkeypatch.setattr(Representation, "encode", encode)
    training_of("fourier", images, CPU).update(0)
    with pretending(), pytest.raises(RuntimeError, match="same device"):
        training_of("fourier", images, GPU).update(0)


def test_draws_of_another_device_are_caught(images, monkeypatch):
    monkeypatch.setattr(step, "Stream", lambda _, *labels: Stream("cpu", *labels))
    training_of("fourier", images, CPU).update(0)
    with pretending(), pytest.raises(RuntimeError, match="same device"):
        training_of("fourier", images, GPU).update(0)


@pytest.mark.parametrize(("stream", "work"), [("cpu", "cuda"), ("cuda", "cpu")])
def test_a_generator_of_another_device_is_caught(stream, work):
    with pretending(), pytest.raises(RuntimeError, match=f"generator .* not one of {work}"):
        torch.randn(3, generator=torch.Generator(stream), device=work)


@pytest.mark.parametrize(
    ("plant", "copies"),
    [
        (lambda there, here: here.to(there), {"to device": 1}),
        (lambda there, here: there.new_tensor([1.0, 2.0]), {"to device": 1}),
        (lambda there, here: here.to(there.device, non_blocking=True), {"to device": 1}),
        (lambda there, here: here.pin_memory().to(there.device), {"to device": 1}),
        (lambda there, here: send(here, there.device), {"to device, no waiting": 1}),
        (lambda there, here: torch.tensor([1.0], device="cuda"), {"to device": 1}),
        (lambda there, here: there[[0, 1]], {"to device": 1}),
        (lambda there, here: there[torch.tensor([0])], {"to device": 1}),
        (lambda there, here: there.copy_(here), {"to device": 1}),
        (lambda there, here: here.copy_(there), {"to host": 1}),
        (lambda there, here: there.sum().item(), {"to host": 1}),
        (lambda there, here: bool(there.isfinite().all()), {"to host": 1}),
        (lambda there, here: there.tolist(), {"to host": 1}),
        (lambda there, here: there + 1, {}),
        (lambda there, here: there * torch.tensor(2.0), {}),
        (lambda there, here: there.double().to("cuda"), {}),
    ],
)
def test_every_copy_is_counted(plant, copies):
    with pretending() as gpu:
        here, there = torch.zeros(2), torch.ones(2, device="cuda")
        plant(there, here)
        assert gpu.copies == copies
