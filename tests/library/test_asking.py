"""Questions of every kind to a real library: answers, scores, and what is refused."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from library_kit import NAMES, Fake, flat, save
from PIL import Image

from needlepoint.errors import LibraryIncompatible, PictureError, UsageError
from needlepoint.library import Library
from needlepoint.query import Query


def names(results) -> list[str]:
    return [os.path.splitext(os.path.basename(hit.path))[0] for hit in results]


def check(results, k: int) -> None:
    """What every answer must be."""
    assert len(results) <= k
    assert [hit.rank for hit in results] == list(range(1, len(results) + 1))
    order = [(-hit.score, hit.id) for hit in results]
    assert order == sorted(order)
    for hit in results:
        assert os.path.isabs(hit.path)
        assert os.path.isfile(hit.path)
        if hit.box is not None:
            x, y, w, h = hit.box
            assert x >= 0
            assert y >= 0
            assert x + w <= hit.width + 0.01
            assert y + h <= hit.height + 0.01
            assert min(hit.place[2:]) >= 1
        assert set(hit.source) == {"library", "model", "space", "method", "exact", "mode"}
        json.dumps(hit.to_dict())


QUESTIONS = {
    "words": "a cat",
    "picture": "{p}/photo-coffee.jpg",
    "piece": "{p}/desk-00.jpg#xywh=200,100,200,200",
    "piece in percent": "{p}/desk-00.jpg#xywh=percent:30,30,40,40",
    "item": "@3",
    "piece of an item": "@3#xywh=10,10,120,120",
    "parts of one kind": "a cat + 2:a dog",
    "parts of both kinds": "2:a cat + {p}/photo-coffee.jpg - @2",
    "one weighted part": "3:a cat",
}


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
@pytest.mark.parametrize("k", [4, 100])
def test_every_question_gets_a_sound_answer(indexed, pictures, question, k):
    results = indexed.search(question.format(p=pictures), k=k)
    check(results, k)
    assert len(results) == min(k, len(NAMES))
    assert results.exact


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
@pytest.mark.parametrize("mode", ["exact", "compressed"])
def test_the_first_k_of_a_longer_list_are_the_top_k(indexed, pictures, question, mode):
    question = question.format(p=pictures)
    whole = indexed.search(question, k=len(NAMES), mode=mode)
    for k in (1, 2, 7):
        some = indexed.search(question, k=k, mode=mode)
        assert [(h.id, h.score, h.box) for h in some] == [(h.id, h.score, h.box) for h in whole[:k]]


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_exact_equals_brute_force_over_what_is_stored(indexed, pictures, question, monkeypatch):
    """Ranking, scores and boxes of every kind of question, by the vectors that were asked with.

    A fused score is the mean, by weight, of the parts' standardised scores.
    """
    store, asked = indexed._store, []
    true = store.search_many

    def seen(questions):
        asked.extend(probe for question in questions for probe in question.probes)
        return true(questions)

    monkeypatch.setattr(store, "search_many", seen)
    found = indexed.search(question.format(p=pictures), k=1000, mode="exact")
    total = dict.fromkeys((hit.id for hit in found), 0.0)
    boxes = {}
    heaviest = max(asked, key=lambda probe: probe.weight)
    for probe in asked:
        rows = store.fetch_vectors(store.described(probe.space).tolist(), probe.space)
        assert set(rows) == set(total)
        for number, row in rows.items():
            every = np.concatenate([row.regions, row.whole[None]]).astype(np.float64)
            scores = every @ probe.vector
            share = probe.weight / sum(abs(p.weight) for p in asked)
            total[number] += share * (scores.max() - probe.mean) / probe.std
            if probe is heaviest:
                best = int(np.argmax(scores))
                boxes[number] = None if best == len(row.regions) else row.boxes[best].tolist()
    assert [hit.id for hit in found] == sorted(total, key=lambda n: (-total[n], n))
    for hit in found:
        assert hit.score == pytest.approx(total[hit.id], abs=1e-4)
        assert hit.box == (None if boxes[hit.id] is None else pytest.approx(boxes[hit.id]))
    assert any(hit.box is not None for hit in found)
    assert all((probe.mean, probe.std) != (0, 1) for probe in asked) == (len(asked) > 1)


# -- sensible answers


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("a cat", "photo-cat"),
        ("a cup of coffee", "photo-coffee"),
        ("a rocket", "photo-rocket"),
        ("dogs", "photo-dogs"),
        ("an astronaut", "photo-astronaut"),
    ],
)
def test_words_find_what_they_name(indexed, words, expected):
    assert expected in names(indexed.search(words, k=2))


@pytest.mark.parametrize("name", ["photo-cat", "desk-00", "yard-01"])
def test_a_picture_finds_itself_in_every_form(indexed, pictures, name):
    file = pictures / f"{name}.jpg"
    with Image.open(file) as image:
        image.load()
    for form in (
        str(file),
        file,
        image,
        np.asarray(image),
        f"img:{file}",
        Query.parse(f'"{file}"'),
    ):
        assert names(indexed.search(form, k=1)) == [name]


def test_a_piece_finds_its_picture_and_its_place(indexed, pictures):
    """The thing asked for is in the box of the answer."""
    results = indexed.search(f"{pictures}/photo-cat.jpg#xywh=150,60,200,200", k=3)
    assert names(results)[0] == "photo-cat"
    x, y, w, h = results[0].box
    assert 150 < x + w / 2 < 350
    assert 60 < y + h / 2 < 260


def test_a_negative_part_pushes_away(indexed):
    plain = names(indexed.search("an animal", k=len(NAMES)))
    pushed = names(indexed.search("an animal - a cat", k=len(NAMES)))
    assert pushed.index("photo-cat") > plain.index("photo-cat")


def test_parts_in_different_spaces_are_fused_on_one_scale(indexed, pictures):
    results = indexed.search(f"a cat + {pictures}/photo-coffee.jpg", k=4)
    assert {"photo-cat", "photo-coffee"} <= set(names(results))
    assert {hit.score_kind for hit in results} == {"fused"}
    assert results[0].source["space"] == "words+look"
    assert indexed.search("a cat", k=1)[0].score_kind == "cosine"
    # a weight moves the answer from one part to the other
    heavy = indexed.search(f"9:a cat + {pictures}/photo-coffee.jpg", k=1)
    other = indexed.search(f"a cat + 9:{pictures}/photo-coffee.jpg", k=1)
    assert (names(heavy), names(other)) == (["photo-cat"], ["photo-coffee"])


def test_similar_leaves_itself_out_and_finds_its_like(indexed):
    own = indexed.search("a cat", k=1)[0]
    for k in (1, 3, 100):
        found = indexed.similar(own.id, k=k)
        check(found, k)
        assert len(found) == min(k, len(NAMES) - 1)
        assert own.id not in {hit.id for hit in found}
    desk = next(h for h in indexed.search("x", k=100) if h.path.endswith("desk-00.jpg"))
    assert not all(name.startswith("photo") for name in names(indexed.similar(desk.id, k=3)))
    piece = indexed.similar(own.id, box=(10, 10, 100, 100), k=100)
    assert own.id not in {hit.id for hit in piece}


# -- filters and cut-offs


def test_a_filter_is_applied_before_the_search(indexed):
    """The last of all is first of its own when only it may be found."""
    last = indexed.search("a cat", k=len(NAMES))[-1]
    name = os.path.basename(last.path)
    only = indexed.search("a cat", k=1, where=f"name = '{name}'")
    assert [hit.id for hit in only] == [last.id]
    assert only[0].score == last.score
    trips = indexed.search("a cat", k=100, where="path ~ 'trips/'")
    assert set(names(trips)) == {"photo-sunset", "photo-rocket"}
    assert len(indexed.search("a cat", k=100, where="width > 10000")) == 0
    assert len(indexed.search("a cat", k=100, where="width >= 640")) == 6
    with pytest.raises(UsageError, match="position"):
        indexed.search("a cat", where="width >")


def test_a_lowest_score_leaves_out_what_is_below(indexed):
    whole = indexed.search("a cat", k=100)
    bar = whole[3].score
    some = indexed.search("a cat", k=100, min_score=bar)
    assert [h.id for h in some] == [h.id for h in whole[:4]]
    assert len(indexed.search("a cat", k=100, min_score=2.0)) == 0


def test_the_calibrated_cutoff_parts_matches_from_the_rest(indexed):
    whole = indexed.search("a cat", k=100)
    assert whole[0].match is True
    assert whole[0].probability > whole[-1].probability
    for hit in whole:
        assert hit.match is (hit.score >= whole.cutoff)
    auto = indexed.search("a cat", k=100, min_score="auto")
    assert [h.id for h in auto] == [h.id for h in whole if h.match]
    chances = [hit.probability for hit in whole]
    assert chances == sorted(chances, reverse=True)


def test_an_unknown_lowest_score_is_refused(indexed):
    with pytest.raises(UsageError, match="min_score"):
        indexed.search("a cat", min_score="high")


def test_places_may_be_left_out(indexed):
    whole = indexed.search("a cat", k=100, places=False)
    assert {hit.box for hit in whole} == {None}
    assert whole[0].source["method"] == "whole"
    control = indexed.search("a cat", k=100, method="whole")
    assert [(h.id, h.score) for h in control] == [(h.id, h.score) for h in whole]
    dense = indexed.search("a cat", k=100, method="dense")
    assert [h.score for h in dense] == [h.score for h in indexed.search("a cat", k=100)]
    assert dense[0].source["method"] == "dense"
    best = {h.id: h.score for h in dense}
    assert all(hit.score <= best[hit.id] + 1e-6 for hit in whole)


# -- what is refused


@pytest.mark.parametrize(
    ("question", "told"),
    [
        ("@99999", "@99999 is not a picture of this library"),
        ("@99999#xywh=0,0,9,9", "@99999 is not a picture"),
        ("https://example.org/cat.jpg", "fetches nothing"),
        ("@1#xywh=5000,0,10,10", "inside it"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_a_reason(indexed, question, told):
    with pytest.raises(UsageError, match=told):
        indexed.search(question)


def test_options_that_make_no_sense_are_refused(indexed, tmp_path):
    with pytest.raises(UsageError, match="`k`"):
        indexed.search("a cat", k=0)
    with pytest.raises(UsageError, match="mode"):
        indexed.search("a cat", mode="quick")
    with pytest.raises(UsageError, match="Nearest: dense"):
        indexed.search("a cat", method="denes")
    with pytest.raises(LibraryIncompatible, match="windows"):
        indexed.search("a cat", method="windows")
    with pytest.raises(UsageError, match=r"onnx:/none.*Indexed with: builtin"):
        indexed.search("a cat", model="onnx:/none")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(PictureError, match="broken"):
        indexed.search(tmp_path / "broken.jpg")


def test_an_empty_library_says_what_to_do(open_library):
    with pytest.raises(UsageError, match="needlepoint index"):
        open_library().search("a cat")


# -- several encoders


def test_each_question_goes_to_the_encoder_for_it(fakes, open_library, tmp_path):
    save(tmp_path / "p" / "a.jpg", "photo-cat")
    save(tmp_path / "p" / "b.jpg", "photo-coffee")
    library = open_library()
    library.index(tmp_path / "p")
    fakes["onnx:/eyes"] = Fake("onnx:/eyes", words=False)
    library.index(tmp_path / "p", model="onnx:/eyes")

    def used(question, **options) -> str:
        return library.search(question, **options)[0].source["model"]

    assert used("a cat") == "builtin"
    assert used(tmp_path / "p" / "a.jpg") == "builtin"  # it knows places
    library.index(tmp_path / "p", model="onnx:/joint")
    assert used("a cat") == "onnx:/joint"  # a picture-language model is better at words
    assert used(tmp_path / "p" / "a.jpg") == "builtin"
    assert used("a cat", model="builtin") == "builtin"
    assert used("a cat + @1") == "onnx:/joint+builtin"
    with pytest.raises(UsageError, match="words"):
        library.search("a cat", model="onnx:/eyes")
    library.use("builtin", "text")
    assert used("a cat") == "builtin"
    library.use("onnx:/eyes")
    assert used("a cat") == "builtin"
    assert used(tmp_path / "p" / "a.jpg") == "onnx:/eyes"
    roles = {m["address"]: m["used_for"] for m in library.models()}
    assert roles == {"builtin": ["words"], "onnx:/eyes": ["pictures"], "onnx:/joint": []}
    with pytest.raises(UsageError, match="words"):
        library.use("onnx:/eyes", "text")
    with pytest.raises(UsageError, match="Indexed with"):
        library.use("onnx:/never")


def test_an_uncalibrated_encoder_says_so(fake, open_library, tmp_path):
    flat(tmp_path / "p" / "a.png", 1)
    library = open_library()
    library.index(tmp_path / "p", model="onnx:/fake")
    results = library.search("a cat", min_score="auto")
    assert len(results) == 1
    assert (results.cutoff, results[0].match, results[0].probability) == (None, None, None)
    fused = library.search("a cat - a dog")
    assert fused[0].score_kind == "fused"


def test_a_picture_seen_by_one_encoder_only_is_not_lost_to_the_other(fakes, open_library, tmp_path):
    flat(tmp_path / "p" / "a.png", 1)
    library = open_library()
    library.index(tmp_path / "p", model="onnx:/one")
    flat(tmp_path / "p" / "b.png", 2)
    library.index(tmp_path / "p", model="onnx:/two")
    assert len(library.search("x", model="onnx:/one")) == 1
    assert len(library.search("x", model="onnx:/two")) == 2
    with pytest.raises(UsageError, match="onnx:/one has not seen it"):
        library.search("@2", model="onnx:/one")


def test_the_first_search_by_words_names_what_would_be_better_once(open_library, tmp_path):
    save(tmp_path / "p" / "a.jpg", "photo-cat", (160, 120))
    library = open_library()
    library.index(tmp_path / "p")
    first, second = (library.search("a cat").notes for _ in range(2))
    assert len(first) == 1
    assert "needlepoint models fetch" in first[0]
    assert str(tmp_path / "p") in first[0]
    assert second == []
    assert library.search(tmp_path / "p" / "a.jpg").notes == []


def test_a_read_only_library_answers_and_refuses_to_change(indexed, pictures):
    from needlepoint.errors import NeedlepointError

    with Library.open(indexed.path, read_only=True) as reader:
        assert names(reader.search("a cat", k=1)) == ["photo-cat"]
        with pytest.raises(NeedlepointError, match="read"):
            reader.index(pictures)
