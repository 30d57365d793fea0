"""Target padding: squares stay, the long side is never padded, the shape comes out as asked."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from needlepoint.encoders.preprocess import target_pad

SIDES = st.integers(1, 300)


@given(SIDES, SIDES, st.floats(1.0, 3.0))
@settings(max_examples=100, deadline=None)
def test_the_long_side_stays_and_the_short_one_reaches_the_ratio(width, height, ratio):
    image = Image.fromarray(np.full((height, width, 3), 255, np.uint8))
    padded = target_pad(image, ratio)
    across, down = padded.size
    long, short = max(width, height), min(width, height)
    assert max(across, down) == long
    assert across >= width
    assert down >= height
    if long < ratio * short:
        assert padded.size == (width, height)
    else:
        assert 0 <= long / ratio - min(across, down) < 2  # both margins are whole pixels
    pixels = np.asarray(padded)
    left, top = (across - width) // 2, (down - height) // 2
    assert (pixels[top : top + height, left : left + width] == 255).all()
    assert pixels.sum() == 255 * 3 * width * height


@given(SIDES, st.floats(1.0, 3.0))
@settings(max_examples=40, deadline=None)
def test_squares_are_left_alone(side, ratio):
    image = Image.fromarray(np.arange(side * side * 3, dtype=np.uint8).reshape(side, side, 3))
    assert (np.asarray(target_pad(image, ratio)) == np.asarray(image)).all()
