import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gud.errors import InputError
from gud.training import batches
from gud.training.batches import batch_indices


@given(
    n=st.integers(1, 50),
    batch_size=st.integers(1, 120),
    seed=st.integers(0, 2**40),
)
def test_every_epoch_of_batches_is_a_permutation(n, batch_size, seed):
    steps = -(-3 * n // batch_size)
    stream = [batch_indices(n, batch_size, step, seed) for step in range(steps)]
    assert all(len(batch) == batch_size for batch in stream)
    joined = torch.cat(stream)
    for epoch in joined[: 3 * n].split(n):
        assert sorted(epoch.tolist()) == list(range(n))


def test_batches_do_not_depend_on_the_steps_before():
    forwards = [batch_indices(1000, 96, step, 7) for step in range(40)]
    batches._permutation.cache_clear()
    for step in reversed(range(40)):
        assert torch.equal(batch_indices(1000, 96, step, 7), forwards[step])


def test_epochs_and_seeds_have_their_own_permutations():
    orders = [batch_indices(100, 100, step, seed) for step in range(3) for seed in range(3)]
    assert len({tuple(order.tolist()) for order in orders}) == 9


def test_changing_a_batch_leaves_the_stream_alone():
    batch = batch_indices(10, 10, 0, 0)
    before = batch.clone()
    batch.zero_()
    assert torch.equal(batch_indices(10, 10, 0, 0), before)


@pytest.mark.parametrize("n, batch_size, step", [(0, 1, 0), (1, 0, 0), (1, 1, -1)])
def test_an_empty_stream_is_refused(n, batch_size, step):
    with pytest.raises(InputError, match="expected at least"):
        batch_indices(n, batch_size, step, 0)
