import numpy as np
import pytest
import pywt
import torch

from gud.diffusion.bases import PCA, Fourier, Pixel
from gud.diffusion.bases.wavelets import Wavelet


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def random_rotation(size: int) -> torch.Tensor:
    return torch.linalg.qr(torch.randn(size, size, generator=torch.Generator().manual_seed(1)))[0]


BASES = {
    "pixel": Pixel(16),
    "pca": PCA(16, random_rotation(256).double()),
    "fourier": Fourier(16),
    "haar": Wavelet(16, 3),
    "db2": Wavelet(16, 3, tuple(pywt.Wavelet("db2").dec_lo)),
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
