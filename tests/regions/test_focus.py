"""What a picture to ask with is about: its piece, or the thing on plain ground."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from needlepoint.errors import UsageError
from needlepoint.intake.decode import decode
from needlepoint.picture import Facts, Picture
from needlepoint.regions.focus import cut, focus, thing_on_plain


def numbered(width: int, height: int) -> np.ndarray:
    """Every pixel says where it is: red its column, green its row."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.arange(width)[None, :]
    pixels[..., 1] = np.arange(height)[:, None]
    return pixels


def shrunk(width: int, height: int, by: int) -> Picture:
    small = numbered(width // by, height // by)
    return Picture(small, Facts(width, height, "JPEG"))


def test_a_box_is_cut_exactly_at_full_size():
    piece = cut(Picture.from_pixels(numbered(100, 60)), (10, 20, 30, 5))
    assert piece.shape == (5, 30, 3)
    assert piece[0, 0].tolist() == [10, 20, 0]
    assert piece[-1, -1].tolist() == [39, 24, 0]


def test_a_box_is_clipped_to_the_picture():
    piece = cut(Picture.from_pixels(numbered(100, 60)), (-5, 50, 20, 40))
    assert piece.shape == (10, 15, 3)
    assert piece[0, 0].tolist() == [0, 50, 0]


def test_a_box_is_in_pixels_of_the_original_of_a_picture_decoded_smaller():
    piece = cut(shrunk(800, 400, 4), (400, 200, 80, 40))
    assert piece.shape == (10, 20, 3)
    assert piece[0, 0].tolist() == [100, 50, 0]


def test_a_tiny_box_still_has_a_pixel():
    for box in ((799, 399, 1, 1), (0, 0, 1, 1), (398.9, 10.2, 1.5, 1.5)):
        assert min(cut(shrunk(800, 400, 8), box).shape[:2]) >= 1


@pytest.mark.parametrize(
    "box", [(100, 0, 5, 5), (0, 60, 5, 5), (-10, 0, 10, 5), (5, 5, 0.5, 9), (5, 5, 9, 0)]
)
def test_a_box_outside_the_picture_is_refused_with_its_size(box):
    with pytest.raises(UsageError, match="100 x 60"):
        cut(Picture.from_pixels(numbered(100, 60)), box)


def on_plain(colour: int = 250, noise: int = 4) -> np.ndarray:
    rng = np.random.default_rng(0)
    pixels = np.full((120, 200, 3), colour, np.int16)
    pixels += rng.integers(-noise, noise + 1, pixels.shape)
    pixels[40:90, 60:110] = rng.integers(0, 120, (50, 50, 3))
    return np.clip(pixels, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("colour", [250, 200])
def test_a_thing_on_plain_ground_is_found_and_cut_out(colour):
    pixels = on_plain(colour)
    assert thing_on_plain(pixels) == (40, 60, 90, 110)
    np.testing.assert_array_equal(focus(Picture.from_pixels(pixels)), pixels[40:90, 60:110])


def test_a_thing_that_reaches_one_border_is_still_found():
    pixels = np.full((100, 300, 3), 255, np.uint8)
    pixels[60:, 100:130] = 20
    assert thing_on_plain(pixels) == (60, 100, 100, 130)


def test_specks_are_no_thing():
    pixels = on_plain()
    pixels[5, 5] = 0
    pixels[110, 190] = 0
    assert thing_on_plain(pixels) == (40, 60, 90, 110)
    empty = np.full((60, 60, 3), 240, np.uint8)
    empty[10:13, 10:13] = 0
    assert thing_on_plain(empty) is None


def test_a_picture_with_a_real_background_stays_whole():
    pixels = np.random.default_rng(1).integers(0, 255, (80, 90, 3), dtype=np.uint8)
    assert thing_on_plain(pixels) is None
    assert focus(Picture.from_pixels(pixels)) is pixels


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (7, 7)])
def test_tiny_pictures_are_left_alone(shape):
    pixels = np.full((*shape, 3), 255, np.uint8)
    assert focus(Picture.from_pixels(pixels)).shape == (*shape, 3)


def test_transparency_tells_where_the_thing_is():
    clear = np.zeros((60, 80, 4), np.uint8)
    clear[10:40, 20:70] = [200, 30, 30, 255]
    file = io.BytesIO()
    Image.fromarray(clear).save(file, "PNG")
    piece = focus(decode(file.getvalue()))
    assert piece.shape == (30, 50, 3)
    assert (piece == [200, 30, 30]).all()
