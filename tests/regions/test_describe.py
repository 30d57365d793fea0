"""Descriptions: the same numbers alone and in company, boxes in pixels of the original."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from needlepoint.encoders.builtin.encoder import BuiltinEncoder
from needlepoint.errors import UsageError
from needlepoint.intake.decode import decode
from needlepoint.parts import EncoderCard, ImageFeatures, SpaceCard
from needlepoint.picture import Picture
from needlepoint.regions.describe import describe, grid_boxes
from needlepoint.regions.recipe import Recipe

SAMPLES = Path(__file__).resolve().parents[2] / "samples" / "pictures"
RECIPES = ["none", "dense", "dense:5", "windows:4"]


@pytest.fixture(scope="module")
def encoder() -> BuiltinEncoder:
    return BuiltinEncoder(threads=1)


def picture(name: str, size: tuple[int, int]) -> Picture:
    with Image.open(SAMPLES / name) as image:
        return Picture.from_pixels(np.asarray(image.convert("RGB").resize(size)))


@pytest.fixture(scope="module")
def pictures() -> list[Picture]:
    return [
        picture("photo-cat.jpg", (301, 203)),
        picture("desk-00.jpg", (320, 240)),
        picture("yard-04.jpg", (90, 330)),
        picture("photo-coffee.jpg", (301, 203)),
        picture("photo-coffee.jpg", (17, 9)),
    ]


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_description_is_the_same_bit_for_bit_in_any_company(encoder, pictures, recipe):
    recipe = Recipe.parse(recipe)
    together = describe(encoder, pictures, recipe)
    backwards = describe(encoder, pictures[::-1], recipe)[::-1]
    for one, many, other in zip(pictures, together, backwards, strict=True):
        (alone,) = describe(encoder, [one], recipe)
        for a, b, c in zip(alone, many, other, strict=True):
            assert a.space == b.space == c.space
            for part in ("whole", "regions", "boxes"):
                np.testing.assert_array_equal(getattr(a, part), getattr(b, part))
                np.testing.assert_array_equal(getattr(a, part), getattr(c, part))


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_space_is_filled_with_unit_vectors_and_boxes_inside(encoder, pictures, recipe):
    recipe = Recipe.parse(recipe)
    for one, found in zip(pictures, describe(encoder, pictures, recipe), strict=True):
        assert [(d.space, len(d.whole)) for d in found] == [("look", 384), ("words", 64)]
        for d in found:
            assert d.regions.shape[1:] == d.whole.shape
            assert d.boxes.shape == (len(d.regions), 4)
            assert len(d.regions) <= recipe.count
            assert d.whole.dtype == d.regions.dtype == d.boxes.dtype == np.float32
            every = np.concatenate([d.whole[None], d.regions])
            np.testing.assert_allclose(np.linalg.norm(every, axis=1), 1, atol=1e-5)
            x, y, w, h = d.boxes.T
            width, height = one.size
            assert (x >= 0).all()
            assert (y >= 0).all()
            assert (w > 0).all()
            assert (h > 0).all()
            assert (x + w <= width + 0.01).all()
            assert (y + h <= height + 0.01).all()
        np.testing.assert_array_equal(found[0].boxes, found[1].boxes)


def test_both_spaces_speak_of_the_same_windows(encoder, pictures):
    """A region's words are those of its own box, not of another's."""
    look, words = describe(encoder, pictures[1:2], Recipe.parse("dense:6"))[0]
    dense = encoder.dense_features(pictures[1].pixels, long_side=1024)
    for box, vector in zip(words.boxes, words.regions, strict=True):
        x, y, w, h = box
        rows = slice(round(y / dense.step_y), round((y + h) / dense.step_y))
        cols = slice(round(x / dense.step_x), round((x + w) / dense.step_x))
        mean = dense.cells[rows, cols].mean((0, 1))
        np.testing.assert_allclose(vector, encoder.project(mean, "words"), atol=1e-4)
    assert look.regions.shape == (6, 384)


def test_a_picture_of_one_cell_has_one_region_all_over(encoder):
    one = Picture.from_pixels(np.full((30, 30, 3), 90, np.uint8))
    for d in describe(encoder, [one], Recipe.parse("dense:32"))[0]:
        assert len(d.regions) <= 32
        assert (d.boxes[:, 0] + d.boxes[:, 2]).max() == pytest.approx(30, abs=0.01)
    strip = Picture.from_pixels(np.full((2, 150, 3), 90, np.uint8))
    (look, _) = describe(encoder, [strip], Recipe.parse("dense:32"))[0]
    assert (look.boxes[:, 3] == 2).all()


def test_boxes_are_in_pixels_of_the_original_when_it_was_decoded_smaller(encoder):
    """A thing in the lower right corner of a large JPEG is boxed there, at any scale."""
    with Image.open(SAMPLES / "photo-cat.jpg") as image:
        thing = image.convert("RGB").resize((400, 400))
    large = Image.new("RGB", (4000, 3000), (96, 140, 90))
    large.paste(thing, (3500, 2500))
    file = io.BytesIO()
    large.save(file, "JPEG", quality=90)
    question = encoder.query_features([np.asarray(thing)])[0]
    found = {}
    for at_least in (0, 1024):
        small = decode(file.getvalue(), at_least=at_least)
        assert small.size == (4000, 3000)
        for recipe in ("dense:8", "windows:9"):
            look = describe(encoder, [small], Recipe.parse(recipe))[0][0]
            found[at_least, recipe] = look.boxes
            x, y, w, h = look.boxes[np.argmax(look.regions @ question)]
            assert 3400 < x + w / 2 < 4000 or recipe == "windows:9"
            assert 2400 < y + h / 2 < 3000 or recipe == "windows:9"
            assert x >= 1900
            assert y >= 1400
    assert decode(file.getvalue(), at_least=1024).scale_x > 1.9  # it was decoded smaller
    np.testing.assert_allclose(found[0, "windows:9"], found[1024, "windows:9"], atol=4)


@pytest.mark.parametrize("count", [4, 9, 25])
@pytest.mark.parametrize("size", [(1, 1), (1, 300), (3, 2), (401, 199)])
def test_the_grid_lies_inside_and_covers_the_picture(size, count):
    width, height = size
    boxes = np.array(grid_boxes(width, height, count))
    assert boxes.shape == (count, 4)
    assert (boxes[:, 2:] >= 1).all()
    assert boxes.min() >= 0
    covered = np.zeros((height, width), bool)
    for x, y, w, h in boxes.tolist():
        assert x + w <= width
        assert y + h <= height
        covered[y : y + h, x : x + w] = True
    assert covered.all()


class Plain:
    """An encoder without a map: the mean colour of a picture."""

    card = EncoderCard(
        address="plain", title="", family="test", dim=3,
        spaces=(SpaceCard("joint", 3, "i8", ("image",)),), input_size=8, resize="squash",
        mean=(0, 0, 0), std=(1, 1, 1), interpolation="none", weights_hash="0", licence="",
    )  # fmt: skip

    def image_features(self, pictures, *, want=frozenset(), block=-1):
        rows = np.stack([p.mean((0, 1)) for p in pictures]).astype(np.float32)
        return ImageFeatures(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def test_an_encoder_without_a_map_is_refused_dense_and_told_what_else(pictures):
    with pytest.raises(UsageError, match=r"plain has no map of cells.*windows:9"):
        describe(Plain(), pictures[:1], Recipe.parse("dense"))
    (found,) = describe(Plain(), pictures[:1], Recipe.parse("windows:4"))[0]
    crop = pictures[0].pixels[:135, :201]
    np.testing.assert_allclose(
        found.regions[0], Plain().image_features([crop]).vector[0], atol=0.02
    )
