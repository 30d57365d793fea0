"""Lists of different lengths, against Python's own."""

from __future__ import annotations

import numpy as np

from needlepoint.train.ragged import Lists


def test_lists_come_back_flat_and_as_masks():
    plain = [[4, 1], [], [2, 2, 0], [3]]
    lists = Lists.of(plain)
    assert [one.tolist() for one in (lists[0], lists[1], lists[2], lists[3])] == plain
    assert lists.lengths().tolist() == [2, 0, 3, 1]
    numbers = np.array([2, 1, 0, 2])
    rows, values = lists.flat(numbers)
    assert rows.tolist() == [0, 0, 0, 2, 2, 3, 3, 3]
    assert values.tolist() == [2, 2, 0, 4, 1, 2, 2, 0]
    mask = lists.mask(numbers, 5)
    assert [set(np.flatnonzero(row).tolist()) for row in mask] == [set(plain[n]) for n in numbers]


def test_no_lists_and_empty_ones():
    assert len(Lists.of([])) == 0
    assert not Lists.of([[], []]).mask(np.array([1, 0]), 3).any()
