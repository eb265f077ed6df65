import numpy as np
import pytest
import torch
from columns import SIZE, VARIANCE, exact, images, untrained
from commands import status
from every_process import PSLD_SECTION

from gud.config.applications import InpaintingJob
from gud.config.sections.evaluation import InpaintingSettings
from gud.config.sections.validation import validate
from gud.errors import InputError
from gud.evaluate.applications.inpaint import inpaint, inpaint_images, known_pixels, part_of
from gud.provenance import read_record

SAMPLING = {
    "images": 3,
    "batch_size": 2,
    "method": "euler_maruyama",
    "grid": "uniform",
    "steps": 6,
    "rtol": 1e-3,
    "atol": 1e-3,
    "noise_free_last_step": True,
    "denoise": False,
    "precision": "float32",
}
SECTION = {"known": "left", "keys": 2, "sampling": SAMPLING}
SOFT = {
    "name": "soft_conditioning",
    "gamma_denoise": -5.0,
    "gamma_noise": "auto",
    "time_power": 1.0,
    "ranges": {"a": [0.5, 1.0], "r": [0.0, 1.0]},
}


def section(**sampling):
    raw = SECTION | {"sampling": SAMPLING | sampling}
    return validate(InpaintingSettings, raw, "settings of a test")


@pytest.fixture
def command(tmp_path):
    untrained().save(tmp_path / "model.safetensors")
    np.savez(tmp_path / "data.npz", train=images().numpy(), test=images().numpy())

    def run(name="out.npz", **sampling):
        raw = SECTION | {"sampling": SAMPLING | sampling}
        made = {"experiment": "columns", "parameters": {"b": 0.6}, "seed": 0, "inpainting": raw}
        files = (tmp_path / file for file in ("model.safetensors", "data.npz", name))
        inpaint_images(validate(InpaintingJob, made, "settings"), *files, torch.device("cpu"))

    return lambda *name, **sampling: status(run, *name, **sampling)


@pytest.mark.parametrize(("known", "share"), [("left", 1 / 2), ("upper", 1 / 2), ("frame", 3 / 4)])
def test_a_part_is_known_and_the_rest_is_not(known, share):
    mask = known_pixels(known, SIZE)
    assert mask.mean() == share and mask[0, 0] == 1
    assert mask[{"left": (0, -1), "upper": (-1, 0), "frame": (SIZE // 2, SIZE // 2)}[known]] == 0


@pytest.mark.parametrize("prior", ["isotropic", "variance_matching"])
def test_the_part_of_a_state_is_that_of_its_image_in_any_basis(prior):
    model = untrained(basis={"name": "fourier"}, prior=prior, schedule=SOFT)
    mask = known_pixels("frame", SIZE)
    part = part_of(model, model.schedule(a=1.0, r=0.0), mask)
    z = torch.randn(4, 2, 3, SIZE**2, generator=torch.Generator().manual_seed(0))
    mean = model.representation.mean
    before, after = (model.representation.decode(x[:, 0]) - mean for x in (z, part(z)))
    torch.testing.assert_close(after, mask * before, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(part(part(z)), part(z), atol=1e-5, rtol=1e-4)


def test_components_of_several_clocks_that_are_no_pixels_are_refused():
    variance = torch.linspace(0.01, 0.2, SIZE**2, dtype=torch.float64)
    model = untrained(basis={"name": "fourier"}, schedule=SOFT)
    model.representation.log_data_variance.copy_(variance.log())
    with pytest.raises(InputError, match="basis fourier are noised at different times"):
        part_of(model, model.schedule(a=0.5, r=0.0), known_pixels("left", SIZE))


@pytest.mark.parametrize("process", ["ou", PSLD_SECTION], ids=["ou", "psld"])
def test_what_is_given_keeps_its_grey_levels_and_the_rest_differs_between_keys(process):
    model, given = untrained(process=process), images(3)
    found = inpaint(model, model.schedule(b=0.6), given, range(3), section(), seed=0)
    assert found.shape == (3, 2, 3, SIZE, SIZE) and found.dtype == torch.uint8
    assert torch.equal(
        found[..., : SIZE // 2], given[:, None, ..., : SIZE // 2].expand_as(found[..., : SIZE // 2])
    )
    assert (found[:, 0] != found[:, 1])[..., SIZE // 2 :].any()


def test_what_is_completed_of_independent_pixels_are_draws_from_the_data():
    model, exponential = exact(), section(method="exponential_sde2", steps=60)
    found = inpaint(model, model.schedule(b=0.6), images(20), range(20), exponential, seed=0)
    mean = model.representation.statistics.mean
    deviation = ((found.double() + 0.5) / 128 - 1 - mean)[..., SIZE // 2 :]
    count = deviation.numel()
    assert float(deviation.var() / VARIANCE) == pytest.approx(1, abs=4.5 * (2 / count) ** 0.5)
    assert abs(float(deviation.mean())) < 4.5 * np.sqrt(VARIANCE / count)


def test_completions_do_not_depend_on_the_batch_size(command, tmp_path):
    for batch in (1, 3):
        assert command(f"{batch}.npz", batch_size=batch) == 0
    one, three = (dict(np.load(tmp_path / f"{batch}.npz")) for batch in (1, 3))
    np.testing.assert_array_equal(one["index"], three["index"])
    np.testing.assert_array_equal(one["known"], known_pixels("left", SIZE))
    assert abs(one["completions"].astype(int) - three["completions"]).max() <= 1
    assert read_record(tmp_path / "1.npz")["seed"] == 0


def test_more_images_than_there_are_end_in_one_line(command, capsys):
    assert command(images=6) == 2
    error = capsys.readouterr().err
    assert "images = 6 is more than the 5 test images" in error and error.count("\n") == 1
