"""Data sets: files, dequantisation, batches."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from gud import data
from gud.errors import InputError


def test_loading_refuses_what_is_no_data_set(tmp_path):
    good = np.zeros((2, 3, 4, 4), np.uint8)
    cases = {
        "float.npz": {"train": good.astype(np.float32)},
        "flat.npz": {"train": good.reshape(2, -1)},
        "grey.npz": {"train": good[:, :1]},
        "empty.npz": {"train": good[:0]},
        "test_only.npz": {"test": good},
        "pickle.npz": {"train": np.array([{}], dtype=object)},
    }
    for name, arrays in cases.items():
        np.savez(tmp_path / name, **arrays)
    np.save(tmp_path / "single.npy", good)
    (tmp_path / "text.npz").write_text("not an array")
    (tmp_path / "zero.npz").write_bytes(b"")
    np.savez(tmp_path / "whole.npz", train=good)
    (tmp_path / "cut.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:-30])
    for name in [*cases, "single.npy", "text.npz", "zero.npz", "cut.npz", "absent.npz"]:
        with pytest.raises(InputError, match=name):
            data.load(tmp_path / name, "train")


def every_grey_level(height, width):
    return torch.arange(256, dtype=torch.uint8)[:, None, None, None].expand(256, 3, height, width)


@pytest.mark.parametrize("seed", range(3))
def test_quantise_inverts_dequantise_at_every_grey_level(seed):
    images = every_grey_level(96, 96)
    phi = data.dequantise(images, torch.Generator().manual_seed(seed))
    assert phi.dtype == torch.float32
    assert phi.min() >= -1 and phi.max() < 1
    assert torch.equal(data.quantise(phi), images)


def test_dequantisation_is_exact_in_single_precision():
    images = every_grey_level(64, 64)
    phi = data.dequantise(images, torch.Generator().manual_seed(0))
    u = (phi.double() + 1) * 128 - images
    assert u.min() > 0 and u.max() < 1
    assert torch.equal((u * 2**16) % 2, torch.ones_like(u))


def test_dequantisation_noise_is_uniform_with_the_stated_moments():
    images = every_grey_level(32, 32)
    phi = data.dequantise(images, torch.Generator().manual_seed(1)).double()
    noise = (phi - (images.double() / 128 - 1)).flatten()
    error = noise.std() / len(noise) ** 0.5
    assert abs(noise.mean() - data.DEQUANTISATION_OFFSET) < 4 * error
    # The variance of a uniform sample's variance is Var^2 (9/5 - 1) / n.
    tolerance = 4 * data.DEQUANTISATION_VARIANCE * (0.8 / len(noise)) ** 0.5
    assert abs(noise.var() - data.DEQUANTISATION_VARIANCE) < tolerance
    assert kstest(noise.numpy()[:50_000] * 128, "uniform").pvalue > 1e-3


def test_dequantisation_depends_on_nothing_but_image_and_generator():
    images = every_grey_level(2, 2)
    once, again, other = (
        data.dequantise(images, torch.Generator().manual_seed(seed)) for seed in (5, 5, 6)
    )
    assert torch.equal(once, again)
    assert not torch.equal(once, other)


@given(st.floats(-3, 3, width=32))
def test_quantised_values_are_clamped_to_eight_bits(value):
    phi = torch.full((1, 3, 1, 1), value)
    expected = min(max(int(np.floor((float(value) + 1) * 128)), 0), 255)
    # Adding 1 may round up in single precision where the exact sum lies just below a grey level.
    assert abs(int(data.quantise(phi)[0, 0, 0, 0]) - expected) <= (value * 128 % 1 > 0.9999)


@given(
    n=st.integers(1, 50),
    batch_size=st.integers(1, 120),
    seed=st.integers(0, 2**40),
)
def test_every_epoch_of_batches_is_a_permutation(n, batch_size, seed):
    steps = -(-3 * n // batch_size)
    batches = [data.batch_indices(n, batch_size, step, seed) for step in range(steps)]
    assert all(len(batch) == batch_size for batch in batches)
    stream = torch.cat(batches)
    for epoch in stream[: 3 * n].split(n):
        assert sorted(epoch.tolist()) == list(range(n))


def test_batches_do_not_depend_on_the_steps_before():
    forwards = [data.batch_indices(1000, 96, step, 7) for step in range(40)]
    data._permutation.cache_clear()
    for step in reversed(range(40)):
        assert torch.equal(data.batch_indices(1000, 96, step, 7), forwards[step])


def test_epochs_and_seeds_have_their_own_permutations():
    orders = [data.batch_indices(100, 100, step, seed) for step in range(3) for seed in range(3)]
    assert len({tuple(order.tolist()) for order in orders}) == 9


def test_changing_a_batch_leaves_the_stream_alone():
    batch = data.batch_indices(10, 10, 0, 0)
    before = batch.clone()
    batch.zero_()
    assert torch.equal(data.batch_indices(10, 10, 0, 0), before)


@pytest.mark.parametrize("n, batch_size, step", [(0, 1, 0), (1, 0, 0), (1, 1, -1)])
def test_an_empty_stream_is_refused(n, batch_size, step):
    with pytest.raises(InputError, match="expected at least"):
        data.batch_indices(n, batch_size, step, 0)
