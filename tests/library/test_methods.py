"""A library by methods: several side by side, each searched by its own, refusals that help."""

from __future__ import annotations

import os
import re
import shlex
import warnings

import numpy as np
import pytest
from library_kit import Fake, flat, save

from needlepoint.cli.main import run
from needlepoint.errors import LibraryIncompatible, UsageError
from needlepoint.library import Library, indexing
from needlepoint.methods import card as registry
from needlepoint.methods.card import Asked, Method, find_method, register
from needlepoint.search.fusion import Fusion

MODEL = "onnx:/fake"


@pytest.fixture
def folder(tmp_path):
    for number in range(6):
        flat(tmp_path / "p" / f"{number}.png", number, (120, 90))
    return tmp_path / "p"


@pytest.fixture
def library(open_library, fake, folder):
    """Six pictures, whole and by a grid of crops."""
    library = open_library()
    library.index(folder, model=MODEL)
    library.index(folder, model=MODEL, method="grid:n=2")
    return library


def recipes(library: Library) -> dict[str, int]:
    return {model["recipe"]: model["pictures"] for model in library.models()}


def scores(results) -> list[tuple[int, float]]:
    return [(hit.id, hit.score) for hit in results]


# -- indexing


def test_methods_stand_side_by_side_and_each_sees_every_picture(library, folder, fake):
    assert recipes(library) == {"none": 6, "grid:n=2": 6}
    assert [m["method"] for m in library.models()] == ["whole", "grid"]
    assert {s["recipe"]: s["method"] for s in library.info()["spaces"]} == {
        "none": "whole",
        "grid:n=2": "grid",
    }
    seen = fake.seen
    library.index(folder, method="five-crop")
    assert fake.seen == seen + 6 * (1 + 5)
    assert recipes(library) == {"none": 6, "grid:n=2": 6, "five-crop": 6}
    # three rows of vectors, one of facts: ids are those of the pictures
    assert library.info()["pictures"] == 6


def test_again_without_options_means_the_method_of_last_time(library, folder):
    flat(folder / "new.png", 50, (120, 90))
    assert library.index(folder).added == 1
    assert recipes(library) == {"none": 6, "grid:n=2": 7}
    assert library.index(folder, regions="none").added + library.index(folder).unchanged > 0
    assert recipes(library) == {"none": 7, "grid:n=2": 7}
    with Library.open(library.path) as again:
        flat(folder / "newer.png", 51, (120, 90))
        again.index(folder)
        assert recipes(again) == {"none": 8, "grid:n=2": 7}  # last time it was none


def test_what_shapes_no_vector_is_not_indexed_twice(library, folder, fake):
    seen = fake.seen
    report = library.index(folder, method="grid:n=2,tau=0.1")
    assert (fake.seen, report.added) == (seen, 0)
    assert recipes(library) == {"none": 6, "grid:n=2": 6}
    library.index(folder, method="grid:n=4")
    assert recipes(library) == {"none": 6, "grid:n=2": 6, "grid:n=4": 6}


def test_an_interrupted_run_is_resumed_for_its_method(library, folder, fake, monkeypatch):
    monkeypatch.setattr(indexing, "BATCH", 2)

    def stop(step) -> None:
        if step.stage == "indexing" and step.done >= 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        library.index(folder, method="five-crop", progress=stop, workers=1)
    kept = recipes(library)["five-crop"]
    assert 2 <= kept < 6
    assert library.info()["unfinished"]["detail"]["recipe"] == "five-crop"
    report = library.index(folder)
    assert report.resumed_from == kept
    assert recipes(library) == {"none": 6, "grid:n=2": 6, "five-crop": 6}


def test_a_changed_picture_is_dropped_by_the_others_until_they_see_it(library, folder):
    flat(folder / "0.png", 77, (121, 90))
    assert library.index(folder).updated == 1  # by the grid
    assert recipes(library) == {"none": 5, "grid:n=2": 6}
    library.index(folder, regions="none")
    assert recipes(library) == {"none": 6, "grid:n=2": 6}


def test_method_and_regions_exclude_each_other(library, folder):
    for more in ({"regions": "none"}, {"detail": "2x"}, {"keep_map": True}):
        with pytest.raises(UsageError, match=r"`method` is grid.*regions.*leave `method` out"):
            library.index(folder, method="grid", **more)


