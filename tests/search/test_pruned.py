"""Pruned scoring: the same pictures and scores as scoring everything, and what it saves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from needlepoint.search.exact import dots, segment_max
from needlepoint.search.fusion import BEST, WHOLE, Fusion
from needlepoint.search.pruned import best_pictures, best_possible, reach

FUSIONS = [
    WHOLE,
    BEST,
    Fusion("regions"),
    Fusion("gated", tau=0.25),
    Fusion("gated", tau=1.0),
    Fusion("gated", tau=-np.inf),
]


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def gallery(rng, pictures, dim, spread, coarse=False):
    """Whole vectors, regions near them, offsets; some pictures without regions, some twins."""
    wholes = rng.normal(size=(pictures, dim))
    counts = rng.integers(0, 6, pictures)
    regions = np.repeat(wholes, counts, axis=0)
    regions = regions + spread * rng.normal(size=regions.shape)
    if coarse:  # many equal scores
        wholes, regions = np.round(wholes), np.round(regions)
        wholes[:, 0] += 0.5
        regions[:, 0] += 0.5
    offsets = np.concatenate(([0], counts.cumsum())).astype(np.int64)
    return unit(wholes), unit(regions), offsets


def full(question, wholes, regions, offsets, fusion, k):
    """Every region multiplied, every picture scored; best first, earlier pictures first."""
    whole = dots(wholes, question[None])[:, 0]
    region = segment_max(dots(regions, question[None]), offsets)[:, 0]
    scores = fusion.combine(whole, region)
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:k]
    return order, scores[order]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(1, 80),
    st.sampled_from([0.05, 0.4, 2.0]),
    st.integers(1, 12),
    st.sampled_from(FUSIONS),
    st.booleans(),
)
def test_equals_full_scoring(seed, pictures, spread, k, fusion, coarse):
    rng = np.random.default_rng(seed)
    wholes, regions, offsets = gallery(rng, pictures, 6, spread, coarse)
    question = unit(wholes[0] + 0.5 * rng.normal(size=6))
    found = best_pictures(
        question, wholes, regions, offsets, reach(wholes, regions, offsets), fusion, k
    )
    order, scores = full(question, wholes, regions, offsets, fusion, k)
    assert found.positions.tolist() == order
    np.testing.assert_array_equal(found.scores, scores)
    assert found.products <= len(regions)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([1e-4, 0.1, 1.0]))
def test_the_bound_holds_for_every_region(seed, spread):
    rng = np.random.default_rng(seed)
    wholes, regions, offsets = gallery(rng, 30, 5, spread)
    question = unit(rng.normal(size=5))
    bound = best_possible(dots(wholes, question[None])[:, 0], reach(wholes, regions, offsets))
    best = segment_max(dots(regions, question[None]), offsets)[:, 0]
    assert (best <= bound + 1e-6).all()


@pytest.mark.parametrize(
    ("spread", "fusion", "share"),
    [
        (0.03, BEST, 0.05),
        (0.03, Fusion("regions"), 0.05),
        (0.03, Fusion("gated", tau=1.0), 0.05),
        (0.1, BEST, 0.6),
    ],
)
def test_saves_products(spread, fusion, share):
    """Of 2000 pictures with regions near their whole, a small part is looked at."""
    rng = np.random.default_rng(0)
    wholes, regions, offsets = gallery(rng, 2000, 16, spread)
    question = unit(wholes[7] + 0.1 * rng.normal(size=16))
    found = best_pictures(
        question, wholes, regions, offsets, reach(wholes, regions, offsets), fusion, 10
    )
    assert found.positions.tolist() == full(question, wholes, regions, offsets, fusion, 10)[0]
    assert 0 < found.products < share * len(regions)


def test_a_whole_that_equals_the_question_does_not_stand_for_its_regions():
    """Under ``regions`` the picture that the question was made of may come last."""
    wholes, regions = np.eye(3, dtype=np.float32), np.float32([[0, 0, 1], [0.6, 0.8, 0]])
    offsets = np.array([0, 1, 2, 2])
    found = best_pictures(
        wholes[0], wholes, regions, offsets, reach(wholes, regions, offsets), Fusion("regions"), 3
    )
    assert found.positions.tolist() == [1, 0, 2]
    assert found.scores.tolist() == np.float32([0.6, 0, 0]).tolist()


def test_a_shut_gate_needs_no_region():
    rng = np.random.default_rng(0)
    wholes, regions, offsets = gallery(rng, 50, 8, 0.5)
    found = best_pictures(
        wholes[0], wholes, regions, offsets, reach(wholes, regions, offsets),
        Fusion("gated", tau=-2.0), 5,
    )  # fmt: skip
    assert found.products == 0


def test_no_pictures():
    none = np.zeros((0, 4), np.float32)
    offsets = np.zeros(1, np.int64)
    found = best_pictures(
        np.float32([1, 0, 0, 0]), none, none, offsets, reach(none, none, offsets), BEST, 3
    )
    assert found.positions.tolist() == []
    assert found.products == 0
