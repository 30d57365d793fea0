"""How many of the first hits probably match, against every possible beginning."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from needlepoint.query import Query
from needlepoint.results import Hit, Results

CHANCES = st.lists(st.floats(0.001, 0.999), min_size=1, max_size=12)


def answer(chances: list[float], *, matching: int | None = None, cutoff: float | None = 0.0):
    matching = len(chances) if matching is None else matching
    source = {"model": "builtin"}
    hits = [
        Hit(n, n, f"{n}.jpg", -float(n), "cosine", None, n <= matching, p, 9, 9, source)
        for n, p in enumerate(chances, start=1)
    ]
    return Results(Query.parse("a dog"), hits, cutoff=cutoff)


@given(CHANCES, st.integers(0, 12))
def test_it_is_the_beginning_of_greatest_expected_f1(chances, matching):
    chances = sorted(chances, reverse=True)
    some = min(matching, len(chances))
    found = answer(chances, matching=some).likely
    sizes = range(1, some + 1)
    values = [2 * sum(chances[:n]) / (n + sum(chances)) for n in sizes]
    assert found == (0 if not values else 1 + int(np.argmax(np.round(values, 12))))


@given(CHANCES)
def test_likelier_ones_come_before(chances):
    """With falling probabilities, all that are at least half the best F1 are in it."""
    chances = sorted(chances, reverse=True)
    found = answer(chances).likely
    best = 2 * sum(chances[:found]) / (found + sum(chances))
    assert all(p >= best / 2 - 1e-9 for p in chances[:found])
    assert all(p <= best / 2 + 1e-9 for p in chances[found:])


@pytest.mark.parametrize(
    ("chances", "wanted"),
    [([0.95, 0.9, 0.02, 0.01], 2), ([0.5] * 4, 4), ([0.9], 1), ([], 0)],
)
def test_hand_computed(chances, wanted):
    assert answer(chances).likely == wanted


def test_without_calibration_nothing_is_said():
    assert answer([0.9], cutoff=None).likely is None
