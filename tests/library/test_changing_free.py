"""Composers without training over a library: its paths, its filters, its pieces."""

from __future__ import annotations

import json

import numpy as np
import pytest
from library_kit import flat

MODEL = "onnx:/fake"
COUNT = 6
METHODS = (
    *("weicom", "weicom:fusion=product", "weimocir:shortlist=0", "freedom:words={words}"),
    "pdv:over=weighted_sum,beta=0.5",
)


@pytest.fixture
def library(open_library, fake, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "words").write_text("duck\ncar\ntree\n")
    for number in range(COUNT):
        flat(tmp_path / "p" / "sub" / f"{number}.png", number, (120, 90))
    library = open_library()
    library.index(tmp_path / "p", model=MODEL)
    return library


@pytest.mark.parametrize("method", METHODS)
def test_each_answers_items_pieces_and_several(library, tmp_path, method):
    method = method.format(words=tmp_path / "words")
    for question in ("@2", "@2#xywh=0,0,60,60", "@1 + 2:@3"):
        found = library.search(question, change="in red", method=method)
        assert len(found) >= COUNT - 2
        assert all(np.isfinite(hit.score) for hit in found)
        assert found.told


@pytest.mark.parametrize("method", METHODS)
def test_a_filter_that_nothing_passes_leaves_nothing(library, tmp_path, method):
    method = method.format(words=tmp_path / "words")
    assert not len(library.search("@2 -> in red", method=method, where="width > 9000"))


def test_weicom_calibrates_over_what_may_be_found(library):
    """Both branches of a gallery of one get a half."""
    one = library.search("@2 -> in red", method="weicom", where='path ~ "5.png"')
    assert [hit.score for hit in one] == [0.5]


def test_weicom_adds_up_beside_a_part_that_pushes_away(library):
    found = library.search("@2 - @4 -> in red", method="weicom:lam=0.25")
    weights = [one.weight for one in found.hits[0].why]
    assert weights == pytest.approx([0.375, 0.125, -0.5])
    assert [one.part for one in found.hits[0].why] == ["the picture", "the words", "@4"]


def test_captions_are_named_by_the_path_below_the_folder(library, fake, tmp_path):
    said = ["caption" + "." * n for n in range(COUNT)]  # the fake reads how long a text is
    told = {f"sub/{n}.png": [text] for n, text in enumerate(said)}
    (tmp_path / "captions.json").write_text(json.dumps(told))
    method = f"weimocir:alpha=1,beta=1,shortlist=0,captions={tmp_path / 'captions.json'}"
    found = library.search("@2", change=said[4], method=method)
    vectors = fake.text_features(said).vector
    for hit in found:
        place = int(hit.path.rpartition("/")[2].removesuffix(".png"))
        assert hit.score == pytest.approx(float(vectors[place] @ vectors[4]), abs=1e-5)
    assert found.hits[0].path.endswith("sub/4.png")


def test_freedom_knows_a_picture_of_the_library(library, tmp_path):
    method = f"freedom:words={tmp_path / 'words'}"
    told = dict(library.search("@2 -> in red", method=method).told)
    assert told["the picture"] == "in the library"
