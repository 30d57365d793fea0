"""Batches: every item once an epoch, runs of one key, and going on from a state."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from needlepoint.errors import UsageError
from needlepoint.train.samplers import Batches


@given(
    st.lists(st.sampled_from("abcde"), min_size=1, max_size=40),
    st.integers(1, 6),
    st.integers(0, 5),
    st.data(),
)
def test_each_item_once_an_epoch_and_resuming_changes_nothing(keys, run, seed, data):
    batch = data.draw(st.integers(1, len(keys)))
    draws = data.draw(st.integers(0, 9))
    batches = Batches(keys, batch=batch, run=run, seed=seed)
    seen = [next(batches) for _ in range(len(keys))]  # whole epochs, as many as a batch is long
    flat = np.concatenate(seen).reshape(batch, len(keys))
    for epoch in flat:
        assert sorted(epoch) == list(range(len(keys)))
    again = Batches(keys, batch=batch, run=run, seed=seed)
    for _ in range(draws):
        next(again)
    other = Batches(keys, batch=batch, run=run, seed=seed)
    other.restore(again.state())
    for _ in range(4):
        np.testing.assert_array_equal(next(again), next(other))


def test_runs_put_items_of_one_key_side_by_side():
    keys = [number % 10 for number in range(400)]

    def neighbours(run: int) -> int:
        order = next(Batches(keys, batch=400, run=run, seed=1))
        named = np.array(keys)[order]
        return int((named[1:] == named[:-1]).sum())

    assert neighbours(4) > 300 > 60 > neighbours(1)


def test_orders_differ_by_seed_and_epoch():
    first, second = (Batches(range(50), batch=50, run=1, seed=seed) for seed in (0, 1))
    one, two = next(first), next(first)
    assert (one != two).any()
    assert (one != next(second)).any()


def test_a_batch_larger_than_the_data_is_refused():
    with pytest.raises(UsageError, match="batch"):
        Batches("ab", batch=3, run=1, seed=0)
    with pytest.raises(UsageError, match="run"):
        Batches("ab", batch=1, run=0, seed=0)
