"""Words, instances, colours, masks and captions of crowds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from needlepoint.bench.needle.captions import busy_of, describe, side_of, thing_caption
from needlepoint.bench.needle.colours import PAINTS, from_oklab, recolour, to_oklab
from needlepoint.bench.needle.masks import box_of, encode, encode_at
from needlepoint.bench.needle.truth import Placed, ScenePicture
from needlepoint.bench.needle.words import (
    deal_instances,
    held_out,
    is_word,
    kin,
    phrase,
    vocabulary,
    word_of,
)
from needlepoint.regions.masks import read_segmentation


def test_names_are_understood_by_their_whole_then_their_last_word():
    assert word_of("sedan car") == word_of("concept sedan") == "car"
    assert word_of("hot dog") == "hot dog"
    assert word_of("old poodle") == "dog"
    assert word_of("thingamajig") == "thingamajig"
    assert is_word("car")
    assert not is_word("sedan")
    assert not is_word("thingamajig")


def test_the_vocabulary_is_closed_and_kin_are_words_of_it():
    words = set(vocabulary().values())
    assert all(vocabulary()[word] == word for word in words)
    for word, others in kin().items():
        assert {word, *others} <= words
        assert word not in others


def test_drawn_things_are_words_of_the_vocabulary():
    from importlib import resources

    text = resources.files("needlepoint.bench.needle").joinpath("drawn.txt").read_text("utf-8")
    rows = [line.split("|") for line in text.splitlines() if not line.startswith("#")]
    assert len(rows) == len({(kind, place) for _, kind, place in rows}) > 500
    assert all(is_word(word) for word, *_ in rows)
    assert {kind for _, kind, _ in rows} == {"clipart", "emoji"}


@given(st.dictionaries(st.text(min_size=1), st.sampled_from(["cup", "hat", "key"]), max_size=40))
def test_instances_are_dealt_so_that_training_knows_the_words(words):
    dealt = deal_instances(words)
    assert dealt.keys() == words.keys()
    assert dealt == deal_instances(dict(reversed(words.items())))
    for word in set(words.values()):
        splits = [dealt[key] for key in words if words[key] == word]
        if len(splits) >= 2:
            assert "train" in splits
        if len(splits) >= 3:
            assert {"dev", "test"} <= set(splits)
        if len(splits) >= 12:
            assert 0.5 <= splits.count("train") / len(splits) <= 0.75


def test_held_out_pairs_are_a_fixed_share():
    pairs = [held_out(f"word{number}", colour) for number in range(300) for colour in PAINTS]
    assert sum(pairs) / len(pairs) == pytest.approx(0.15, abs=0.025)
    assert not held_out("word1", None)


def test_phrases_have_the_right_article():
    assert phrase("apple", None) == "an apple"
    assert phrase("apple", "red", "tiny") == "a tiny red apple"
    assert phrase("grapes", "orange") == "orange grapes"
    assert thing_caption("key", None) == "a key"


@settings(max_examples=60)
@given(hnp.arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_masks_survive_their_run_lengths(mask):
    height, width = mask.shape
    assert (read_segmentation(encode(mask), width, height) == mask).all()
    if mask.any():
        x, y, w, h = box_of(mask)
        assert mask[y : y + h, x : x + w].sum() == mask.sum()
        assert mask[y, x : x + w].any() == mask[y].any()


@settings(max_examples=60)
@given(
    hnp.arrays(np.bool_, st.tuples(st.integers(1, 6), st.integers(1, 6))),
    st.integers(0, 5),
    st.integers(0, 5),
    st.integers(0, 3),
)
def test_a_piece_is_encoded_as_the_whole(piece, left, top, rest):
    height, width = piece.shape[0] + top + rest, piece.shape[1] + left + rest
    whole = np.zeros((height, width), dtype=np.bool_)
    whole[top : top + piece.shape[0], left : left + piece.shape[1]] = piece
    assert encode_at(piece, (left, top), (width, height)) == encode(whole)


def test_run_lengths_are_written_as_coco_writes_them():
    # Column by column: 6 false, 1 true, then 40 false; numbers of more than five bits take two
    # letters, and from the fourth on the difference to the last but one is written.
    mask = np.zeros((4, 20), dtype=np.bool_)
    flat = mask.ravel(order="F").copy()
    flat[[6, 47, 48]] = True
    mask = flat.reshape((4, 20), order="F")
    assert encode(mask) == _slow(flat)


def _slow(flat):
    """The rule of the format, number by number, from runs counted one pixel at a time."""
    runs, value, run = [], False, 0
    for pixel in flat:
        if pixel == value:
            run += 1
        else:
            runs.append(run)
            value, run = pixel, 1
    runs.append(run)
    text = ""
    for place, count in enumerate(runs):
        number = count - (runs[place - 2] if place > 2 else 0)
        while True:
            low, number = number & 31, number >> 5
            last = (number == 0 and not low & 16) or (number == -1 and low & 16)
            text += chr(48 + low + (0 if last else 32))
            if last:
                break
    return text


@given(hnp.arrays(np.float32, (5, 3), elements=st.floats(0, 1, width=32)))
def test_oklab_there_and_back(rgb):
    assert from_oklab(to_oklab(rgb)) == pytest.approx(rgb, abs=2e-3)


def test_oklab_of_known_colours():
    white, red = to_oklab(np.array([[1, 1, 1], [1, 0, 0]], dtype=np.float32))
    assert white == pytest.approx([1, 0, 0], abs=1e-3)
    assert red == pytest.approx([0.628, 0.225, 0.126], abs=1e-3)


@pytest.mark.parametrize("colour", sorted(PAINTS))
def test_paint_gives_its_hue_and_keeps_shading_and_outline(colour):
    rows = np.linspace(40, 220, 40)[:, None]
    pixels = np.zeros((40, 30, 4), dtype=np.uint8)
    pixels[..., :3] = (rows * np.ones((1, 30)))[..., None] * np.array([1.0, 0.9, 0.7])
    pixels[:, 5:, 3] = 255
    painted = np.asarray(recolour(Image.fromarray(pixels), colour, np.random.default_rng(1)))
    assert (painted[..., 3] == pixels[..., 3]).all()
    lab = to_oklab(painted[20, 15, :3].astype(np.float32) / 255)
    hue = np.degrees(np.arctan2(lab[2], lab[1]))
    gap = (hue - PAINTS[colour].hue + 180) % 360 - 180
    assert abs(gap) < 12
    nearest = min(
        PAINTS,
        key=lambda name: np.hypot(
            lab[1] - PAINTS[name].chroma * np.cos(np.radians(PAINTS[name].hue)),
            lab[2] - PAINTS[name].chroma * np.sin(np.radians(PAINTS[name].hue)),
        ),
    )
    assert nearest == colour
    light = to_oklab(painted[:, 15, :3].astype(np.float32) / 255)[:, 0]
    assert (np.diff(light) > -0.02).all()
    assert light[-1] > light[0] + 0.1


def placed(word, x, area, colour=None, visible=1.0):
    return Placed(word, word, (x, 10, 20, 20), area, visible, word=word, colour=colour)


def test_captions_name_what_is_large_where_it_is_and_how_busy():
    small = tuple(placed("key", 50, 0.01) for _ in range(6))
    large = (placed("sofa", 0, 0.2, "red"), placed("hat", 90, 0.1, None, visible=0.2))
    picture = ScenePicture("a.jpg", 100, 80, "", (*large, *small))
    assert busy_of(picture) == "many"
    assert [side_of(row, 100) for row in picture.objects[:3]] == ["left", "right", "middle"]
    for seed in range(20):
        text, parts, busy = describe(picture, np.random.default_rng(seed))
        assert "a red sofa" in text
        assert "hat" not in text  # too little of it shows
        assert [(part.word, part.colour) for part in parts] == [("sofa", "red")]
        assert ("on the left" in text) == (parts[0].side == "left")
        assert (busy == "many") == ("many" in text or "things" in text)
