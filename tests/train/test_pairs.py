"""Rows of captions, and pieces of pictures as pixels and as kept cells."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from needlepoint.encoders.preprocess import Preprocess
from needlepoint.errors import UsageError
from needlepoint.train.pairs import read_pairs

pytestmark = pytest.mark.torch


def test_rows_become_pairs(shapes):
    pairs = read_pairs([shapes])
    assert len(pairs) == 48
    assert pairs[0].box is None
    assert pairs[0].kind == "whole"
    assert pairs[1].meaning == {"red", "ball"}
    assert pairs[1].key == "ball"
    assert pairs[0].key == pairs[0].source  # a whole picture is nobody's kin
    assert pairs[0].meaning == {"red", "ball", "noise"}


def test_a_limit_keeps_whole_pictures_first(shapes):
    kept = read_pairs([shapes], limits=[30])
    assert len({p.piece for p in kept}) == 30
    assert sum(p.box is None for p in kept) == 24
    assert kept == read_pairs([shapes], limits=[30])
    assert kept != read_pairs([shapes], limits=[30], seed=1)
    both = read_pairs([shapes, shapes], limits=[24, 30])
    assert both == read_pairs([shapes], limits=[24]) + kept
    with pytest.raises(UsageError, match="limit"):
        read_pairs([shapes], limits=[1, 2])


@pytest.mark.parametrize(
    "line",
    ['{"file": "a.png"}', "[1]", "no json", '{"file": "a", "text": "x", "box": [1, 2, 0, 4]}',
     '{"file": "a", "text": " ", "box": null}'],
)  # fmt: skip
def test_a_bad_row_is_named(tmp_path, line):
    good = json.dumps({"file": "a.png", "box": None, "text": "a cat", "kind": "whole"})
    (tmp_path / "captions.jsonl").write_text(f"{good}\n{line}\n")
    with pytest.raises(UsageError, match=r"captions\.jsonl:2"):
        read_pairs([tmp_path])


def test_no_captions_says_how_to_make_some(tmp_path):
    with pytest.raises(UsageError, match="bench build needle"):
        read_pairs([tmp_path])
    (tmp_path / "captions.jsonl").write_text("\n")
    with pytest.raises(UsageError, match="no pairs"):
        read_pairs([tmp_path])


def test_pixels_are_the_squashed_piece(shapes):
    from needlepoint.train.feeds import PixelFeed

    preprocess = Preprocess(32, "squash", "bicubic", (0.0,) * 3, (1.0,) * 3)
    pair = read_pairs([shapes])[1]
    made = PixelFeed([pair.piece], preprocess)(np.array([0]))
    x, y, w, h = pair.box
    whole = Image.open(pair.source)
    by_hand = np.asarray(whole.crop((x, y, x + w, y + h)).resize((32, 32), Image.BICUBIC)) / 255
    np.testing.assert_allclose(made[0].transpose(1, 2, 0), by_hand, atol=1e-6)


class Counting:
    """A stem that tells how often it ran."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self, pixels):
        self.runs += 1
        return np.full((4, 3), float(pixels.mean())) + np.arange(4)[:, None]


def make_feed(pieces, folder, stem, recipe="a"):
    from needlepoint.train.feeds import CellFeed

    return CellFeed(pieces, folder, (4, 3), recipe, stem)


def test_cells_are_computed_once_and_found_by_content(tmp_path, shapes):
    pieces = list(dict.fromkeys(p.piece for p in read_pairs([shapes])))[:6]
    stem = Counting()
    first = make_feed(pieces, tmp_path, stem)(np.array([4, 0]))
    assert stem.runs == 6
    assert first.shape == (2, 4, 3)
    again = make_feed(pieces[::-1], tmp_path, stem)
    assert stem.runs == 6
    np.testing.assert_array_equal(again(np.array([1, 5])), first)
    kept = np.array([[3, 1], [0, 2]])
    np.testing.assert_array_equal(
        again(np.array([1, 5]), kept), np.take_along_axis(first, kept[:, :, None], 1)
    )
    make_feed(pieces[:2], tmp_path, stem, recipe="b")  # another stem, other rows
    assert stem.runs == 8


def test_what_a_broken_run_left_is_made_again(tmp_path, shapes):
    pieces = list(dict.fromkeys(p.piece for p in read_pairs([shapes])))[:4]
    whole = make_feed(pieces, tmp_path, Counting())(np.arange(4))
    cells = tmp_path / "cells.f16"
    cells.write_bytes(cells.read_bytes()[: 2 * 24 + 7])  # two rows and a torn one
    stem = Counting()
    np.testing.assert_array_equal(make_feed(pieces, tmp_path, stem)(np.arange(4)), whole)
    assert stem.runs == 2


def test_a_box_outside_and_a_lost_file_are_named(tmp_path, shapes):
    path = read_pairs([shapes])[0].source
    with pytest.raises(UsageError, match="outside"):
        make_feed([(path, (500, 5, 9, 9))], tmp_path, Counting())
    with pytest.raises(UsageError, match=r"gone\.png"):
        make_feed([(str(tmp_path / "gone.png"), None)], tmp_path, Counting())