@pytest.mark.parametrize(
    ("method", "told"),
    [
        ("gird", "unknown method 'gird'. Nearest: grid"),
        ("grid:m=3", "option 'm=3' is not known"),
        ("grid:n=1", r"method grid: n is 1\. Allowed: 2 to 16"),
        ("whole", "keeps nothing of its own"),
        ("hard-max", "keeps nothing of its own"),
        ("lare", r"needs received of the encoder; onnx:/fake has text.*--model"),
    ],
)
def test_what_cannot_be_indexed_is_refused_before_a_picture_is_read(
    library, folder, decodes, method, told
):
    decodes.clear()
    with pytest.raises(UsageError, match=told):
        library.index(folder, method=method)
    assert (decodes, recipes(library)) == ([], {"none": 6, "grid:n=2": 6})


def test_a_policy_may_be_named_as_the_method_it_is(open_library, fake, folder):
    library = open_library()
    library.index(folder, model=MODEL, method="windows:4")
    assert recipes(library) == {"windows:4": 6}
    assert library.index(folder, method="windows").unchanged == 6
    with pytest.raises(LibraryIncompatible, match="one policy"):
        library.index(folder, method="windows:9")


def test_a_dry_run_by_a_method_writes_nothing(library, folder):
    report = library.index(folder, method="five-crop", dry_run=True)
    assert (report.planned, report.added) == (6, 0)
    assert "five-crop" not in recipes(library)
    assert library.index(folder).unchanged == 6  # last time is still the grid


# -- searching


def test_without_a_method_the_plain_vectors_answer_as_they_did(library):
    results = library.search("a cat", k=9)
    assert results[0].source["method"] == "whole"
    assert {hit.box for hit in results} == {None}
    assert scores(results) == scores(library.search("a cat", k=9, method="whole"))


def test_a_library_of_one_method_is_searched_by_it(open_library, fake, folder):
    library = open_library()
    library.index(folder, model=MODEL, method="grid:n=2,tau=0.5")
    results = library.search("a cat", k=9)
    assert results[0].source["method"] == "grid"
    assert scores(results) == scores(library.search("a cat", k=9, method="grid"))
    assert scores(results) == scores(library.search("a cat", k=9, method="grid:n=2,tau=0.5"))
    assert scores(results) != scores(library.search("a cat", k=9, method="grid:n=2,tau=-1"))
    assert any(hit.box for hit in results)


def brute(library: Library, recipe: str, question: np.ndarray, fusion: Fusion):
    """Ids and scores by the rule, from the stored vectors."""
    (space,) = [s for s in library._store.spaces() if s.recipe == recipe]
    rows = library._store.fetch_vectors(library._store.described(space.id).tolist(), space.id)
    found = []
    for number, row in rows.items():
        whole = float(row.whole @ question)
        best = max((float(r @ question) for r in row.regions), default=-np.inf)
        score = whole
        if fusion.kind == "best":
            score = max(whole, best)
        elif fusion.kind == "gated" and whole < fusion.tau and best > whole:
            score += min(fusion.gain * (best - whole), fusion.cap) * (best - whole)
        found.append((number, score))
    return sorted(found, key=lambda row: (-row[1], row[0]))


@pytest.mark.parametrize(
    ("method", "recipe", "fusion"),
    [
        ("grid", "grid:n=2", Fusion("gated", 0.25)),
        ("grid:n=2,tau=0.05", "grid:n=2", Fusion("gated", 0.05)),
        ("grid:n=2,fusion=best", "grid:n=2", Fusion("best")),
        ("five-crop", "five-crop", Fusion("gated", 0.25)),
        ("whole", "none", Fusion("whole")),
    ],
)
def test_a_method_scores_by_its_own_rule(library, folder, fake, method, recipe, fusion):
    library.index(folder, method="five-crop")
    results = library.search("a cat", k=9, method=method)
    question = fake.text_features(["a cat"]).vector[0]
    expected = brute(library, recipe, question, fusion)
    assert [hit.id for hit in results] == [number for number, _ in expected]
    for hit, (_, score) in zip(results, expected, strict=True):
        assert hit.score == pytest.approx(score, abs=1e-3)  # float16 is kept
    assert results[0].source["method"] == method.partition(":")[0]
    assert results.exact


def test_any_library_can_be_asked_for_its_highest_and_its_whole_score(open_library, fake, folder):
    library = open_library()
    library.index(folder, model=MODEL, method="grid:n=2")
    question = fake.text_features(["a cat"]).vector[0]
    for method, kind in (("hard-max", "best"), ("whole", "whole")):
        results = library.search("a cat", k=9, method=method)
        expected = brute(library, "grid:n=2", question, Fusion(kind))
        assert [hit.id for hit in results] == [number for number, _ in expected]
        assert results[0].source["method"] == method
    plain = library.search("a cat", k=9, places=False)
    assert scores(plain) == scores(library.search("a cat", k=9, method="whole"))


