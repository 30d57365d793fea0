"""Resize rules, crops and the convenience of ``encode_image`` / ``encode_text``."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from needlepoint.encoders.convenience import EncodesImages, EncodesTexts, as_pixels
from needlepoint.encoders.preprocess import Preprocess
from needlepoint.encoders.text import CANONICAL
from needlepoint.errors import PictureError, UsageError
from needlepoint.parts import ImageFeatures, TextFeatures
from needlepoint.picture import Picture

PLAIN = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}


def _ramp(height, width):
    """Red grows to the right, green grows downwards."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[..., 0] = np.linspace(0, 255, width)
    picture[..., 1] = np.linspace(0, 255, height)[:, None]
    return picture


def test_squash_keeps_all_and_crop_keeps_the_centre():
    wide = _ramp(50, 200)
    squashed = Preprocess(32, "squash", "bicubic", **PLAIN).batch([wide])[0]
    assert squashed[0, 0, 0] < 0.05
    assert squashed[0, 0, -1] > 0.95
    cropped = Preprocess(32, "shortest-crop", "bicubic", **PLAIN).batch([wide])[0]
    assert 0.3 < cropped[0, 0, 0] < 0.45  # three eighths of the width are cut off
    assert cropped[1, 0, 0] < 0.05  # nothing is cut off above
    padded = Preprocess(32, "longest-pad", "bicubic", **PLAIN).batch([wide])[0]
    assert (padded[:, 0] == 0).all()  # black above
    assert padded[0, 16, -1] > 0.95


def test_values_are_normalised_by_channel():
    told = Preprocess(8, "squash", "bilinear", (0.5, 0.25, 0.0), (0.5, 0.25, 2.0))
    white = told.batch([np.full((9, 9, 3), 255, np.uint8)])
    np.testing.assert_allclose(white[0, :, 0, 0], [1, 3, 0.5], atol=1e-6)
    assert white.dtype == np.float32
    assert white.shape == (1, 3, 8, 8)


def test_the_grid_keeps_the_shape_of_the_picture():
    told = Preprocess(32, "squash", "bicubic", **PLAIN)
    assert told.grid(_ramp(100, 200), 256, 16).shape == (1, 3, 128, 256)
    assert told.grid(_ramp(3, 4000), 160, 16).shape == (1, 3, 16, 160)
    assert told.grid(_ramp(10, 10), 5, 16).shape == (1, 3, 16, 16)


def test_unknown_filters_are_refused():
    with pytest.raises(UsageError, match="allowed: nearest, bilinear, bicubic"):
        Preprocess(32, "squash", "sinc", **PLAIN)


@pytest.mark.parametrize(
    ("rule", "text", "expected"),
    [
        ("siglip", " A  dog, it's_here! ", "a dog itshere"),
        ("canonicalize", "A dog, it&amp;s_here!", "a dog its here"),
        ("lower", "A Dog!", "a dog!"),
        ("clip", " A &lt;Dog&gt;\n", "a <dog>"),
        ("whitespace", " A\tDog ", "A Dog"),
        ("none", " A ", " A "),
    ],
)
def test_canonical_texts(rule, text, expected):
    assert CANONICAL[rule](text) == expected


class Toy(EncodesImages, EncodesTexts):
    """Mean colour, and length of the text."""

    seen: list[int]

    def __init__(self):
        self.seen = []

    def image_features(self, pictures):
        self.seen.append(len(pictures))
        return ImageFeatures(np.stack([p.mean((0, 1)) for p in pictures]).astype(np.float32))

    def text_features(self, texts):
        return TextFeatures(np.array([[len(t)] for t in texts], np.float32))


def test_one_gives_a_vector_many_give_a_matrix(tmp_path):
    toy, picture = Toy(), _ramp(20, 30)
    path = tmp_path / "p.png"
    Image.fromarray(picture).save(path)
    one = toy.encode_image(path)
    assert one.shape == (3,)
    for form in (str(path), Image.fromarray(picture), picture, Picture.from_pixels(picture)):
        np.testing.assert_array_equal(toy.encode_image(form), one)
        np.testing.assert_array_equal(toy.encode_image([form, form]), [one, one])
    np.testing.assert_array_equal(toy.encode_image(p for p in [picture] * 3), [one] * 3)
    np.testing.assert_array_equal(toy.encode_image(np.stack([picture] * 2)), [one] * 2)
    assert toy.encode_text("abc").tolist() == [3]
    assert toy.encode_text(["abc", "a"]).tolist() == [[3], [1]]
    assert toy.encode_text(t for t in ("a",)).tolist() == [[1]]


def test_many_go_in_batches():
    toy = Toy()
    assert toy.encode_image([_ramp(4, 4)] * 5, batch=2).shape == (5, 3)
    assert toy.seen == [2, 2, 1]
    with pytest.raises(UsageError, match="batch: must be at least 1"):
        toy.encode_image([_ramp(4, 4)], batch=0)
    with pytest.raises(UsageError, match="empty"):
        toy.encode_image([])


def test_pictures_are_turned_upright_and_freed_of_alpha(tmp_path):
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(_ramp(20, 30)).save(path, exif=exif)
    assert as_pixels(path).shape == (30, 20, 3)
    clear = np.zeros((2, 2, 4), np.uint8)
    np.testing.assert_array_equal(as_pixels(clear), np.full((2, 2, 3), 128))
    assert as_pixels(np.zeros((2, 3), np.uint8)).shape == (2, 3, 3)


def test_what_is_no_picture_is_said(tmp_path):
    with pytest.raises(UsageError, match=r"received float64 \[2, 2, 3\]"):
        as_pixels(np.zeros((2, 2, 3)))
    with pytest.raises(UsageError, match="received int"):
        as_pixels(3)
    with pytest.raises(PictureError, match="no such file"):
        as_pixels(tmp_path / "none.jpg")
    (tmp_path / "text.jpg").write_text("hello")
    with pytest.raises(PictureError, match="cannot be read"):
        as_pixels(tmp_path / "text.jpg")
