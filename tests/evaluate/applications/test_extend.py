import numpy as np
import pytest
import torch
from columns import SIZE, VARIANCE, exact, untrained
from commands import status

from gud.config.applications import StripJob
from gud.config.sections.evaluation import StripSettings
from gud.config.sections.validation import validate
from gud.errors import InputError
from gud.evaluate.applications.extend import draw_strips, extend, window_of
from gud.provenance import read_record

STRIP = {
    "strips": 3,
    "batch_size": 2,
    "windows": 4,
    "shift": 3,
    "time": None,
    "residual": 0.0,
    "steps_per_unit": 12,
}
SETTINGS = {"experiment": "columns", "parameters": {"b": 0.7}, "seed": 0, "strip": STRIP}
WIDTH = SIZE + 3 * 3


def strip_settings(**changes):
    return StripSettings.model_validate(STRIP | changes)


@pytest.fixture
def command(tmp_path):
    untrained().save(tmp_path / "model.safetensors")

    def run(name="strips.npz", data=None, **strip):
        job = validate(StripJob, SETTINGS | {"strip": STRIP | strip}, "settings")
        model = tmp_path / "model.safetensors"
        extend(job, model, data, tmp_path / name, torch.device("cpu"))

    return lambda *name, **changes: status(run, *name, **changes)


def load(path):
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


@pytest.mark.slow
def test_strips_of_independent_pixels_are_independent_pixels():
    model, settings = exact(), strip_settings(steps_per_unit=400.0)
    model.representation.mean[:] = 0.1
    window = window_of(model, {"b": 0.7}, settings)
    images = draw_strips(model, window, range(40), settings, seed=0).images
    assert images.shape == (40, 3, SIZE, WIDTH)
    deviation = images.double().numpy() - 0.1
    count = deviation[..., 0].size
    error = np.sqrt(VARIANCE / count)
    assert abs(deviation.mean((0, 1, 2))).max() < 4.5 * error
    assert abs(deviation.var((0, 1, 2)) / VARIANCE - 1).max() < 4.5 * np.sqrt(2 / count)


def test_command_writes_strips_seams_and_a_window(command, tmp_path):
    assert command() == 0
    arrays = load(tmp_path / "strips.npz")
    assert arrays["strips"].shape == (3, 3, SIZE, WIDTH) and arrays["strips"].dtype == np.uint8
    assert arrays["seams"].tolist() == [3, 6, 9] and arrays["position"] == 6
    assert arrays["snapshot"].shape == (3, 3, SIZE, SIZE)
    assert (arrays["beta"] > 0).any() and np.diff(arrays["gamma"]).min() >= 0
    record = read_record(tmp_path / "strips.npz")
    assert record["settings"] == SETTINGS and record["seed"] == 0
    assert record["statistics"]["seam_gradient_stderr"] > 0
    assert not list(tmp_path.glob(".*"))


def test_strips_do_not_depend_on_the_batch_size_but_on_the_seed(command, tmp_path):
    for name, batch in (("two.npz", 2), ("three.npz", 3)):
        assert command(name, batch_size=batch) == 0
    two, three = (load(tmp_path / name)["strips"] for name in ("two.npz", "three.npz"))
    assert abs(two.astype(int) - three).max() <= 1
    settings = strip_settings()
    model = exact()
    window = window_of(model, {"b": 0.7}, settings)
    first, again, other = (
        draw_strips(model, window, [1], settings, seed).images for seed in (0, 0, 1)
    )
    assert torch.equal(first, again) and not torch.allclose(first, other)


def test_the_first_columns_of_the_middle_window_are_those_of_the_strip():
    model, settings = exact(), strip_settings(steps_per_unit=50.0)
    window = window_of(model, {"b": 0.7}, settings)
    strips = draw_strips(model, window, [0], settings, seed=0)
    state = window.schedule(torch.tensor([window.time], dtype=torch.float64))
    gamma = state.gamma[0, :SIZE]
    frozen = int((gamma == gamma.min()).sum())
    assert 0 < frozen < SIZE
    torch.testing.assert_close(
        strips.snapshot[..., :frozen], strips.images[..., 6 : 6 + frozen], atol=1e-6, rtol=0
    )


def test_record_holds_the_strips_against_the_training_images(command, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (50, 3, SIZE, SIZE), dtype=np.uint8)
    np.savez(tmp_path / "data.npz", train=images, test=images[:1])
    assert command(data=tmp_path / "data.npz") == 0
    record = read_record(tmp_path / "strips.npz")
    assert set(record["inputs"]) == {"model.safetensors", "data.npz"}
    statistics = record["statistics"]
    strips = load(tmp_path / "strips.npz")["strips"].astype(float)
    assert statistics["column_mean"] == pytest.approx(strips.mean())
    assert statistics["column_mean_real"] == pytest.approx(images.mean())
    spread = images.mean((1, 2)).std()
    assert statistics["column_mean_real_spread"] == pytest.approx(spread)
    near = abs(strips.mean((1, 2)) - images.mean()) <= 2 * spread
    assert statistics["column_mean_within"] == pytest.approx(near.mean())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shift": 7}, "strip.shift = 7 at b = 0.7"),
        ({"time": 0.99}, "strip.time = 0.99"),
        ({"windows": 0}, "strip.windows"),
        ({"residual": 1.0}, "strip.residual"),
        ({"colour": 1}, "colour is not a known key"),
    ],
)
def test_wrong_settings_end_in_one_line(command, changes, message, capsys):
    assert command(**changes) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


@pytest.mark.parametrize(
    "changes", [{"prior": "variance_matching"}, {"basis": {"name": "fourier"}}]
)
def test_a_model_that_is_not_of_pixel_columns_is_refused(changes):
    with pytest.raises(InputError, match="not " + next(iter(changes))):
        window_of(untrained(**changes), {"b": 0.7}, strip_settings())


def test_parameters_outside_the_trained_range_are_refused():
    model = untrained()
    for b in (0.5, 0.7):
        model.schedule(b=b)
    with pytest.raises(InputError, match=r"b = 0.9, .* trained range \[0.5, 0.7\]"):
        model.schedule(b=0.9)
    with pytest.raises(InputError, match=r"b = 0.71, .* trained range \[0.5, 0.7\]"):
        window_of(model, {"b": 0.71}, strip_settings())
