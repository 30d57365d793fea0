"""Measures over rounds against slow references, values computed by hand, and what must hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from needlepoint.bench.metrics import (
    best_rank_integral,
    reciprocal_ranks,
    round_hits,
    round_recall,
    target_ranks,
)
from needlepoint.errors import UsageError


@st.composite
def talks(draw, least=2):
    rounds = draw(st.integers(least, 7))
    row = st.lists(st.integers(1, 60), min_size=rounds, max_size=rounds)
    return draw(st.lists(row, min_size=1, max_size=6))


def slow_bri(ranks):
    """Trapezes under the logarithm of the best rank so far, one at a time."""
    area = 0.0
    for turn in range(len(ranks) - 1):
        left, right = min(ranks[: turn + 1]), min(ranks[: turn + 2])
        area += (math.log(left) + math.log(right)) / 2
    return area / (len(ranks) - 1)


@given(talks())
def test_bri_equals_the_definition(ranks):
    assert best_rank_integral(ranks) == pytest.approx([slow_bri(row) for row in ranks])


@given(talks(), st.integers(1, 70))
def test_hits_count_from_the_first_round_on_and_recall_one_round_alone(ranks, k):
    hits, recall = round_hits(ranks, k), round_recall(ranks, k)
    for row, (seen, alone) in zip(ranks, zip(hits, recall, strict=True), strict=True):
        for turn in range(len(row)):
            assert seen[turn] == any(rank <= k for rank in row[: turn + 1])
            assert alone[turn] == (row[turn] <= k)
    assert (np.diff(hits.astype(int), axis=1) >= 0).all()


def test_values_by_hand():
    # best so far: 8, 8, 2, 2, so (ln 8 + (ln 8 + ln 2) / 2 + ln 2) / 3 = (3 + 2 + 1) ln 2 / 3
    assert best_rank_integral([[8, 20, 2, 5]]) == pytest.approx([2 * math.log(2)])
    ranks = [[12, 3, 40], [11, 30, 10], [99, 98, 97]]
    assert round_hits(ranks, 10).mean(axis=0) == pytest.approx([0, 1 / 3, 2 / 3])
    assert round_recall(ranks, 10).mean(axis=0) == pytest.approx([0, 1 / 3, 1 / 3])
    assert reciprocal_ranks([[4, 1, 2]]).tolist() == [[0.25, 1.0, 0.5]]


@given(talks(), st.data())
def test_bri_does_not_change_with_later_bad_turns(ranks, data):
    row = ranks[0]
    turn = data.draw(st.integers(1, len(row) - 1))
    best = min(row[:turn])
    bad = [*row[:turn], *(max(rank, best) for rank in row[turn:])]
    worse = [*row[:turn], *(rank + 1000 for rank in row[turn:])]
    assert best_rank_integral([bad]) == pytest.approx(best_rank_integral([worse]))
    assert best_rank_integral([row])[0] <= best_rank_integral([worse])[0] + 1e-12


@given(talks())
def test_bri_is_zero_only_where_the_target_is_first_from_the_start(ranks):
    zero = best_rank_integral(ranks) == 0
    assert zero.tolist() == [row[0] == 1 for row in ranks]


@given(st.data())
def test_ranks_equal_a_sorted_list_in_any_batch(data):
    pictures = data.draw(st.integers(1, 9))
    cell = st.sampled_from([-1.0, -0.5, 0.0, 0.25, 0.5])  # ties are common
    row = st.lists(cell, min_size=pictures, max_size=pictures)
    scores = np.array(data.draw(st.lists(row, min_size=1, max_size=8)))
    gallery = [f"{place}.jpg" for place in range(pictures)]
    targets = [data.draw(st.sampled_from(gallery)) for _ in scores]
    ranks = target_ranks(scores, gallery, targets)
    for score, target, rank in zip(scores, targets, ranks, strict=True):
        order = sorted(range(pictures), key=lambda place: (-score[place], place))
        assert rank == 1 + order.index(gallery.index(target))
    size = data.draw(st.integers(1, len(scores)))
    parts = [
        target_ranks(scores[start : start + size], gallery, targets[start : start + size])
        for start in range(0, len(scores), size)
    ]
    assert np.concatenate(parts).tolist() == ranks.tolist()


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: target_ranks([[0.5]], ["a"], ["b"]), r"targets holds \['b'\].*lacks"),
        (lambda: target_ranks([[0.5, math.nan]], ["a", "b"], ["b"]), "nan"),
        (lambda: target_ranks([[0.5, 0.1]], ["a", "a"], ["a"]), "different id"),
        (lambda: target_ranks([0.5, 0.1], ["a", "b"], ["a"]), r"shape \(2,\)"),
        (lambda: best_rank_integral([[3]]), "needs two"),
        (lambda: best_rank_integral([[3, 0]]), "count from 1"),
        (lambda: round_hits([[1.5, 2.0]], 1), "integers"),
        (lambda: round_hits([1, 2], 1), "one row a"),
        (lambda: round_recall([[1, 2]], 0), "k=0"),
    ],
)
def test_what_cannot_be_measured_is_refused(call, told):
    with pytest.raises(UsageError, match=told):
        call()