def test_a_picture_and_an_item_are_asked_by_method_too(library, folder):
    for question in (folder / "3.png", "@2", "@2#xywh=0,0,60,45", "2:a cat + @3 - a dog"):
        results = library.search(question, k=9, method="grid")
        assert results[0].source["method"] == "grid"
        assert len(results) == 6
        assert [h.id for h in library.search(question, k=2, method="grid")] == [
            h.id for h in results[:2]
        ]
    assert library.similar(2, method="grid")[0].source["method"] == "grid"


# -- refusing


def test_a_refusal_gives_the_command_and_the_command_helps(
    open_library, fake, folder, capfd, tmp_path
):
    library = open_library("a library")
    library.index(folder, model=MODEL)
    with pytest.raises(LibraryIncompatible) as told:
        library.search("a cat", method="five-crop:share=0.6")
    assert "five-crop:share=0.6" in str(told.value)
    assert f"has none by {MODEL}" in str(told.value)
    assert told.value.exit_code == 3
    library.close()
    command = shlex.split(re.search(r"`(needlepoint .*)`", str(told.value))[1])
    assert command[0] == "needlepoint"
    assert command[-1] == str(folder)
    assert run(command[1:]) == 0, capfd.readouterr().err
    with Library.open(library.path) as again:
        results = again.search("a cat", method="five-crop:share=0.6", k=9)
        assert (len(results), results[0].source["method"]) == (6, "five-crop")
        assert again.search("a cat")[0].source["method"] == "whole"


@pytest.mark.parametrize(
    ("method", "told"),
    [
        ("grid:n=3", r"needs vectors of grid:n=3; .* has none, grid:n=2 .*--method grid:n=3"),
        ("windows", r"needs vectors of windows:\*.*-2 index --regions windows .*search that"),
        ("lare", r"needs vectors of lare\*.*index --method lare --model onnx:/fake"),
    ],
)
def test_what_the_library_was_not_indexed_for_is_refused(library, method, told):
    with pytest.raises(LibraryIncompatible, match=told):
        library.search("a cat", method=method)


def test_options_that_cannot_be_understood_are_refused_when_asking(library):
    with pytest.raises(UsageError, match="not known"):
        library.search("a cat", method="grid:size=3")


def test_the_encoder_that_has_the_method_answers_unless_another_is_ordered(
    fakes, open_library, folder
):
    library = open_library()
    library.index(folder, model="onnx:/one", method="grid:n=2")
    library.index(folder, model="onnx:/two")
    library.use("onnx:/two")
    assert library.search("x")[0].source["model"] == "onnx:/two"
    assert library.search("x", method="grid")[0].source["model"] == "onnx:/one"
    with pytest.raises(LibraryIncompatible, match="--model onnx:/two"):
        library.search("x", method="grid", model="onnx:/two")
    assert library.search("x", model="onnx:/one")[0].source["method"] == "grid"


def test_a_newer_method_does_not_make_its_encoder_the_newest(fakes, open_library, folder):
    library = open_library()
    library.index(folder, model="onnx:/one")
    library.index(folder, model="onnx:/two")
    library.index(folder, model="onnx:/one", method="grid:n=2")
    assert library.search("x")[0].source["model"] == "onnx:/two"


def test_the_built_in_encoder_keeps_answering_by_its_dense_regions(open_library, tmp_path):
    save(tmp_path / "p" / "a.jpg", "desk-00")
    save(tmp_path / "p" / "b.jpg", "photo-cat")
    library = open_library()
    library.index(tmp_path / "p")
    before = {q: scores(library.search(q)) for q in ("a cat", "@1", "@1#xywh=20,20,90,90")}
    library.index(tmp_path / "p", method="lare:n=2")
    assert {q: scores(library.search(q)) for q in before} == before
    assert library.search("@1")[0].source["method"] == "dense"
    gated = library.search("@1#xywh=20,20,90,90", method="lare")
    assert gated[0].source["method"] == "lare"
    assert (gated.cutoff, gated[0].match) == (None, None)  # fitted on another kind of score
    assert library.heat(2, tmp_path / "p" / "b.jpg").score > 0.5


def test_heat_without_dense_regions_says_what_it_needs(library):
    with pytest.raises(LibraryIncompatible, match="has none for onnx:/fake"):
        library.heat(1, "@1")


# -- methods that turn words into vectors


