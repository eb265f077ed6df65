import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from gud.diffusion.dequantisation import (
    DEQUANTISATION_OFFSET,
    DEQUANTISATION_VARIANCE,
    dequantise,
    quantise,
)
from gud.randomness import Stream


def every_grey_level(height, width):
    return torch.arange(256, dtype=torch.uint8)[:, None, None, None].expand(256, 3, height, width)


@pytest.mark.parametrize("seed", range(3))
def test_quantise_inverts_dequantise_at_every_grey_level(seed):
    images = every_grey_level(96, 96)
    phi = dequantise(images, Stream("cpu", seed))
    assert phi.dtype == torch.float32
    assert phi.min() >= -1 and phi.max() < 1
    assert torch.equal(quantise(phi), images)


def test_dequantisation_is_exact_in_single_precision():
    images = every_grey_level(64, 64)
    phi = dequantise(images, Stream("cpu", 0))
    u = (phi.double() + 1) * 128 - images
    assert u.min() > 0 and u.max() < 1
    assert torch.equal((u * 2**16) % 2, torch.ones_like(u))


def test_dequantisation_noise_is_uniform_with_the_stated_moments():
    images = every_grey_level(32, 32)
    phi = dequantise(images, Stream("cpu", 1)).double()
    noise = (phi - (images.double() / 128 - 1)).flatten()
    error = noise.std() / len(noise) ** 0.5
    assert abs(noise.mean() - DEQUANTISATION_OFFSET) < 4 * error
    # The variance of a uniform sample's variance is Var^2 (9/5 - 1) / n.
    tolerance = 4 * DEQUANTISATION_VARIANCE * (0.8 / len(noise)) ** 0.5
    assert abs(noise.var() - DEQUANTISATION_VARIANCE) < tolerance
    assert kstest(noise.numpy()[:50_000] * 128, "uniform").pvalue > 1e-3


def test_dequantisation_depends_on_nothing_but_image_and_generator():
    images = every_grey_level(2, 2)
    once, again, other = (dequantise(images, Stream("cpu", seed)) for seed in (5, 5, 6))
    assert torch.equal(once, again)
    assert not torch.equal(once, other)


@given(st.floats(-3, 3, width=32))
def test_quantised_values_are_clamped_to_eight_bits(value):
    phi = torch.full((1, 3, 1, 1), value)
    expected = min(max(int(np.floor((float(value) + 1) * 128)), 0), 255)
    # Adding 1 may round up in single precision where the exact sum lies just below a grey level.
    assert abs(int(quantise(phi)[0, 0, 0, 0]) - expected) <= (value * 128 % 1 > 0.9999)
