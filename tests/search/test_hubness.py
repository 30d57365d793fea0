"""CSLS: the formula in loops, what it can and cannot change, and that no method applies it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from needlepoint.errors import UsageError
from needlepoint.search.hubness import csls

tables = arrays(
    np.float32,
    st.tuples(st.integers(1, 7), st.integers(1, 7)),
    elements=st.floats(-1, 1, width=16),
)


def slow(table: np.ndarray, k: int) -> list[list[float]]:
    rows, cols = table.tolist(), table.T.tolist()

    def mean(numbers: list[float]) -> float:
        best = sorted(numbers)[::-1][:k]
        return sum(best) / len(best)

    return [
        [2 * rows[q][i] - mean(rows[q]) - mean(cols[i]) for i in range(len(cols))]
        for q in range(len(rows))
    ]


@given(tables, st.integers(1, 12))
def test_is_the_formula_for_any_k(table, k):
    found = csls(table, k)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, slow(table, k), atol=1e-6)


@given(tables)
def test_differences_within_a_question_come_of_the_pictures_alone(table):
    """``r_q`` shifts a whole row."""
    ranked = 2 * table - table.max(axis=0)
    for row, own in zip(csls(table, 1), ranked, strict=True):
        np.testing.assert_allclose(row - row[0], own - own[0], atol=1e-6)


def test_a_hub_loses_to_a_picture_that_one_question_alone_likes():
    table = np.float32([[0.9, 0.8], [0.9, 0.1], [0.9, 0.1]])
    assert table[0].argmax() == 0
    assert csls(table, 2)[0].argmax() == 1


def test_answers_depend_on_the_other_questions():
    """What makes it transductive."""
    table = np.float32([[0.9, 0.8], [0.9, 0.1], [0.9, 0.1]])
    assert csls(table, 2)[0].argmax() != csls(table[:1], 2)[0].argmax()


def test_empty_tables_stay_empty_and_k_is_checked():
    assert csls(np.zeros((0, 3), np.float32)).shape == (0, 3)
    with pytest.raises(UsageError, match="k must be"):
        csls(np.zeros((1, 1), np.float32), 0)