@pytest.fixture
def calls(monkeypatch):
    """A method that asks by the vector of the first word, and by that of the last again."""
    monkeypatch.setattr(registry, "_METHODS", dict(registry._METHODS))
    find_method("whole")
    made: list[tuple[list[str], str, list[str]]] = []

    def ask(encoder, texts, options, corpus):
        made.append((list(texts), options, list(corpus)))
        if not corpus:
            warnings.warn("no corpus", stacklevel=2)
        first, last = (encoder.text_features([t.split()[i] for t in texts]).vector for i in (0, -1))
        if options == "once":
            return Asked(first)
        return Asked(first, last, share=0.75, shortlist=4)

    card = find_method("whole").card
    from dataclasses import replace

    register(
        Method(
            replace(card, name="twice", recipe="*", title="x"),
            fusion=lambda options, card: Fusion("gated", 0.25),
            asks=ask,
        )
    )
    return made


def test_the_best_are_put_in_order_again_and_the_rest_stays_below(library, fake, calls):
    question = "bike teapot"
    results = library.search(question, k=9, method="twice", corpus=["red", "blue"])
    assert calls == [([question], "", ["red", "blue"])]
    one, two = fake.text_features(["bike", "teapot"]).vector
    # the newest plain vectors: of wholes only
    first = brute(library, "none", one, Fusion("whole"))
    again = dict(brute(library, "none", two, Fusion("whole")))
    mixed = {number: 0.25 * score + 0.75 * again[number] for number, score in first[:4]}
    expected = sorted(mixed, key=lambda n: (-mixed[n], n)) + [n for n, _ in first[4:]]
    assert [hit.id for hit in results] == expected
    assert [hit.id for hit in results[:4]] != [number for number, _ in first[:4]]
    assert [hit.score_kind for hit in results] == ["reordered"] * 4 + ["cosine"] * 2
    for hit in results[:4]:
        assert hit.score == pytest.approx(mixed[hit.id], abs=1e-3)
    for k in (1, 3, 4, 5):
        some = library.search(question, k=k, method="twice", corpus=["x"])
        assert [(h.id, h.score, h.rank) for h in some] == [
            (h.id, h.score, h.rank) for h in results[:k]
        ]


def test_options_reach_the_method_and_pictures_are_asked_as_ever(library, fake, calls):
    results = library.search("bike teapot", k=9, method="twice:once", corpus=["x"])
    assert calls[-1][1] == "once"
    assert {hit.score_kind for hit in results} == {"cosine"}
    seen = len(calls)
    assert library.search("@1", k=1, method="twice")[0].id == 1
    assert len(calls) == seen


def test_a_question_of_several_parts_cannot_be_put_in_order_again(library, calls):
    with pytest.raises(UsageError, match=r"twice.*one part.*Received: 2 parts"):
        library.search("bike + teapot", method="twice", corpus=["x"])
    assert len(library.search("bike + teapot", method="twice:once", corpus=["x"])) == 6


def test_the_corpus_is_the_keywords_of_the_library(open_library, fake, tmp_path, calls):
    from PIL import Image

    picture = flat(tmp_path / "p" / "a.jpg", 1)
    xmp = (
        "<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF "
        "xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'><rdf:Description "
        "xmlns:dc='http://purl.org/dc/elements/1.1/'><dc:subject><rdf:Bag><rdf:li>red mug</rdf:li>"
        "<rdf:li>table</rdf:li></rdf:Bag></dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    with Image.open(picture) as image:
        image.convert("RGB").save(picture, xmp=xmp.encode())
    flat(tmp_path / "p" / "b.png", 2)
    library = open_library()
    library.index(tmp_path / "p", model=MODEL)
    library.search("x", method="twice")
    assert calls[-1][2] == ["red mug table"]
    os.unlink(picture)
    library.index(tmp_path / "p")
    with pytest.warns(UserWarning, match="no corpus"):
        library.search("x", method="twice")


def test_a_corpus_nobody_reads_is_refused(library):
    for method in (None, "grid", "whole"):
        with pytest.raises(UsageError, match="`corpus` is given"):
            library.search("x", method=method, corpus=["a"])


def test_a_method_whose_words_are_weighed_is_not_judged(open_library, tmp_path, calls):
    save(tmp_path / "p" / "a.jpg", "photo-cat", (160, 120))
    library = open_library()
    library.index(tmp_path / "p")
    assert library.search("a cat")[0].match is not None
    assert library.search("a cat", method="twice", corpus=["x"])[0].match is None


def test_fakes_are_what_these_tests_take_them_for(fake):
    """Words of one length have one vector; the others differ."""
    assert isinstance(fake, Fake)
    one, two = fake.text_features(["bike", "teapot"]).vector
    assert not np.allclose(one, two)
