import numpy as np
import pytest
import torch
from commands import status
from figure_tables import LABELS, STAND_IN, drawn, section

from gud.config.sections.bases import HaarBasis, PlainBasis, PrincipalBasis
from gud.data.statistics import fit, save
from gud.diffusion.processes import OrnsteinUhlenbeck
from gud.errors import InputError
from gud.figures.drawing.draw import draw
from gud.figures.paper.figure4 import Source
from gud.provenance import read_record

SIZE, B = 8, 0.5
SETTINGS = {
    "data": "patches",
    "split": "test",
    "image": 1,
    "times": 5,
    "seed": 0,
    "gamma_denoise": -7.0,
    "haar": {"name": "haar", "levels": 2},
    "columns_b": B,
    "wavelets": {"a": 0.5, "b": 0.3},
    "process": "ou",
}
BASES = ("pca", "pixel", "haar2")
TIMES = torch.linspace(0, 1, 33, dtype=torch.float64)


def frames(row, image, noise, times):
    return row.frames(OrnsteinUhlenbeck(), image, noise[None], times)


def figure4(**changes):
    return section("figure4", **SETTINGS | changes)


@pytest.fixture(scope="module")
def images():
    """Smooth colour images: random walks over both axes."""
    steps = np.random.default_rng(0).normal(size=(300, 3, SIZE, SIZE)).cumsum(2).cumsum(3)
    data = torch.from_numpy((128 + 8 * steps).clip(0, 255).astype(np.uint8))
    return {"train": data[:250], "test": data[250:]}


@pytest.fixture(scope="module")
def statistics(images):
    """Of the PCA, pixel and Haar bases."""
    return [fit(images["train"], basis) for basis in BASES]


@pytest.fixture(scope="module")
def source(images, statistics):
    return Source(images["test"], *statistics)


@pytest.fixture(scope="module")
def rows(source):
    return figure4().rows(source)


@pytest.fixture(scope="module")
def image(source):
    return figure4().shown_image(source)


@pytest.fixture(scope="module")
def noise():
    rng = torch.Generator().manual_seed(1)
    return torch.randn(3, SIZE, SIZE, generator=rng, dtype=torch.float64)


def test_row_b_has_the_signal_to_noise_ratio_of_row_a_in_every_component_at_every_time(
    rows, statistics, image, noise
):
    mean, rotation = statistics[0].mean, statistics[0].rotation

    def parts(row):
        """What is left of the image and of the noise, in components: (times, 3, components)."""
        signal = frames(row, image, torch.zeros_like(noise), TIMES) - mean
        grain = frames(row, mean, noise, TIMES) - mean
        return signal.flatten(2) @ rotation.T, grain.flatten(2) @ rotation.T

    (signal_a, noise_a), (signal_b, noise_b) = map(parts, rows[:2])
    torch.testing.assert_close(signal_a / noise_a, signal_b / noise_b, rtol=1e-8, atol=1e-10)
    ratio = (noise_b / noise_a)[-1].square().mean(0)
    torch.testing.assert_close(ratio.log(), statistics[0].variance.log(), rtol=0.02, atol=0.02)


@pytest.mark.parametrize("number", range(4))
def test_at_time_0_a_row_shows_the_image_but_for_the_noise_of_gamma_min(rows, image, noise, number):
    row = rows[number]
    forward, statistics = row.representation.basis.forward, row.representation.statistics
    difference = forward(frames(row, image, noise, TIMES)[0] - image).abs()
    grain = np.exp(-3.5) * statistics.variance.sqrt() * forward(noise).abs()
    # 1 - alpha < e^gamma / 2, and gamma <= -7 + log V.
    shrinkage = np.exp(-7) * statistics.variance.clamp(min=1) * forward(image - statistics.mean)
    assert (difference <= grain + shrinkage.abs()).all()
    assert difference.max() > 0


@pytest.mark.parametrize("number", range(4))
def test_at_time_1_the_covariance_of_a_row_is_the_priors(rows, statistics, image, number):
    pca, _, haar = statistics
    pixels = SIZE * SIZE
    rotation = rows[3].representation.basis.inverse(torch.eye(pixels, dtype=torch.float64))
    priors = {
        1: pca.rotation.T @ pca.variance.diag() @ pca.rotation,
        3: rotation.flatten(1).T @ haar.variance.diag() @ rotation.flatten(1),
    }
    prior = priors.get(number, torch.eye(pixels, dtype=torch.float64))
    row, end = rows[number], torch.ones(1, dtype=torch.float64)
    still = frames(row, image, torch.zeros_like(image), end)[0]
    mean = row.representation.statistics.mean
    assert (still - mean).norm() <= 0.1411 * (image - mean).norm()  # sqrt(1 - 0.99^2)
    response = torch.stack(
        [
            (frames(row, image, unit.view(1, SIZE, SIZE).expand_as(image), end)[0] - still)[0]
            for unit in torch.eye(pixels, dtype=torch.float64)
        ]
    ).flatten(1)
    share = torch.linalg.eigvals(torch.linalg.solve(prior, response.T @ response)).real
    assert share.min() >= 0.99**2 - 1e-9 and share.max() <= 1 + 1e-9


