"""Maps, windows and geometry of LARE: numbers, counts and edges; no encoder is needed."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from needlepoint.encoders.builtin.encoder import builtin_card
from needlepoint.encoders.preprocess import Preprocess
from needlepoint.regions.attention import (
    inverse_map,
    picture_boxes,
    propose,
    resize_maps,
    seen_area,
    suppress,
    window_places,
    window_scores,
)

RNG = np.random.default_rng(5)


def card(side=224, rule="squash", **extra):
    from dataclasses import replace

    return replace(builtin_card(), input_size=side, resize=rule, extra=extra)


def windows_of(side, width, height, geometry="released", **facts):
    area = seen_area(card(side, **facts), width, height, geometry)
    return picture_boxes(window_places(side), 64, side, area, width, height)


# -- the map


def defined_map(received, grid, side, heads):
    """Section 2.2 of the method in float64, one number at a time."""
    made = []
    for picture in received.astype(np.float64):
        scaled = [(h - h.min()) / (h.max() - h.min() + 1e-8) for h in picture]
        order = sorted(
            range(len(scaled)), key=lambda i: ((scaled[i] - scaled[i].mean()) ** 2).mean()
        )
        mean = np.mean([scaled[i] for i in order[-heads:]], axis=0).reshape(grid)
        rows = [
            [interpolated(mean, (y + 0.5) * grid[0] / side - 0.5, (x + 0.5) * grid[1] / side - 0.5)
             for x in range(side)]
            for y in range(side)
        ]  # fmt: skip
        made.append(1 - np.array(rows))
    return np.array(made)


def interpolated(cells, v, u):
    top, left = int(np.floor(v)), int(np.floor(u))
    total = 0.0
    for row, col in itertools.product((top, top + 1), (left, left + 1)):
        share = (1 - abs(v - row)) * (1 - abs(u - col))
        total += share * cells[np.clip(row, 0, len(cells) - 1), np.clip(col, 0, len(cells[0]) - 1)]
    return total


@pytest.mark.parametrize(
    ("heads", "grid", "side"), [(3, (5, 5), 40), (12, (7, 7), 33), (6, (4, 6), 32)]
)
def test_the_map_is_its_definition(heads, grid, side):
    received = RNG.gamma(0.5, size=(2, heads, grid[0] * grid[1])).astype(np.float32)
    found = inverse_map(received, grid, side)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, defined_map(received, grid, side, 4), atol=1e-6, rtol=0)


@given(st.integers(0, 10**6), st.integers(1, 9))
def test_the_map_lies_within_0_and_1(seed, heads):
    rng = np.random.default_rng(seed)
    found = inverse_map(rng.normal(size=(2, heads, 16)).astype(np.float32), (4, 4), 21)
    assert found.min() >= 0
    assert found.max() <= 1


def test_flat_attention_gives_1_everywhere():
    for value in (0.0, 1 / 196, 3e-9):
        found = inverse_map(np.full((1, 12, 196), value, np.float32), (14, 14), 224)
        np.testing.assert_array_equal(found, np.ones((1, 224, 224), np.float32))
        np.testing.assert_array_equal(window_scores(found), np.ones((1, 36), np.float32))


def test_the_order_of_heads_and_the_batch_change_no_bit():
    received = RNG.gamma(0.5, size=(3, 12, 49)).astype(np.float32)
    found = inverse_map(received, (7, 7), 100)
    for _ in range(5):
        np.testing.assert_array_equal(
            inverse_map(received[:, RNG.permutation(12)], (7, 7), 100), found
        )
    for i in range(3):
        np.testing.assert_array_equal(inverse_map(received[i : i + 1], (7, 7), 100)[0], found[i])
        np.testing.assert_array_equal(window_scores(found[i : i + 1])[0], window_scores(found)[i])


def test_of_equal_heads_the_later_counts():
    """Four spread heads that differ in place alone, and one more of the same spread."""
    heads = np.eye(5, 9, dtype=np.float32)
    found = inverse_map(heads[None], (3, 3), 3)[0].ravel()
    np.testing.assert_allclose(found, [1, 0.75, 0.75, 0.75, 0.75, 1, 1, 1, 1], atol=1e-6)


def test_enlarging_is_that_of_opencv():
    """Half-pixel centres: twice the size mixes 3 to 1, and the edge is held."""
    found = resize_maps(np.float32([[[0, 1, 3]]]), 6)[0, 0]
    np.testing.assert_array_equal(found, [0, 0.25, 0.75, 1.5, 2.5, 3])
    same = RNG.random((1, 9, 9), np.float32)
    np.testing.assert_array_equal(resize_maps(same, 9), same)
    # four times smaller without anti-aliasing: between cells 1 and 2 of every four
    found = resize_maps(np.arange(8, dtype=np.float32)[None, None], 2)[0, 0]
    np.testing.assert_array_equal(found, [1.5, 5.5])


# -- windows


@pytest.mark.parametrize(
    ("side", "count"), [(32, 0), (63, 0), (64, 1), (224, 36), (336, 81), (384, 121)]
)
def test_how_many_windows_there_are(side, count):
    assert len(window_places(side)) == count
    assert window_scores(np.zeros((2, side, side), np.float32)).shape == (2, count)


@pytest.mark.parametrize(
    ("side", "window", "stride"),
    [(224, 64, 32), (336, 64, 32), (97, 48, 20), (70, 7, 7), (64, 64, 1)],
)
def test_the_table_of_tiles_gives_the_mean_of_every_window(side, window, stride):
    maps = RNG.random((2, side, side), np.float32)
    found = window_scores(maps, window, stride)
    slow = [
        [m[y : y + window, x : x + window].mean() for x, y in window_places(side, window, stride)]
        for m in maps
    ]
    np.testing.assert_allclose(found, slow, atol=1e-6, rtol=0)


def test_windows_come_row_by_row():
    assert window_places(128).tolist() == [[x, y] for y in (0, 32, 64) for x in (0, 32, 64)]


# -- suppression

corner = st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(1, 40), st.integers(1, 40))


def iou(a, b):
    w = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    h = max(0, min(a[3], b[3]) - max(a[1], b[1]))
    area = [(c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)]
    return w * h / (sum(area) - w * h)


@settings(max_examples=150)
@given(
    st.lists(st.tuples(corner, st.sampled_from([0.1, 0.2, 0.5, 0.9])), max_size=25),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.integers(0, 6),
)
def test_suppression_is_greedy_stable_and_leaves_little_overlap(drawn, limit, count):
    boxes = np.array([(x, y, x + w, y + h) for (x, y, w, h), _ in drawn], np.int64).reshape(-1, 4)
    scores = np.array([score for _, score in drawn], np.float32)
    kept = suppress(boxes, scores, limit, count).tolist()
    slow: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        if all(iou(boxes[i], boxes[j]) <= limit for j in slow):
            slow.append(i)
    assert kept == slow[:count]
    assert (np.diff(scores[kept]) <= 0).all()


# -- boxes in the picture


@pytest.mark.parametrize(("side", "first"), [(224, 109), (336, 164), (384, 187)])
def test_up_to_this_size_square_pictures_have_no_regions(side, first):
    flat = np.ones(len(window_places(side)), np.float32)
    assert not len(propose(windows_of(side, first - 1, first - 1), flat).boxes)
    assert len(propose(windows_of(side, first, first), flat).boxes)


def test_with_a_constant_map_these_counts_come_out():
    flat = np.ones(36, np.float32)
    for side, count in ((108, 0), (109, 1), (112, 18)):
        boxes = windows_of(224, side, side)
        found = propose(boxes, flat, count=99)
        assert len(found.boxes) == count
    sizes = np.diff(windows_of(224, 109, 109).reshape(-1, 2, 2), axis=1)[:, 0]
    assert (sizes.prod(axis=1) >= 1024).sum() == 1


def test_boxes_are_floors_of_scaled_corners():
    for side, width, height in ((224, 500, 333), (384, 1000, 7), (336, 31, 4000)):
        found = windows_of(side, width, height)
        slow = [
            [
                x * width // side,
                y * height // side,
                (x + 64) * width // side,
                (y + 64) * height // side,
            ]
            for x, y in window_places(side).tolist()
        ]
        assert found.tolist() == slow


def test_a_flat_picture_has_proposals_but_no_crops():
    """The area passes, the side does not; what is dropped is not replaced."""
    boxes = windows_of(224, 900, 80)
    scores = RNG.random(36).astype(np.float32)
    released = propose(boxes, scores)
    assert len(released.boxes) == 5
    assert not released.large.any()
    assert not len(propose(boxes, scores, sides_first=True).boxes)


def test_a_short_box_takes_a_place_only_as_released():
    boxes = np.array([[0, 0, 100, 31], [0, 0, 100, 40], [200, 0, 300, 40]], np.int64)
    scores = np.float32([0.9, 0.8, 0.7])
    released = propose(boxes, scores, count=2)
    assert released.boxes.tolist() == [boxes[0].tolist(), boxes[2].tolist()]
    assert released.large.tolist() == [False, True]
    ours = propose(boxes, scores, count=2, sides_first=True)
    assert ours.boxes.tolist() == boxes[1:].tolist()
    assert ours.large.all()


RULES = {
    "crop": {"rule": "shortest-crop", "shortest": 0, "rounding": "half-even"},
    "crop-of-256": {"rule": "shortest-crop", "shortest": 256, "rounding": "floor"},
    "squash": {"rule": "squash"},
    "pad": {"rule": "longest-pad"},
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("size", [(640, 400), (301, 777), (500, 500), (90, 1000)])
def test_corrected_boxes_hold_the_pixels_that_the_window_showed(rule, size):
    """Each pixel of a picture says where it is; the encoder's own resize moves that along."""
    facts, (width, height) = RULES[rule], size
    ramp = np.zeros((height, width, 3), np.uint8)
    ramp[..., 0] = np.round(np.linspace(0, 255, width))[None]
    ramp[..., 1] = np.round(np.linspace(0, 255, height))[:, None]
    ramp[..., 2] = 255  # black is padding
    how = {k: v for k, v in facts.items() if k != "rule"}
    seen = Preprocess(224, facts["rule"], "bicubic", (0.0,) * 3, (1.0,) * 3, **how).batch([ramp])[0]
    boxes = windows_of(224, width, height, "corrected", **facts)
    for (x, y), (x1, y1, x2, y2) in zip(window_places(224).tolist(), boxes.tolist(), strict=True):
        red, green, real = seen[:, y : y + 64, x : x + 64]
        inside = real > 0.98
        if not inside.any():
            assert (x2 - x1) * (y2 - y1) <= max(width, height)  # nothing of the picture but an edge
            continue
        middle = [red[inside].mean() * (width - 1), green[inside].mean() * (height - 1)]
        allowed = 2 + np.array([width, height]) / 100
        assert (np.abs(np.array(middle) - [(x1 + x2) / 2, (y1 + y2) / 2]) <= allowed).all()


def test_released_geometry_displaces_boxes_of_a_centre_crop():
    """The point of the correction: on a wide picture the same window means other places."""
    facts = RULES["crop"]
    wide = {g: windows_of(224, 896, 224, g, **facts)[0].tolist() for g in ("released", "corrected")}
    assert wide == {"released": [0, 0, 256, 64], "corrected": [336, 0, 400, 64]}
    square = [windows_of(224, 500, 500, g, **facts) for g in ("released", "corrected")]
    np.testing.assert_array_equal(*square)
    squashed = [windows_of(384, 640, 333, g) for g in ("released", "corrected")]
    np.testing.assert_array_equal(*squashed)


def test_a_map_that_covers_the_picture_is_stretched():
    assert seen_area(builtin_card(), 300, 200, "corrected") == seen_area(
        builtin_card(), 300, 200, "released"
    )
