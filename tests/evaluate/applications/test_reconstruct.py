import numpy as np
import pytest
import torch
from columns import SIZE, VARIANCE, exact, images, untrained
from commands import status
from every_process import PSLD, PSLD_SECTION

from gud.config.applications import ReconstructionJob
from gud.config.sections.evaluation import ReconstructionSettings
from gud.config.sections.validation import validate
from gud.diffusion.processes import (
    CriticallyDampedLangevin,
    OrnsteinUhlenbeck,
)
from gud.evaluate.applications.reconstruct import noise_from_start, reconstruct, reconstruct_images
from gud.provenance import read_record

SECTION = {"images": 3, "batch_size": 2, "keys": 2, "time": 0.5, "steps": 6}
SETTINGS = {"experiment": "columns", "parameters": {"b": 0.6}, "seed": 0}
FROZEN = 2  # t_i = 0.6 (8 - i) / 7 >= 0.5 for the columns i = 1 and 2


@pytest.fixture
def command(tmp_path):
    untrained().save(tmp_path / "model.safetensors")
    np.savez(tmp_path / "data.npz", train=images().numpy(), test=images().numpy())

    def run(name="out.npz", **changes):
        raw = SETTINGS | {"reconstruction": SECTION | changes}
        job = validate(ReconstructionJob, raw, "settings")
        files = (tmp_path / file for file in ("model.safetensors", "data.npz", name))
        reconstruct_images(job, *files, torch.device("cpu"))

    return lambda *name, **changes: status(run, *name, **changes)


def load(path):
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


@pytest.mark.parametrize("time", [0.2, 0.5, 1.0])
def test_noising_from_the_start_composes_to_the_marginal_of_time_t(time):
    schedule = untrained().schedule(b=0.6)
    one, zero = torch.ones(1, 1, 1, SIZE**2).double(), torch.zeros(1, 1, 1, SIZE**2).double()
    now, start = schedule(torch.tensor([time, 0.0], dtype=torch.float64)).gamma
    ou = OrnsteinUhlenbeck()
    signal = noise_from_start(ou, schedule, one, time, zero).flatten()
    spread = noise_from_start(ou, schedule, zero, time, one).flatten()
    alpha, alpha_start = torch.sigmoid(-now).sqrt(), torch.sigmoid(-start).sqrt()
    torch.testing.assert_close(signal * alpha_start, alpha)
    variance = (signal**2) * torch.sigmoid(start) + spread**2
    torch.testing.assert_close(variance, torch.sigmoid(now))


@pytest.mark.parametrize("process", [PSLD, CriticallyDampedLangevin(4.0, 0.04)])
def test_in_phase_space_too_noising_from_the_start_composes_to_the_marginal(process):
    schedule = untrained().schedule(b=0.6)
    start, now = (schedule(torch.tensor([t], dtype=torch.float64)) for t in (0.0, 0.7))
    size = SIZE**2
    columns = torch.eye(2).double()[:, :, None, None].expand(-1, -1, 1, size)
    steps = []
    for zero in (0, 1):
        z, noise = columns * (1 - zero), columns * zero
        steps.append(noise_from_start(process, schedule, z, 0.7, noise)[:, :, 0].movedim(2, 0).mT)
    linear, spread = steps
    before, after = (process.transition(state)[0].movedim(2, 0) for state in (start, now))
    torch.testing.assert_close(linear @ before, after, rtol=1e-9, atol=1e-12)
    before, after = (process.factor(state)[0].movedim(2, 0) for state in (start, now))
    covariance = linear @ before @ before.mT @ linear.mT + spread @ spread.mT
    torch.testing.assert_close(covariance, after @ after.mT, rtol=1e-6, atol=1e-8)


@pytest.mark.slow
def test_a_state_in_phase_space_is_reconstructed_to_draws_from_the_data():
    """From pure noise, by a network that is exact for the variances that it is told."""
    model = untrained(process=PSLD_SECTION, preconditioning="gaussian")
    statistics = model.representation.statistics
    section = ReconstructionSettings.model_validate(SECTION | {"time": 1.0, "steps": 120})
    _, found = reconstruct(model, model.schedule(b=0.6), images(6), range(6), section, seed=0)
    deviation = ((found.double() + 0.5) / 128 - 1 - statistics.mean).flatten(0, 1)
    variance = deviation.square().mean() / statistics.variance.mean()
    assert variance == pytest.approx(1, abs=0.15)


