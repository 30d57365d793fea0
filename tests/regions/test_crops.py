"""Squares around objects: where they lie, how they meet borders, and masks cut alike."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from needlepoint.regions.crops import ReleasedCrops, square_around


@given(
    st.integers(1, 300), st.integers(1, 300), st.integers(1, 120), st.data()
)  # fmt: skip
def test_a_square_holds_its_box_is_large_enough_and_stays_inside_where_it_fits(
    width, height, least, data
):
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    w, h = data.draw(st.integers(1, width - x)), data.draw(st.integers(1, height - y))
    square = square_around(np.float32([x, y, w, h]), width, height, least)
    assert square.side == max(w, h, least)
    assert square.left <= x
    assert square.left + square.side >= x + w
    assert square.top <= y
    assert square.top + square.side >= y + h
    for start, length in ((square.left, width), (square.top, height)):
        if square.side <= length:
            assert 0 <= start <= length - square.side
        else:
            assert start <= 0
            assert start + square.side >= length


def test_a_box_in_the_middle_is_in_the_middle_of_its_square():
    square = square_around(np.float32([100, 80, 20, 10]), 400, 300, 64)
    assert (square.left, square.top, square.side) == (78, 53, 64)
    large = square_around(np.float32([100, 80, 120, 10]), 400, 300, 64)
    assert (large.left, large.top, large.side) == (100, 25, 120)


def test_picture_and_mask_are_cut_to_the_same_pixel():
    rng = np.random.default_rng(0)
    mask = rng.random((50, 90)) > 0.5
    picture = np.repeat(mask[:, :, None], 3, 2).astype(np.uint8) * 255
    for box in ([0, 0, 5, 5], [85, 45, 5, 5], [40, 20, 10, 8], [0, 0, 90, 50]):
        square = square_around(np.float32(box), 90, 50, 30)
        crop, cut = square.cut(picture), square.cut(mask)
        assert crop.shape == (square.side, square.side, 3)
        np.testing.assert_array_equal(crop[..., 0] > 0, cut)
        top, left = max(-square.top, 0), max(-square.left, 0)
        part = mask[max(square.top, 0) :, max(square.left, 0) :]
        part = part[: square.side - top, : square.side - left]
        np.testing.assert_array_equal(cut[top : top + len(part), left : left + part.shape[1]], part)
        assert cut.sum() == part.sum()  # what lies beyond the picture is nothing


def test_released_crops_come_from_the_small_picture_and_lose_the_last_row():
    rows = np.arange(128, dtype=np.uint8)
    picture = np.stack([*np.meshgrid(rows, rows), np.zeros((128, 128), np.uint8)], -1)
    mask = np.zeros((128, 128), bool)
    mask[40:80, 20:100] = True  # at 64 pixels: rows 20 to 39, columns 10 to 49
    how = ReleasedCrops(64, Image.Resampling.BILINEAR, 0.0, 5)
    ((crop, cut),) = how.cut(picture, [mask])
    small = np.asarray(Image.fromarray(picture).resize((64, 64), Image.Resampling.BILINEAR))
    part = Image.fromarray(small[15:44, 5:54]).resize((64, 64), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(crop, part)
    np.testing.assert_allclose(cut.mean(), 20 * 40 / (29 * 49), atol=0.03)


def test_released_margins_follow_the_encoder_and_stop_at_the_border():
    mask = np.zeros((64, 64), bool)
    mask[0:31, 0:21] = True
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    how = ReleasedCrops(64, Image.Resampling.LANCZOS, 0.1, 0)
    ((crop, _),) = how.cut(picture, [mask])
    np.testing.assert_array_equal(crop, how.resize(picture[0:33, 0:23]))  # margin int(0.1 * 30)


@pytest.mark.parametrize("place", [(0, 0), (63, 63), (30, 30)])
def test_released_masks_of_no_or_one_pixel(place):
    mask = np.zeros((64, 64), bool)
    picture = np.zeros((64, 64, 3), np.uint8)
    how = ReleasedCrops(64, Image.Resampling.LANCZOS, 0.1, 0)
    assert how.cut(picture, [mask]) == [None]
    mask[place] = True
    ((crop, _),) = how.cut(picture, [mask])
    assert crop.shape == (64, 64, 3)
