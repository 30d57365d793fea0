"""Windows of a map and the few vectors that stand for them, against slow definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from needlepoint.parts import DenseFeatures
from needlepoint.regions.dense import (
    representatives,
    shared_means,
    span_boxes,
    window_means,
    window_spans,
)

SIZES = (1, 2, 3, 5)
sides = st.integers(1, 34)


def unit(x: np.ndarray) -> np.ndarray:
    return (x / np.linalg.norm(x, axis=-1, keepdims=True)).astype(np.float32)


def around(rng: np.random.Generator, centre: np.ndarray, count: int, spread: float) -> np.ndarray:
    """``count`` unit vectors near ``centre``."""
    noise = unit(rng.normal(size=(count, len(centre))))
    return unit(unit(centre) + spread * noise)


def features(rows: int, cols: int, width: int, height: int) -> DenseFeatures:
    return DenseFeatures(
        np.zeros((rows, cols, 1), np.float32), width / cols, height / rows, width, height
    )


# -- windows


@given(sides, sides)
@settings(max_examples=60, deadline=None)
def test_windows_lie_inside_cover_every_cell_and_are_listed_once(rows, cols):
    spans = window_spans(rows, cols, SIZES)
    assert spans.dtype == np.int32
    assert (spans >= [0, 0, 1, 1]).all()
    assert (spans[:, 0] + spans[:, 2] <= rows).all()
    assert (spans[:, 1] + spans[:, 3] <= cols).all()
    assert len({tuple(span) for span in spans.tolist()}) == len(spans)
    for size in SIZES:
        high, wide = min(size, rows), min(size, cols)
        some = spans[(spans[:, 2] == high) & (spans[:, 3] == wide)]
        covered = np.zeros((rows, cols), bool)
        for r, c, h, w in some.tolist():
            covered[r : r + h, c : c + w] = True
        assert covered.all(), size
        assert (some[:, 0] + high).max() == rows
        assert (some[:, 1] + wide).max() == cols
        # half a window apart, so that no thing of its size falls between two windows
        for axis, length in ((0, high), (1, wide)):
            steps = np.diff(np.unique(some[:, axis]))
            assert (steps <= max(1, length // 2)).all()


def test_a_map_of_one_cell_has_one_window():
    np.testing.assert_array_equal(window_spans(1, 1, SIZES), [[0, 0, 1, 1]])


def test_a_strip_keeps_windows_of_every_length():
    spans = window_spans(1, 9, SIZES)
    assert set(spans[:, 2].tolist()) == {1}
    assert set(spans[:, 3].tolist()) == {1, 2, 3, 5}


def test_windows_are_ordered_by_size_row_and_column():
    spans = window_spans(6, 7, SIZES)
    np.testing.assert_array_equal(spans, sorted(spans.tolist(), key=lambda s: (s[2], s[:2])))


@given(sides, sides, st.integers(0, 1000), st.sampled_from([0.0, 10.0, -300.0]))
@settings(max_examples=40, deadline=None)
def test_window_means_are_the_means_of_the_slices(rows, cols, seed, offset):
    rng = np.random.default_rng(seed)
    cells = (rng.normal(size=(rows, cols, 3)) + offset).astype(np.float32)
    spans = window_spans(rows, cols, SIZES)
    means = window_means(cells, spans)
    assert means.dtype == np.float32
    slow = [cells[r : r + h, c : c + w].mean((0, 1), dtype=np.float64) for r, c, h, w in spans]
    np.testing.assert_allclose(means, slow, rtol=1e-5, atol=3e-5)


def test_window_means_take_any_rectangle():
    cells = np.arange(24, dtype=np.float32).reshape(4, 3, 2)
    spans = np.array([[0, 0, 4, 3], [1, 0, 2, 3], [3, 2, 1, 1]], np.int32)
    slow = [cells.mean((0, 1)), cells[1:3].mean((0, 1)), cells[3, 2]]
    np.testing.assert_allclose(window_means(cells, spans), slow, rtol=1e-6)


# -- boxes


@given(sides, sides, st.integers(1, 4001), st.integers(1, 4001))
@settings(max_examples=60, deadline=None)
def test_boxes_lie_inside_pictures_of_any_size_and_reach_their_borders(rows, cols, width, height):
    spans = window_spans(rows, cols, SIZES)
    x, y, w, h = span_boxes(spans, features(rows, cols, width, height)).T.astype(np.float64)
    near = 1e-3 * max(width, height)
    assert (x >= 0).all()
    assert (y >= 0).all()
    assert (w > 0).all()
    assert (h > 0).all()
    assert (x + w <= width + near).all()
    assert (y + h <= height + near).all()
    assert abs((x + w).max() - width) <= near
    assert abs((y + h).max() - height) <= near
    assert x.min() == y.min() == 0


def test_boxes_are_cells_times_steps_and_clipped():
    box = span_boxes(
        np.array([[1, 2, 2, 3]], np.int32),
        DenseFeatures(np.zeros((3, 5, 1), np.float32), 10.0, 20.0, 45, 50),
    )
    np.testing.assert_array_equal(box, [[20, 20, 25, 30]])


# -- representatives


def test_few_windows_are_all_kept_as_they_are():
    windows = unit(np.random.default_rng(0).normal(size=(7, 12)))
    for count in (7, 8, 32):
        kept = representatives(windows, count)
        np.testing.assert_array_equal(kept.vectors, windows)
        np.testing.assert_array_equal(kept.nearest, np.arange(7))
    kept.vectors[:] = 0  # a copy: nobody's windows are changed
    assert np.abs(windows).max() > 0


@given(st.integers(2, 400), st.integers(1, 40), st.integers(0, 100))
@settings(max_examples=30, deadline=None)
def test_representatives_are_unit_few_and_a_function_of_the_windows(total, count, seed):
    windows = unit(np.random.default_rng(seed).normal(size=(total, 16)))
    one, two = representatives(windows, count), representatives(windows.copy(), count)
    np.testing.assert_array_equal(one.vectors, two.vectors)
    np.testing.assert_array_equal(one.nearest, two.nearest)
    assert 1 <= len(one.vectors) <= count
    np.testing.assert_allclose(np.linalg.norm(one.vectors, axis=1), 1, atol=1e-5)
    similarity = windows @ one.vectors.T
    chosen = similarity[one.nearest, np.arange(len(one.vectors))]
    np.testing.assert_allclose(chosen, similarity.max(axis=0), atol=1e-6)


def test_the_most_populous_comes_first():
    rng = np.random.default_rng(3)
    axes = np.eye(8, dtype=np.float32)
    windows = np.concatenate(
        [
            around(rng, axes[0], 20, 0.1),
            around(rng, axes[1], 90, 0.1),
            around(rng, axes[2], 50, 0.1),
        ]
    )
    kept = representatives(windows, 3)
    np.testing.assert_array_equal(np.argmax(kept.vectors, axis=1), [1, 2, 0])


def test_equal_windows_give_equal_answers_and_no_number_breaks():
    windows = np.repeat(unit(np.ones((1, 6))), 50, axis=0)
    kept = representatives(windows, 4)
    assert np.isfinite(kept.vectors).all()
    np.testing.assert_allclose(kept.vectors @ windows[0], 1, atol=1e-5)
    two = np.repeat(np.eye(6, dtype=np.float32)[:2], 40, axis=0)
    kept = representatives(two, 5)
    assert {int(np.argmax(row)) for row in kept.vectors} == {0, 1}
    assert kept.nearest.max() < 80


def test_ties_take_the_first_window():
    """Of equal windows the nearest is the first, so that boxes do not hang on luck."""
    base = np.eye(5, dtype=np.float32)
    kept = representatives(np.concatenate([base, base, base]), 5)
    np.testing.assert_array_equal(np.sort(kept.nearest), np.arange(5))


def test_opposite_windows_leave_no_empty_or_zero_vector():
    base = unit(np.random.default_rng(1).normal(size=(20, 4)))
    kept = representatives(np.concatenate([base, -base]), 3)
    np.testing.assert_allclose(np.linalg.norm(kept.vectors, axis=1), 1, atol=1e-5)


def test_a_rare_thing_amid_background_is_kept_better_with_rarity():
    """A few windows blend from thing to background; the weight keeps the thing clear."""

    def nearness(rarity: float, seed: int) -> float:
        rng = np.random.default_rng(seed)
        thing, *grounds = unit(rng.normal(size=(9, 48)))
        ground = np.concatenate([around(rng, g, 70, 0.7) for g in grounds])
        # half on the thing, half beside it: what lies around is what pulls the mean away
        mixed = unit(0.5 * thing + 0.5 * grounds[0] + 0.1 * unit(rng.normal(size=(12, 48))))
        windows = np.concatenate([ground, mixed, around(rng, thing, 4, 0.2)])
        kept = representatives(windows, 12, rarity=rarity)
        return float((kept.vectors @ thing).max())

    plain = np.array([nearness(0.0, seed) for seed in range(12)])
    weighted = np.array([nearness(2.0, seed) for seed in range(12)])
    assert weighted.mean() > plain.mean() + 0.02
    assert (weighted >= plain - 1e-3).mean() >= 0.75


def test_a_window_like_no_other_does_not_outweigh_all_others():
    """Of few windows each is compared with all: none has a density near zero."""
    rng = np.random.default_rng(4)
    odd = -unit(np.ones((1, 8)))
    windows = np.concatenate([around(rng, np.ones(8), 20, 0.3), odd, np.eye(8, dtype=np.float32)])
    kept = representatives(windows, 10)
    assert len(kept.vectors) == 10
    assert (windows @ kept.vectors.T).max(axis=1).min() > 0.6


@pytest.mark.parametrize("count", [1, 2, 31])
def test_more_representatives_never_lose_ground_by_much(count):
    windows = unit(np.random.default_rng(5).normal(size=(300, 24)))

    def fit(r: int) -> float:
        return float((windows @ representatives(windows, r).vectors.T).max(axis=1).mean())

    assert fit(count + 8) > fit(count)


def test_shared_means_equal_a_loop_over_heads():
    draw = np.random.default_rng(4)
    values = draw.normal(size=(5, 7, 12)).astype(np.float32)
    shares = draw.random((5, 7, 3)).astype(np.float32) ** 8  # of many orders of magnitude
    shares[0, 0] = 0
    spans = window_spans(5, 7, (1, 2, 4))
    got = shared_means(values, shares, spans)
    for row, (top, left, high, wide) in zip(got, spans.tolist(), strict=True):
        part = values[top : top + high, left : left + wide].reshape(-1, 3, 4).astype(np.float64)
        weights = shares[top : top + high, left : left + wide].reshape(-1, 3).astype(np.float64)
        for head in range(3):
            own = weights[:, head]
            own = own if own.sum() else np.ones_like(own)
            wanted = (own[:, None] * part[:, head]).sum(0) / own.sum()
            np.testing.assert_allclose(row[4 * head : 4 * head + 4], wanted, atol=1e-5)


def test_equal_shares_are_plain_means():
    draw = np.random.default_rng(5)
    values = draw.normal(size=(4, 6, 8)).astype(np.float32)
    spans = window_spans(4, 6, (1, 3))
    got = shared_means(values, np.full((4, 6, 2), 0.01, np.float32), spans)
    np.testing.assert_allclose(got, window_means(values, spans), atol=1e-5)
