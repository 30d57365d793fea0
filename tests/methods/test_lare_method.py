"""LARE as a method: what it costs, what it keeps, what may be told to it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from needlepoint.encoders.builtin.encoder import BuiltinEncoder
from needlepoint.encoders.preprocess import Preprocess
from needlepoint.errors import UsageError
from needlepoint.methods.card import describer_of, find_method
from needlepoint.methods.fine_grained.lare import LareDescriber, gate, read
from needlepoint.parts import EncoderCard, ImageFeatures, SpaceCard
from needlepoint.picture import Facts, Picture

S, G = 224, 14


def card(**facts):
    told = {
        "address": "looker", "title": "looker", "family": "fake", "dim": 12,
        "spaces": (SpaceCard("joint", 12, "f16", ("image", "text")),), "input_size": S,
        "resize": "shortest-crop", "mean": (0, 0, 0), "std": (1, 1, 1), "interpolation": "bicubic",
        "weights_hash": "1", "licence": "none", "abilities": ("text", "received"), "blocks": 12,
        "prefix": 1,
    }  # fmt: skip
    return EncoderCard(**{**told, **facts})


class Looker:
    """Attends to what is bright. The vector is a coarse thumbnail of what its resize leaves."""

    def __init__(self, **facts):
        self.card = card(**facts)
        self.calls = []
        self.preprocess = Preprocess(S, self.card.resize, "bicubic", (0.0,) * 3, (1.0,) * 3)

    def image_features(self, pictures, *, want=frozenset(), block=-1):
        self.calls.append((len(pictures), want, block))
        seen = self.preprocess.batch(pictures)
        small = seen.reshape(len(seen), 3, 2, S // 2, 2, S // 2).mean((3, 5)).reshape(-1, 12) + 0.1
        features = ImageFeatures(small / np.linalg.norm(small, axis=1, keepdims=True))
        if "received" in want:
            cells = seen.mean(1).reshape(-1, G, S // G, G, S // G).mean((2, 4))
            cells = cells.reshape(-1, 1, G * G)
            features.received = cells / cells.sum(axis=2, keepdims=True)
            features.grid = (G, G)
        return features


def bright(width, height, hole=None):
    """A bright picture with one dark square (x, y, side)."""
    pixels = np.random.default_rng(0).integers(200, 255, (height, width, 3), np.uint8)
    if hole:
        x, y, side = hole
        pixels[y : y + side, x : x + side] = np.random.default_rng(1).integers(0, 30, 3)
    return pixels


def pictures(*arrays):
    return [Picture.from_pixels(one) for one in arrays]


def test_costs_one_pass_for_the_wholes_and_one_for_all_their_crops():
    looker = Looker()
    made = describer_of("lare").describe(
        looker, pictures(bright(640, 480), bright(300, 500), bright(60, 60))
    )
    assert [len(one.regions) for (one,) in made] == [5, 5, 0]
    assert looker.calls == [(3, frozenset({"received"}), -3), (10, frozenset(), -1)]


def test_no_pictures_no_passes():
    looker = Looker()
    assert LareDescriber().describe(looker, []) == []
    assert looker.calls == []


def test_vectors_are_those_of_the_boxes_they_stand_beside():
    looker = Looker()
    arrays = [bright(640, 480, (100, 90, 120)), bright(900, 80), bright(400, 400, (0, 0, 90))]
    for picture, (made,) in zip(
        arrays,
        LareDescriber(read("mode=released")).describe(looker, pictures(*arrays)),
        strict=True,
    ):
        assert made.boxes.shape == (len(made.regions), 4)
        np.testing.assert_array_equal(made.whole, looker.image_features([picture]).vector[0])
        for box, vector in zip(made.boxes.astype(int), made.regions, strict=True):
            x, y, w, h = box
            assert min(w, h) >= 32
            crop = Image.fromarray(picture).crop((x, y, x + w, y + h))
            square = np.asarray(crop.resize((S, S), Image.Resampling.BICUBIC))
            np.testing.assert_allclose(looker.image_features([square]).vector[0], vector, atol=1e-6)


def test_dropped_boxes_stay_in_the_list_of_proposals():
    """A flat picture: the released code returns five boxes and no vectors."""
    looker, flat = Looker(), pictures(bright(900, 80))
    describer = LareDescriber(read("mode=released"))
    (proposed,) = describer.proposals(looker, flat)
    assert len(proposed.boxes) == 5
    assert not proposed.large.any()
    ((made,),) = describer.describe(looker, flat)
    assert made.regions.shape == (0, 12)
    assert made.boxes.shape == (0, 4)


@pytest.mark.parametrize("hole", [(200, 100, 100), (420, 60, 110)])
def test_the_first_box_lies_on_what_is_overlooked(hole):
    """Undoing the centre crop: a wide picture, a dark square that the encoder does see."""
    picture = pictures(bright(700, 300, hole))
    x, y, side = hole
    centre = np.array([x + side / 2, y + side / 2])
    ((ours,),) = LareDescriber().describe(Looker(), picture)
    ((released,),) = LareDescriber(read("geometry=released")).describe(Looker(), picture)
    middle = ours.boxes[0, :2] + ours.boxes[0, 2:] / 2
    assert (np.abs(middle - centre) < side / 2).all()
    assert ours.boxes[0, 2:] == pytest.approx(300 * 64 / 224, abs=1.01)
    off = released.boxes[0, :2] + released.boxes[0, 2:] / 2
    assert np.abs(off - centre).max() > side / 2


def test_boxes_are_in_original_pixels_whatever_the_working_copy_is():
    full = bright(800, 600, (160, 120, 200))
    half = np.asarray(Image.fromarray(full).resize((400, 300), Image.Resampling.BOX))
    copy = Picture(np.ascontiguousarray(half), Facts(800, 600, "JPEG"))
    ((one,),) = LareDescriber().describe(Looker(), pictures(full))
    ((other,),) = LareDescriber().describe(Looker(), [copy])
    np.testing.assert_array_equal(one.boxes[0], other.boxes[0])
    np.testing.assert_allclose(one.regions[0], other.regions[0], atol=0.02)
    assert LareDescriber().side(card()) == 0


def test_without_regions_the_score_is_that_of_the_whole_picture():
    looker = Looker()
    ((made,),) = LareDescriber(read("n=0")).describe(looker, pictures(bright(640, 480)))
    assert len(made.regions) == 0
    assert len(looker.calls) == 1
    whole = np.float32([[0.1]])
    fused = gate("", looker.card).combine(whole, np.full((1, 1), -np.inf, np.float32))
    assert fused[0, 0] == whole[0, 0]


@pytest.mark.parametrize(
    ("facts", "tap"),
    [
        ({"blocks": 12}, 9),
        ({"blocks": 24}, 21),
        ({"blocks": 2}, 0),
        ({"blocks": 12, "prefix": 0}, 5),
        ({"blocks": 27, "prefix": 0}, 20),
        ({"blocks": 3, "prefix": 0}, 0),
    ],
)
def test_the_block_that_is_read(facts, tap):
    """Section 2.1: third from the last with a class token, seventh without."""
    found = read("").block(card(**facts))
    assert found % facts["blocks"] == tap
    assert read("tap=-2").block(card(**facts)) == -2


def test_the_threshold_is_the_published_one_where_words_and_pictures_share_a_space():
    joint, look = card(), card(spaces=(SpaceCard("look", 12, "f16", ("image",)),))
    assert gate("", joint).tau == gate("mode=released", joint).tau == 0.25
    assert gate("", look).tau == gate("", BuiltinEncoder().card).tau == 1.0
    assert gate("tau=-inf", joint).tau == -np.inf
    assert gate("", joint).kind == "gated"


def test_the_recipe_says_what_differs_and_makes_the_same_again():
    assert describer_of("lare").recipe == "lare"
    told = "lare:mode=released,n=7,tau=0.2,tap=-5"
    assert describer_of(told).recipe == told
    assert describer_of(told) == LareDescriber(read("tap=-5,tau=0.2,n=7,mode=released"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("n=-1", "n is -1. Allowed: 0 or more"),
        ("heads=0", "heads is 0. Allowed: 1 or more"),
        ("iou=1.5", "iou is 1.5. Allowed: 0 to 1"),
        ("tau=high", "tau is 'high'. Allowed: auto, or a number"),
        ("tap=last", "tap is 'last'"),
        ("geometry=round", "geometry is 'round'. Allowed: auto, corrected, released"),
        ("taps=3", "'taps=3' is not known"),
    ],
)
def test_wrong_options_are_told(text, message):
    with pytest.raises(UsageError, match=message):
        describer_of(f"lare:{text}")


def test_an_encoder_that_cannot_tell_is_refused():
    looker = Looker()
    looker.card = replace(looker.card, abilities=("text",))
    with pytest.raises(UsageError, match="reads which places receive attention, and looker cannot"):
        LareDescriber().describe(looker, pictures(bright(300, 300)))


def test_works_with_the_built_in_encoder():
    """Both spaces are kept with the same boxes, and neighbours change nothing."""
    encoder = BuiltinEncoder(threads=1)
    many = pictures(bright(640, 480, (50, 60, 150)), bright(250, 400), bright(80, 80))
    made = find_method("lare").describer("").describe(encoder, many)
    assert [[len(d.regions) for d in one] for one in made] == [[5, 5], [5, 5], [0, 0]]
    for picture, one in zip(many, made, strict=True):
        assert [d.space for d in one] == ["look", "words"]
        np.testing.assert_array_equal(one[0].boxes, one[1].boxes)
        (alone,) = LareDescriber().describe(encoder, [picture])
        for d, again in zip(one, alone, strict=True):
            np.testing.assert_array_equal(d.boxes, again.boxes)
            np.testing.assert_array_equal(d.regions, again.regions)
            np.testing.assert_array_equal(d.whole, again.whole)
