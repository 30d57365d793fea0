"""The shortlist put in order again, the rest below it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from needlepoint.errors import UsageError
from needlepoint.search.shortlist import reorder

SCORES = st.integers(-4, 4).map(lambda n: n / 4)  # many ties


@st.composite
def cases(draw):
    shape = draw(st.tuples(st.integers(0, 3), st.integers(0, 9)))
    first, second = (draw(arrays(np.float32, shape, elements=SCORES)) for _ in range(2))
    share = draw(st.sampled_from([0.0, 0.25, 0.5, 1.0]))
    return first, second, share, draw(st.integers(0, 12))


@given(cases())
def test_equals_two_sorts_by_hand(case):
    scores, second, share, shortlist = case
    order, mixed = reorder(scores, second, share, shortlist)
    assert order.shape == mixed.shape == scores.shape
    for row, told, one, two in zip(order.tolist(), mixed, scores, second, strict=True):
        before = sorted(range(len(one)), key=lambda i: (-one[i], i))
        best, rest = before[:shortlist], before[shortlist:]
        again = {i: np.float32((1 - share) * one[i] + share * two[i]) for i in best}
        wanted = sorted(best, key=lambda i: (-again[i], i)) + rest
        assert row == wanted
        for i in rest:
            assert told[i] == one[i]
        for i in best:
            assert told[i] == pytest.approx(again[i])


def test_no_share_changes_nothing():
    scores = np.float32([[0.3, 0.1, 0.2]])
    order, mixed = reorder(scores, -scores, 0, 2)
    assert order.tolist() == [[0, 2, 1]]
    np.testing.assert_array_equal(mixed, scores)


def test_the_rest_stays_below_whatever_it_scores():
    order, _ = reorder(np.float32([[3, 2, 1]]), np.float32([[-9, -8, 100]]), 1.0, 2)
    assert order.tolist() == [[1, 0, 2]]


@pytest.mark.parametrize(("share", "shortlist"), [(-0.1, 1), (1.1, 1), (0.5, -1)])
def test_mistakes_are_told(share, shortlist):
    scores = np.zeros((1, 2), np.float32)
    with pytest.raises(UsageError, match="a share of 0 to 1 and a shortlist of 0 or more"):
        reorder(scores, scores, share, shortlist)


def test_shapes_must_agree():
    with pytest.raises(UsageError, match=r"\[1, 3\]. Allowed: \[1, 2\]"):
        reorder(np.zeros((1, 2), np.float32), np.zeros((1, 3), np.float32), 0.5, 1)