def test_columns_of_row_c_stay_bitwise_the_same_before_their_start_and_after_their_end(
    rows, image, noise
):
    shown = frames(rows[2], image, noise, TIMES)
    for column in range(SIZE):
        start = B * (SIZE - 1 - column) / (SIZE - 1)
        for t, frame in zip(TIMES.tolist(), shown, strict=True):
            same_as_data = torch.equal(frame[..., column], shown[0][..., column])
            same_as_prior = torch.equal(frame[..., column], shown[-1][..., column])
            assert same_as_data == (t <= start)
            if abs(t - start - (1 - B)) > 1e-9:
                assert same_as_prior == (t > start + 1 - B)


def test_row_d_is_coarse_when_only_the_finest_wavelets_are_noise(rows, image, noise):
    """At t = a, whatever b, the fine levels have begun and the low-pass array has not."""
    row = rows[3]
    begun = frames(row, image, noise, torch.tensor([0.0, 0.5], dtype=torch.float64))
    coarse = torch.nn.functional.avg_pool2d(begun, 4)
    torch.testing.assert_close(coarse[1], coarse[0], rtol=0, atol=1e-12)
    assert (begun[1] - begun[0]).abs().max() > 0.01


def test_all_rows_show_the_image_first_at_times_from_0_to_1(images, source):
    figure = drawn("figure4", source, **SETTINGS)
    shown = np.array([axis.images[0].get_array() for axis in figure.axes])
    assert shown.shape == (20, SIZE, SIZE, 3)
    assert [axis.get_title() for axis in figure.axes[:5]] == ["$t = 0$", "0.25", "0.5", "0.75", "1"]
    original = images["test"][1].permute(1, 2, 0).numpy().astype(float)
    for first in shown[::5]:
        assert np.abs(first - original).mean() < 4
    for last in shown[4::5]:
        assert np.abs(last - original).mean() > 20


@pytest.fixture
def sources(tmp_path, images, statistics):
    data = tmp_path / "data.npz"
    np.savez(data, **{split: values.numpy() for split, values in images.items()})
    files = [tmp_path / f"{name}.safetensors" for name in ("pca", "pixel", "haar")]
    bases = (PrincipalBasis(name="pca"), PlainBasis(name="pixel"), HaarBasis(name="haar", levels=2))
    for file, values, basis in zip(files, statistics, bases, strict=True):
        save(file, values, basis)
    return [data, *files]


def run(sources, *out, **changes):
    return status(draw, figure4(**changes), LABELS, sources, out)


@pytest.mark.slow
def test_command_writes_the_same_bytes_again_and_records_seed_and_sources(tmp_path, sources):
    first, second = ([tmp_path / run / name for name in ("f.pdf", "f.png")] for run in "12")
    assert run(sources, *first) == run(sources, *second) == 0
    for one, two in zip(first, second, strict=True):
        assert one.read_bytes() == two.read_bytes()
        record = read_record(one)
        assert record["settings"]["seed"] == 0 and len(record["inputs"]) == 4
    assert STAND_IN.encode() in first[1].read_bytes()
    other = tmp_path / "other.png"
    assert run(sources, other, seed=1) == 0
    assert other.read_bytes() != first[1].read_bytes()


def test_an_absent_image_or_a_missing_or_misplaced_file_is_refused(tmp_path, sources, capsys):
    data, pca, pixel, haar = sources
    out = tmp_path / "f.png"
    for files, changes, message in (
        (sources, {"image": 50}, "image = 50 must be less than the 50 images of test"),
        (sources[:3], {}, "figure4 is drawn from 4 file(s), but was given 3"),
        ([data, pixel, pca, haar], {}, "another basis"),
    ):
        assert run(files, out, **changes) == 2
        assert message in capsys.readouterr().err
    assert not out.exists()


def test_statistics_of_images_of_another_size_are_refused(images, statistics):
    cut = Source(images["test"][..., :4, :4], *statistics)
    with pytest.raises(InputError, match="the data set's are"):
        drawn("figure4", cut, **SETTINGS)
