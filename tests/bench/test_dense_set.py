"""The Dense-Set builder on generated pictures, with a detector that looks for blobs of colour."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from needlepoint.bench.datasets import missing_pictures, open_dataset
from needlepoint.bench.dense_set import (
    Choice,
    PromptCaptioner,
    build_dense_set,
    densest,
    single_things,
)
from needlepoint.errors import UsageError
from needlepoint.outside.labels import Thing

COLOURS = {"apple": (220, 30, 30), "frog": (30, 200, 40), "egg": (240, 230, 200)}
GREY = (90, 90, 90)


def draw(path, blobs, size=(120, 80)):
    """Squares of the colours of things on grey: (label, x, y, side)."""
    pixels = np.full((size[1], size[0], 3), GREY, np.uint8)
    for label, x, y, side in blobs:
        pixels[y : y + side, x : x + side] = COLOURS[label]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


class Blobs:
    """Finds connected squares of the known colours; a real detector, if a simple one."""

    name = "blobs"

    def __init__(self, name="blobs", stop_after=None):
        self.name, self.seen, self._stop = name, [], stop_after

    def detect(self, pictures):
        found = []
        for picture in pictures:
            if self._stop is not None and len(self.seen) >= self._stop:
                raise KeyboardInterrupt
            self.seen.append(picture.source)
            found.append([t for name in COLOURS for t in self._of(name, picture.pixels)])
        return found

    def _of(self, name, pixels):
        mask = np.all(np.abs(pixels.astype(int) - COLOURS[name]) < 12, axis=2)
        things = []
        while mask.any():
            y, x = np.argwhere(mask)[0]
            w = int(np.argmin(np.append(mask[y, x:], False)))
            h = int(np.argmin(np.append(mask[y:, x], False)))
            mask[y : y + h, x : x + w] = False
            things.append(Thing(name, (float(x), float(y), float(w), float(h)), 0.9))
        return things


class Tells:
    """Says the prompt and the mean colour of the picture: a caption that depends on both."""

    def __init__(self, name="tells"):
        self.name, self.asked = name, []

    def caption(self, pictures, prompts):
        self.asked += list(prompts)
        return [
            f"{prompt} in a picture of {int(picture.pixels.mean())}"
            for picture, prompt in zip(pictures, prompts, strict=True)
        ]


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    draw(folder / "crowded.png", [("apple", 2, 2, 6), ("frog", 20, 2, 6), ("frog", 40, 2, 6)])
    draw(folder / "sub/pair.png", [("egg", 2, 2, 10), ("apple", 40, 40, 10)])
    draw(folder / "large.png", [("apple", 2, 2, 60), ("frog", 100, 2, 6), ("frog", 100, 30, 6)])
    draw(folder / "twins.png", [("egg", 2, 2, 6), ("egg", 20, 2, 6), ("egg", 60, 40, 6)])
    draw(folder / "empty.png", [])
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    (folder / "notes.txt").write_text("no picture")
    return folder


def build(pictures, out, detector=None, captioner=None, **choice):
    chosen = Choice(**{"share": 1.0, **choice})
    return build_dense_set(
        pictures, out, detector or Blobs(), captioner or Tells(), choice=chosen, batch=2
    )


def captions(out):
    told = json.loads((out / "dense_set.json").read_text())
    files = {row["id"]: row["file_name"] for row in told["images"]}
    return {(files[row["image_id"]], row["category"]): row for row in told["annotations"]}


def test_single_small_things_of_the_densest_pictures_get_captions(pictures, tmp_path):
    built = build(pictures, tmp_path / "out")
    assert (built.considered, built.unreadable, built.densest) == (5, 1, 4)
    assert (built.pictures, built.captions) == (2, 3)
    found = captions(tmp_path / "out")
    assert set(found) == {
        ("crowded.png", "apple"),
        ("sub/pair.png", "egg"),
        ("sub/pair.png", "apple"),
    }
    egg = found["sub/pair.png", "egg"]
    assert egg["bbox"] == [2.0, 2.0, 10.0, 10.0]
    assert egg["caption"].startswith("a photo of an egg in a picture of ")


def test_the_densest_share_is_kept(pictures, tmp_path):
    built = build(pictures, tmp_path / "out", share=0.2)  # one of five: crowded, before large
    assert built.densest == 1
    assert set(captions(tmp_path / "out")) == {("crowded.png", "apple")}


def test_size_score_and_prompt_are_the_callers_choice(pictures, tmp_path):
    build(pictures, tmp_path / "wide", largest=0.5)
    assert ("large.png", "apple") in captions(tmp_path / "wide")
    with pytest.raises(UsageError, match="none of the 0 densest"):
        build(pictures, tmp_path / "strict", least_score=0.95)
    build(pictures, tmp_path / "asked", prompt="there is {a} {label}")
    assert captions(tmp_path / "asked")["crowded.png", "apple"]["caption"].startswith("there is an")


def test_the_same_call_gives_the_same_bytes_and_asks_nothing_again(pictures, tmp_path):
    out = tmp_path / "out"
    build(pictures, out)
    first = (out / "dense_set.json").read_bytes()
    detector, captioner = Blobs(), Tells()
    build(pictures, out, detector, captioner)
    assert (out / "dense_set.json").read_bytes() == first
    assert detector.seen == []
    assert captioner.asked == []
    build(pictures, tmp_path / "other")
    assert (tmp_path / "other/dense_set.json").read_bytes() == first


def test_a_stopped_call_goes_on_where_it_was(pictures, tmp_path):
    build(pictures, tmp_path / "whole")
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        build(pictures, out, Blobs(stop_after=3))
    with (out / "detected.jsonl").open("a") as file:
        file.write('{"file": "sub/pair.png", "dig')  # killed while writing
    detector = Blobs()
    build(pictures, out, detector)
    assert len(detector.seen) == 2  # the other three were in batches that ended
    assert (out / "dense_set.json").read_bytes() == (tmp_path / "whole/dense_set.json").read_bytes()
    again = Blobs()
    build(pictures, out, again)
    assert again.seen == []


def test_other_pictures_and_other_parts_are_asked_again(pictures, tmp_path):
    out = tmp_path / "out"
    build(pictures, out)
    draw(pictures / "empty.png", [("frog", 5, 5, 8)])
    detector, captioner = Blobs(), Tells()
    build(pictures, out, detector, captioner)
    assert [source.rsplit("/", 1)[1] for source in detector.seen] == ["empty.png"]
    assert captioner.asked == ["a photo of a frog"]
    other = Blobs("blobs 2")
    build(pictures, out, other)
    assert len(other.seen) == 5
    words = Tells("tells 2")
    build(pictures, out, captioner=words)
    assert len(words.asked) == 4


def test_the_set_opens_with_boxes_notes_and_provenance(pictures, tmp_path):
    out = tmp_path / "out"
    built = build(pictures, out, captioner=PromptCaptioner())
    assert "3 captions, 2 distinct (66.67 %)" in built.notes
    single, equal = open_dataset("dense-set", out)
    assert missing_pictures(single) == []
    assert Counter(len(q.relevant) for q in equal.questions) == {2: 2, 1: 1}
    assert all(len(q.boxes) == 1 for q in single.questions)
    told = json.loads((out / "dense_set.json").read_text())["info"]
    assert (told["detector"], told["captioner"]) == ("blobs", "prompt")
    assert told["folder"] == "../pictures"
    assert told["choice"]["largest"] == 0.15


def test_nothing_to_look_at_is_told(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no pictures in"):
        build(tmp_path / "empty", tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "value"),
    [("share", 0), ("share", 1.1), ("largest", -1), ("least_score", 2), ("prompt", "a photo")],
)
def test_choices_out_of_range_are_refused(name, value):
    with pytest.raises(UsageError, match=f"{name}="):
        Choice(**{name: value})


@given(
    st.dictionaries(st.text("abc", min_size=1, max_size=3), st.integers(0, 4)), st.floats(0.01, 1)
)
def test_the_densest_are_never_less_dense_than_the_rest(counts, share):
    kept = densest(counts, share)
    rest = set(counts) - set(kept)
    assert len(kept) <= np.ceil(share * len(counts))
    assert all(counts[file] > 0 for file in kept)
    if kept and len(kept) == np.ceil(share * len(counts)):
        assert min(counts[f] for f in kept) >= max((counts[f] for f in rest), default=0)
    else:
        assert all(counts[file] == 0 for file in rest)


things = st.lists(
    st.builds(
        Thing,
        st.sampled_from(["cat", "Cat", "dog", "cup"]),
        st.tuples(*[st.floats(0, 10) for _ in range(4)]),
    ),
    max_size=6,
)


@given(things, st.floats(0.01, 1))
def test_single_things_occur_once_and_are_small(found, largest):
    kept = single_things(found, (10, 10), largest)
    names = [thing.label.casefold() for thing in found]
    for thing in found:
        small = thing.box[2] * thing.box[3] / 100 <= largest
        alone = names.count(thing.label.casefold()) == 1
        assert (thing in kept) == (small and alone) or thing.box[2] * thing.box[3] == pytest.approx(
            100 * largest
        )
