"""Masks found in an encoder's map by normalised cuts."""

from __future__ import annotations

import numpy as np
import pytest

from needlepoint.encoders.builtin.encoder import BuiltinEncoder
from needlepoint.errors import UsageError
from needlepoint.methods.objects import open_objects
from needlepoint.parts import EncoderCard, ImageFeatures, SpaceCard
from needlepoint.picture import Facts, Picture
from needlepoint.regions.ncut import _largest, cut_parts


def field(rows, cols, things, noise=0.1, seed=0):
    """A map of one background and several things, each with a direction of its own."""
    rng = np.random.default_rng(seed)
    directions = np.linalg.qr(rng.normal(size=(16, 16)))[0]
    cells = np.tile(directions[0], (rows, cols, 1))
    for i, (top, left, bottom, right) in enumerate(things):
        cells[top:bottom, left:right] = directions[i + 1]
    return (cells + noise * rng.normal(size=cells.shape) / 4).astype(np.float32)


THINGS = [(2, 2, 5, 6), (8, 9, 12, 12), (3, 12, 5, 14)]


def test_each_thing_is_found_once_and_to_the_cell():
    parts, scores = cut_parts(field(14, 18, THINGS), 3)
    wanted = []
    for top, left, bottom, right in THINGS:
        mask = np.zeros((14, 18), bool)
        mask[top:bottom, left:right] = True
        wanted.append(mask)
    assert len(parts) == 3
    assert {part.tobytes() for part in parts} == {mask.tobytes() for mask in wanted}
    assert all(0 <= score <= 1 for score in scores)
    assert not np.logical_and.reduce(parts[:2]).any()


def test_a_shift_of_all_features_changes_nothing():
    cells = field(10, 10, THINGS[:1])
    (one,), _ = cut_parts(cells, 1)
    (other,), _ = cut_parts(cells + 50, 1)
    np.testing.assert_array_equal(one, other)


def test_the_vector_is_the_dense_solvers():
    rng = np.random.default_rng(0)
    some = rng.random((60, 60))
    some = np.where(some + some.T > 1.2, 1.0, 1e-5)
    degree = some.sum(1)
    matrix = some / np.sqrt(degree[:, None] * degree)
    values, vectors = np.linalg.eigh(matrix)
    found = _largest(matrix, np.sqrt(degree))
    np.testing.assert_allclose(values[-1], 1)
    assert abs(found @ vectors[:, -2]) > 1 - 1e-6


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (2, 2)])
def test_tiny_maps_do_no_harm(shape):
    cells = np.random.default_rng(0).normal(size=(*shape, 4)).astype(np.float32)
    parts, scores = cut_parts(cells, 4)
    assert len(parts) == len(scores) <= 4
    assert all(part.any() for part in parts)


def test_large_maps_are_pooled():
    cells = field(14, 18, THINGS).repeat(4, 0).repeat(4, 1)
    parts, _ = cut_parts(cells, 1)
    assert max(parts[0].shape) <= 28


def test_the_built_in_map_gives_boxes_around_its_masks():
    y, x = np.mgrid[0:240, 0:320]
    pixels = np.full((240, 320, 3), 200, np.uint8)
    pixels[(x - 90) ** 2 + (y - 100) ** 2 < 40**2] = (220, 30, 30)
    encoder = BuiltinEncoder(threads=1)
    source = open_objects("ncut:3")
    (found,) = source.find(encoder, [Picture(pixels, Facts(640, 480, "png"), "a.png")])
    assert 1 <= len(found.boxes) <= 3
    for box, mask in zip(found.boxes, found.masks, strict=True):
        rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        told = [cols[0], rows[0], np.ptp(cols) + 1, np.ptp(rows) + 1]
        np.testing.assert_allclose(box, 2 * np.array(told))
    assert any(mask[100, 90] and not mask[200, 300] for mask in found.masks)
    (again,) = source.find(encoder, [Picture(pixels, Facts(640, 480, "png"), "a.png")])
    np.testing.assert_array_equal(found.boxes, again.boxes)


class Plain:
    """An encoder with tokens of a square grid and no map, or with neither."""

    def __init__(self, *abilities):
        space = SpaceCard("look", 16, "i8", ("image",))
        self.card = EncoderCard(
            "plain", "plain", "test", 16, (space,), 64, "squash", (0, 0, 0), (1, 1, 1),
            "bicubic", "", "", abilities=abilities,
        )  # fmt: skip

    def image_features(self, pictures, *, want=frozenset(), block=-1):
        tokens = field(8, 8, [(2, 2, 5, 6)]).reshape(1, 64, 16)
        return ImageFeatures(np.zeros((1, 16), np.float32), tokens=tokens, grid=(8, 8))


def test_tokens_serve_where_there_is_no_map():
    picture = Picture.from_pixels(np.zeros((80, 160, 3), np.uint8))
    (found,) = open_objects("ncut:1").find(Plain("tokens"), [picture])
    np.testing.assert_array_equal(found.boxes, [[40, 20, 80, 30]])
    with pytest.raises(UsageError, match="no map"):
        open_objects("ncut").find(Plain(), [picture])


@pytest.mark.parametrize("text", ["ncut:0", "ncut:x", "ncut:1000"])
def test_a_wrong_count_is_refused(text):
    with pytest.raises(UsageError, match=text):
        open_objects(text)
