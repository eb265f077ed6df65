import numpy as np
import pytest
import pywt
import torch
from sklearn.decomposition import PCA as PrincipalComponents

from gud.bases import PCA, Fourier, Haar, Pixel
from gud.errors import InputError
from gud.representation import principal_components


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def random_rotation(size: int) -> torch.Tensor:
    return torch.linalg.qr(torch.randn(size, size, generator=torch.Generator().manual_seed(1)))[0]


BASES = {
    "pixel": Pixel(16),
    "pca": PCA(16, random_rotation(256).double()),
    "fourier": Fourier(16),
    "haar": Haar(16, 3),
}


@pytest.fixture(params=BASES)
def basis(request):
    return BASES[request.param]


def matrix_of(basis) -> torch.Tensor:
    size = basis.image_size
    return basis.forward(torch.eye(size**2).unflatten(1, (size, size))).T


def test_bases_are_orthogonal_so_that_white_noise_stays_white(basis):
    matrix = matrix_of(basis)
    assert (matrix @ matrix.T - torch.eye(len(matrix))).abs().max() < 1e-5


def test_forward_and_inverse_undo_each_other_on_any_batch_shape(basis, generator):
    images = torch.randn(2, 3, 16, 16, generator=generator)
    before = images.clone()
    components = basis.forward(images)
    assert components.shape == (2, 3, 256)
    torch.testing.assert_close(basis.inverse(components), images, rtol=0, atol=1e-5)
    torch.testing.assert_close(basis.forward(images[0, 1]), components[0, 1], rtol=0, atol=1e-5)
    assert torch.equal(images, before)


def test_only_fourier_components_have_frequencies():
    assert {name for name, basis in BASES.items() if basis.frequency is not None} == {"fourier"}


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_haar_is_the_pyramid_of_pywavelets_with_the_papers_names(levels, generator):
    images = torch.randn(5, 16, 16, generator=generator, dtype=torch.float64)
    pyramid = Haar(16, levels).forward(images).unflatten(-1, (16, 16)).numpy()
    low, *details = pywt.wavedec2(
        images.numpy(), "haar", mode="periodization", level=levels, axes=(-2, -1)
    )
    size = 16 >> levels
    np.testing.assert_allclose(pyramid[:, :size, :size], low, atol=1e-12)
    for horizontal, vertical, diagonal in details:
        first, second = slice(size), slice(size, 2 * size)
        np.testing.assert_allclose(pyramid[:, first, second], vertical, atol=1e-12)
        np.testing.assert_allclose(pyramid[:, second, first], horizontal, atol=1e-12)
        np.testing.assert_allclose(pyramid[:, second, second], diagonal, atol=1e-12)
        size *= 2


def test_haar_of_one_block_is_equation_26_by_hand():
    image = torch.tensor([[1.0, 2.0], [3.0, 7.0]])
    low, lh, hl, hh = Haar(2, 1).forward(image).tolist()
    assert low == pytest.approx((1 + 3 + 2 + 7) / 2)
    assert lh == pytest.approx(((1 + 3) - (2 + 7)) / 2)
    assert hl == pytest.approx(((1 - 3) + (2 - 7)) / 2)
    assert hh == pytest.approx(((1 - 3) - (2 - 7)) / 2)


@pytest.mark.parametrize("levels", [0, 5])
def test_haar_refuses_levels_that_do_not_fit_the_image(levels):
    with pytest.raises(InputError, match=f"levels = {levels} .* not 16"):
        Haar(16, levels)


def test_principal_components_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((16, 16)) * np.exp(-np.arange(16) / 4)
    pixels = rng.standard_normal((400, 3, 16)) @ mixing.T * 10 + 128
    images = torch.from_numpy(pixels.clip(0, 255).astype(np.uint8)).unflatten(2, (4, 4))
    rotation = principal_components(images)
    grey = images.double().mean(1).flatten(1).numpy()
    reference = PrincipalComponents(svd_solver="full").fit(grey)
    np.testing.assert_allclose(rotation.numpy(), reference.components_, atol=1e-8)
    variance = (grey - grey.mean(0)) @ rotation.numpy().T
    assert (np.diff(variance.var(0)) <= 0).all()


def test_principal_components_of_few_images_are_a_complete_basis():
    images = torch.randint(0, 256, (3, 3, 4, 4), dtype=torch.uint8)
    rotation = principal_components(images)
    torch.testing.assert_close(rotation @ rotation.T, torch.eye(16).double())


def test_a_hartley_pair_carries_the_energy_of_its_fourier_pair(generator):
    image = torch.randn(8, 8, generator=generator, dtype=torch.float64)
    hartley = Fourier(8).forward(image).unflatten(-1, (8, 8)).numpy()
    negative = np.roll(hartley[::-1, ::-1], (1, 1), (0, 1))
    power = np.abs(np.fft.fft2(image.numpy(), norm="ortho")) ** 2
    np.testing.assert_allclose(hartley**2 + negative**2, 2 * power, atol=1e-12)


def test_frequency_labels_are_the_cycles_of_plane_waves():
    size, basis = 8, Fourier(8)
    row, column = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    for p, q in [(0, 0), (1, 0), (2, 3), (-3, 1), (4, 4)]:
        wave = torch.cos(2 * torch.pi * (p * row + q * column) / size + 0.3)
        active = basis.forward(wave).abs() > 1e-4
        assert active.any()
        assert basis.frequency[active].tolist() == pytest.approx([np.hypot(p, q)] * active.sum())


def test_a_shift_invariant_covariance_is_diagonal_in_the_fourier_basis():
    rng = np.random.default_rng(0)
    spectrum = np.abs(np.fft.fft2(rng.standard_normal((6, 6)))) ** 2
    kernel = np.fft.ifft2(spectrum).real
    shifts = [np.roll(kernel, (i, j), (0, 1)).ravel() for i in range(6) for j in range(6)]
    covariance = torch.from_numpy(np.stack(shifts))
    matrix = Fourier(6).forward(torch.eye(36).double().unflatten(1, (6, 6))).T
    rotated = matrix @ covariance @ matrix.T
    torch.testing.assert_close(rotated, torch.from_numpy(np.diag(spectrum.ravel())))
