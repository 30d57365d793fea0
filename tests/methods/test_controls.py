"""The controls cut what they say, share LARE's cutting, and hang on no other picture."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from needlepoint.encoders.builtin.encoder import BuiltinEncoder
from needlepoint.errors import UsageError
from needlepoint.methods.card import describer_of, find_method
from needlepoint.methods.controls.five_crop import five_boxes
from needlepoint.methods.controls.grid import grid_cells
from needlepoint.methods.controls.random_windows import random_boxes
from needlepoint.picture import Picture
from needlepoint.regions.attention import picture_boxes, seen_area, window_places
from needlepoint.regions.cropped import CropDescriber, boxes_array, cut_box, squeezed
from needlepoint.search.fusion import BEST, Fusion

CONTROLS = (
    "random-windows",
    "attention-windows",
    "five-crop",
    "grid",
    "detector-crops:objects=windows:4",
)


@pytest.fixture(scope="module")
def encoder():
    return BuiltinEncoder(threads=1)


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(2)
    sizes = [(240, 320), (300, 200), (224, 224)]
    found = []
    for number, (height, width) in enumerate(sizes):
        small = rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)
        pixels = np.asarray(Image.fromarray(small).resize((width, height)))
        found.append(Picture.from_pixels(pixels, f"{number}.png"))
    return found


@pytest.mark.parametrize("recipe", CONTROLS)
def test_no_picture_changes_another(encoder, pictures, recipe):
    describer = describer_of(recipe)
    together = describer.describe(encoder, pictures)
    for number, picture in reversed(list(enumerate(pictures))):
        alone = describer.describe(encoder, [picture])[0]
        assert [one.space for one in alone] == ["look", "words"]
        for one, other in zip(alone, together[number], strict=True):
            np.testing.assert_array_equal(one.boxes, other.boxes)
            np.testing.assert_allclose(one.whole, other.whole, atol=1e-6)
            np.testing.assert_allclose(one.regions, other.regions, atol=1e-6)
    assert describer_of(describer.recipe).recipe == describer.recipe


@pytest.mark.parametrize("recipe", [*CONTROLS, "lare"])
def test_every_region_is_the_vector_of_its_own_box(encoder, pictures, recipe):
    found = describer_of(recipe).describe(encoder, pictures)
    for picture, (look, _) in zip(pictures, found, strict=True):
        assert len(look.regions) == len(look.boxes) > 0
        np.testing.assert_allclose(
            look.whole, encoder.image_features([picture.pixels]).vector[0], atol=1e-6
        )
        for vector, box in zip(look.regions, look.boxes, strict=True):
            crop = cut_box(picture, box)
            crop = crop if recipe.startswith("detector") else squeezed(crop, 224)
            own = encoder.image_features([crop]).vector[0]
            np.testing.assert_allclose(vector, own, atol=1e-6)


def test_random_windows_are_windows_of_lare_that_hardly_overlap(encoder, pictures):
    card = encoder.card
    for picture in pictures:
        width, height = picture.size
        area = seen_area(card, width, height, "corrected")
        known = {tuple(b) for b in picture_boxes(window_places(224), 64, 224, area, width, height)}
        for count in (1, 5, 36):
            boxes = random_boxes(picture, card, count, seed=0)
            corners = {(x, y, x + w, y + h) for x, y, w, h in boxes.astype(int).tolist()}
            assert len(corners) == len(boxes) <= count
            assert corners <= known
        np.testing.assert_array_equal(
            random_boxes(picture, card, 3, 0), random_boxes(picture, card, 5, 0)[:3]
        )


def test_random_windows_hang_on_pixels_and_seed(encoder, pictures):
    card, picture = encoder.card, pictures[0]
    first = random_boxes(picture, card, 5, 0)
    np.testing.assert_array_equal(first, random_boxes(replace(picture, source="x"), card, 5, 0))
    assert not np.array_equal(first, random_boxes(picture, card, 5, 1))
    pixels = picture.pixels.copy()
    pixels[0, 0, 0] ^= 1
    assert not np.array_equal(first, random_boxes(Picture.from_pixels(pixels), card, 5, 0))


def test_random_windows_are_spread_evenly(encoder):
    rng = np.random.default_rng(0)
    seen = np.zeros((6, 6))
    for _ in range(600):
        picture = Picture.from_pixels(rng.integers(0, 255, (224, 224, 3), dtype=np.uint8))
        x, y, _, _ = random_boxes(picture, encoder.card, 1, 0)[0].astype(int)
        seen[y // 32, x // 32] += 1
    # a mean of 16.7 in each of 36 places; 3 and 38 are more than four deviations away
    assert seen.min() > 3
    assert seen.max() < 38


def test_attention_windows_are_lare_upside_down(encoder, pictures):
    """With as many windows as do not overlap, both see the same ones, in opposite order."""
    low = describer_of("lare:n=9,stride=64,iou=0").describe(encoder, pictures[2:])[0][0]
    high = describer_of("attention-windows:n=9,stride=64,iou=0").describe(encoder, pictures[2:])
    np.testing.assert_array_equal(low.boxes, high[0][0].boxes[::-1])
    assert len(low.boxes) == 9


def test_cells_of_a_grid_tile_the_picture():
    for width, height, n in ((100, 70, 3), (33, 200, 4), (64, 64, 2)):
        covered = np.zeros((height, width), int)
        for x, y, w, h in grid_cells(width, height, n).astype(int).tolist():
            covered[y : y + h, x : x + w] += 1
        assert (covered == 1).all()


def test_five_crops_are_corners_and_middle():
    boxes = five_boxes(200, 100, 0.4).tolist()
    assert boxes[:4] == [[0, 0, 80, 40], [120, 0, 80, 40], [0, 60, 80, 40], [120, 60, 80, 40]]
    assert boxes[4] == [60, 30, 80, 40]


def test_boxes_are_cut_to_the_picture_and_small_ones_dropped(encoder, pictures):
    given = boxes_array([(-20, -20, 60, 60), (10, 10, 31, 90), (0, 0, 32, 32), (300, 0, 90, 90)])
    describer = CropDescriber("test", lambda encoder, pictures: [given for _ in pictures])
    found = describer.describe(encoder, pictures[:1])[0][0]
    assert found.boxes.tolist() == [[0, 0, 40, 40], [0, 0, 32, 32]]
    assert len(found.regions) == 2
    none = CropDescriber("test", lambda encoder, pictures: [boxes_array([]) for _ in pictures])
    empty = none.describe(encoder, pictures)
    assert [len(one[0].regions) for one in empty] == [0, 0, 0]
    assert empty[0][0].regions.shape == (0, encoder.card.dim)
    assert none.describe(encoder, []) == []


def test_truth_crops_are_the_annotated_boxes(encoder, pictures, tmp_path):
    file = tmp_path / "truth.json"
    images = [
        {"id": i, "file_name": p.source, "width": p.size[0], "height": p.size[1]}
        for i, p in enumerate(pictures)
    ]
    boxes = [{"image_id": 1, "bbox": [10, 20, 9, 40]}, {"image_id": 1, "bbox": [0, 0, 100, 50]}]
    file.write_text(json.dumps({"images": images, "annotations": boxes}))
    found = describer_of(f"truth-crops:file={file}").describe(encoder, pictures)
    assert [len(one[0].boxes) for one in found] == [0, 2, 0]
    assert found[1][0].boxes.tolist() == [[10, 20, 9, 40], [0, 0, 100, 50]]
    with pytest.raises(UsageError, match="file is not given"):
        describer_of("truth-crops").describe(encoder, pictures)


def test_detector_crops_keep_the_best_objects(encoder, pictures):
    found = describer_of("detector-crops:objects=windows:9,n=4").describe(encoder, pictures)
    assert [len(one[0].boxes) for one in found] == [4, 4, 4]


def test_the_gate_is_that_of_lare_unless_told(encoder):
    joint = replace(
        encoder.card, spaces=(replace(encoder.card.spaces[0], answers=("image", "text")),)
    )
    lare = find_method("lare").fusion
    for name in ("random-windows", "attention-windows", "five-crop", "grid"):
        fusion = find_method(name).fusion
        for card in (joint, encoder.card):
            assert fusion("", card) == lare("", card)
        assert fusion("tau=0.1", joint) == Fusion("gated", tau=0.1)
        assert fusion("fusion=best", joint) == BEST
        with pytest.raises(UsageError, match="tau is 'x'"):
            fusion("tau=x", joint)
    assert find_method("hard-max").fusion("", joint) == BEST


@pytest.mark.parametrize(
    "recipe", ["grid:n=1", "five-crop:share=0.99", "random-windows:n=0", "detector-crops:n=0"]
)
def test_options_out_of_range_are_refused(recipe):
    with pytest.raises(UsageError, match="Allowed"):
        describer_of(recipe)