def test_frozen_columns_come_back_unchanged_and_the_others_differ_between_keys(command, tmp_path):
    assert command(images=5) == 0
    arrays = load(tmp_path / "out.npz")
    original, found = arrays["original"], arrays["reconstructions"]
    assert found.shape == (5, 2, 3, SIZE, SIZE) and found.dtype == np.uint8
    assert (found[..., :FROZEN] == original[:, None, ..., :FROZEN]).all()
    assert (found[:, 0, ..., FROZEN:] != found[:, 1, ..., FROZEN:]).any((1, 2, 3)).all()
    # The noised image shows the dequantised originals: the same grey levels where it is clean.
    clean = arrays["noised"][..., :FROZEN]
    assert (np.floor(128 * (clean.astype(np.float64) + 1)) == original[..., :FROZEN]).all()


def test_every_grey_level_survives_in_frozen_columns():
    levels = torch.arange(256, dtype=torch.uint8).repeat(3 * SIZE**2)[: 3 * SIZE**2 * 256]
    batch = levels.view(-1, 3, SIZE, SIZE)
    model = exact()
    section = ReconstructionSettings.model_validate(SECTION | {"keys": 1, "time": 1e-12})
    _, found = reconstruct(model, model.schedule(b=0.6), batch, range(len(batch)), section, seed=0)
    # At t = 1e-12 only the last column has been touched.
    assert torch.equal(found[:, 0, ..., :-1], batch[..., :-1])


def test_completions_of_noise_are_draws_from_the_data():
    model = exact()
    section = ReconstructionSettings.model_validate(SECTION | {"time": 1.0, "steps": 300})
    _, found = reconstruct(model, model.schedule(b=0.6), images(20), range(20), section, seed=0)
    mean = model.representation.statistics.mean
    deviation = ((found.double() + 0.5) / 128 - 1 - mean).flatten(0, 1)
    count = deviation[..., 0].numel()
    variance = deviation.square().mean((0, 1, 2)) / VARIANCE
    assert (variance - 1).abs().max() < 4.5 * np.sqrt(2 / count)
    assert deviation.mean((0, 1, 2)).abs().max() < 4.5 * np.sqrt(VARIANCE / count)


@pytest.mark.slow
def test_a_pixel_is_estimated_from_what_is_left_of_it():
    """Reconstructions are draws from p(z(0) | z(t)) of independent pixels.

    At 200 steps Euler-Maruyama adds 5 per cent to the variance, and half of that at 400.
    """
    model = exact()
    section = ReconstructionSettings.model_validate(SECTION | {"keys": 5, "steps": 200})
    original = torch.full((40, 3, SIZE, SIZE), 128, dtype=torch.uint8)
    schedule = model.schedule(b=0.6)
    noised, found = reconstruct(model, schedule, original, range(40), section, seed=0)
    gamma = schedule.gamma(torch.tensor([0.5], dtype=torch.float64)).view(SIZE, SIZE)
    mean = model.representation.statistics.mean
    alpha, noise = torch.sigmoid(-gamma).sqrt(), torch.sigmoid(gamma)
    total = alpha**2 * VARIANCE + noise
    expected = mean + alpha * VARIANCE / total * (noised.double() - mean)
    spread = (VARIANCE * noise / total).sqrt()
    deviation = ((found.double() + 0.5) / 128 - 1 - expected[:, None]) / spread
    deviation = deviation[..., FROZEN + 1 :]
    error = 1 / np.sqrt(deviation[..., 0].numel())
    assert deviation.mean((0, 1, 2, 3)).abs().max() < 4.5 * error
    assert (deviation.var((0, 1, 2, 3)) - 1.025).abs().max() < 0.025 + 4.5 * np.sqrt(2) * error


def test_reconstructions_do_not_depend_on_the_batch_size(command, tmp_path):
    for batch in (1, 3):
        assert command(f"{batch}.npz", batch_size=batch) == 0
    one, three = (load(tmp_path / f"{batch}.npz") for batch in (1, 3))
    np.testing.assert_array_equal(one["index"], three["index"])
    np.testing.assert_allclose(one["noised"], three["noised"], atol=1e-6)
    assert abs(one["reconstructions"].astype(int) - three["reconstructions"]).max() <= 1
    assert read_record(tmp_path / "1.npz")["seed"] == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": 6}, "reconstruction.images = 6 is more than the 5 test images"),
        ({"time": 0.0}, "reconstruction.time"),
        ({"keys": 0}, "reconstruction.keys"),
    ],
)
def test_wrong_settings_end_in_one_line(command, changes, message, capsys):
    assert command(**changes) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
