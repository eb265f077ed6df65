"""Streams are told apart by their whole name, and are the same in whatever batch they are drawn."""

import hashlib

import numpy as np
import pytest
import torch
from scipy import stats

from gud.randomness import ImageStreams, Stream


def test_images_whose_hashes_end_in_the_same_32_bits_share_no_noise():
    images = (35895, 39710)
    hashes = [hashlib.sha256(f"0/steps/{image}".encode()).digest() for image in images]
    assert len({(int.from_bytes(h[:8], "big") >> 1) % 2**32 for h in hashes}) == 1
    noise = ImageStreams("cpu", 0, "steps", images).normal((1000,))
    assert abs(np.corrcoef(noise.numpy())[0, 1]) < 4 / 1000**0.5


def test_seeds_that_agree_in_their_last_32_bits_have_streams_of_their_own():
    here, there = (Stream("cpu", seed, "train", 3).normal((1000,)) for seed in (5, 5 + 2**32))
    assert abs(np.corrcoef(here, there)[0, 1]) < 4 / 1000**0.5


def test_labels_are_told_apart_by_their_number_and_kind():
    names = [("a", "b"), ("a/b",), ("ab",), ("a", "b", ""), (1,), ("1",), (1, 0), (10,)]
    drawn = {float(Stream("cpu", 0, *name).uniform(())) for name in names}
    assert len(drawn) == len(names)


def test_the_counters_of_two_images_of_one_name_never_meet():
    """Each image has 2^128 blocks of its own, of one permutation of all blocks."""
    streams = ImageStreams("cpu", 0, "steps", [0, 1, 2**40]).streams
    states = [stream.random.bit_generator.state["state"] for stream in streams]
    assert len({tuple(state["key"].tolist()) for state in states}) == 1
    assert [state["counter"].tolist() for state in states] == [
        [0, 0, 0, 0],
        [0, 0, 1, 0],
        [0, 0, 2**40, 0],
    ]


@pytest.mark.parametrize("draw", ["normal", "uniform", "rademacher"])
def test_draws_of_an_image_are_those_of_its_stream_in_any_batch(draw):
    streams = ImageStreams("cpu", 7, "steps", [3, 8, 5])
    together = torch.cat([getattr(streams, draw)((2, 5)) for _ in range(3)], 1)
    for image, drawn in zip([3, 8, 5], together, strict=True):
        alone = Stream("cpu", 7, "steps", number=image)
        assert torch.equal(torch.cat([getattr(alone, draw)((2, 5)) for _ in range(3)]), drawn)


def test_draws_have_their_distributions():
    stream, n = Stream("cpu", 0, "distributions"), 100_000
    normal, uniform = stream.normal((n,)), stream.uniform((n,))
    assert (normal.dtype, uniform.dtype) == (torch.float32, torch.float64)
    assert stats.kstest(normal.numpy(), "norm").pvalue > 1e-3
    assert stats.kstest(uniform.numpy(), "uniform").pvalue > 1e-3
    counts = stream.integers(7, (n,)).bincount()
    assert len(counts) == 7
    assert stats.chisquare(counts).pvalue > 1e-3
    signs = stream.rademacher((n,))
    assert set(signs.tolist()) == {-1.0, 1.0}
    assert abs(signs.mean()) < 4 / n**0.5
    orders = [tuple(stream.permutation(3).tolist()) for _ in range(6000)]
    assert stats.chisquare(np.unique(orders, axis=0, return_counts=True)[1]).pvalue > 1e-3
    assert len(set(orders)) == 6
