"""Composed questions in a library: what is asked, what is left out, what is told."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from library_kit import flat

from needlepoint.errors import UsageError
from needlepoint.library.asking import Options
from needlepoint.methods import card as registry
from needlepoint.methods.card import Method, find_method, register
from needlepoint.methods.composing import Again, Composed, reference_probe
from needlepoint.query import Part, Query

MODEL = "onnx:/fake"
COUNT = 6


@pytest.fixture
def library(open_library, fake, tmp_path):
    for number in range(COUNT):
        flat(tmp_path / "p" / f"{number}.png", number, (120, 90))
    library = open_library()
    library.index(tmp_path / "p", model=MODEL)
    return library


def compose_with(compose) -> None:
    """Register the method ``probe_me``, which composes as a function does."""

    class Mine:
        def compose(self, changes, view):
            return [compose(change, view) for change in changes]

    card = replace(find_method("weighted_sum").card, name="probe_me")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        register(Method(card, composer=lambda options, helpers: Mine()))


@pytest.fixture(autouse=True)
def no_leftovers():
    yield
    registry._METHODS.pop("probe_me", None)


def test_the_default_is_the_sum_of_picture_and_words(library, fake):
    found = library.search("@2", change="in red")
    stored = library._store.fetch_vectors(range(1, COUNT + 1), 1)
    words = fake.text_features(["in red"]).vector[0]
    asked = stored[2].whole + words
    asked /= np.linalg.norm(asked)
    wanted = {n: float(row.whole @ asked) for n, row in stored.items() if n != 2}
    assert [hit.id for hit in found] == sorted(wanted, key=lambda n: -wanted[n])
    assert [hit.score for hit in found] == pytest.approx(sorted(wanted.values(), reverse=True))
    assert {hit.score_kind for hit in found} == {"cosine"}
    assert found.told == (("picture", "weight 0.5"), ("words", "weight 0.5"))
    assert "compose" in found.timings
    assert str(found.query) == "@2 -> in red"
    assert found.to_dict()["told"] == [["picture", "weight 0.5"], ["words", "weight 0.5"]]
    assert library.search("@2 -> in red").to_dicts() == found.to_dicts()


def test_the_picture_to_change_is_left_out_and_a_piece_of_it_is_not(library, tmp_path):
    assert 2 not in [hit.id for hit in library.search("@2 -> in red")]
    path = str(tmp_path / "p" / "3.png")
    number = library.at(path)
    assert number not in [hit.id for hit in library.search(f"{path} -> in red")]
    assert number in [hit.id for hit in library.search(f"{path}#xywh=0,0,60,60 -> in red")]
    assert number in [hit.id for hit in library.search(path)]
    assert len(library.similar(4, change="in red")) == COUNT - 1


def test_a_composer_sees_references_and_change_and_answers_without_a_change(library):
    seen = []

    def keep(change, view):
        seen.append(change)
        return Composed((reference_probe(change, view),))

    compose_with(keep)
    library.search("@1 + 2:@3 - @4 -> no {} here", method="probe_me")
    assert seen[0].references == (Part("item", "1"), Part("item", "3", 2.0))
    assert seen[0].text == "no   here"
    library.search("@1", method="probe_me")
    assert seen[1].text == ""
    plain = library.search("words alone", method="probe_me")
    assert len(seen) == 2
    assert len(plain) == COUNT


def test_parts_beside_the_change_pull_and_push_as_in_any_question(library):
    both = library.search("@1 - 2:@3 -> in red")
    assert {hit.score_kind for hit in both} == {"fused"}
    parts = [[(one.part, round(one.weight, 6)) for one in hit.why] for hit in both]
    assert parts[0] == [("picture and words", round(1 / 3, 6)), ("2:@3", round(-2 / 3, 6))]
    for hit in both:
        assert hit.score == pytest.approx(sum(one.score * one.weight for one in hit.why), abs=1e-5)


def test_a_composer_may_put_the_best_in_order_anew(library):
    given = {}

    def turned(change, view):
        def scores(ids, before):
            given["ids"] = list(ids)
            return -before

        return Composed((reference_probe(change, view),), again=Again(scores, 3))

    compose_with(turned)
    plain = [hit.id for hit in library.search("@1")]
    found = library.search("@1", method="probe_me", k=5)
    assert given["ids"] == plain[:3]
    assert [hit.id for hit in found] == [*plain[:3][::-1], *plain[3:5]]
    assert [hit.score_kind for hit in found] == ["reordered"] * 3 + ["cosine"] * 2
    with pytest.raises(UsageError, match=r"cannot weigh other parts. Received: @2 beside"):
        library.search("@1 - @2 -> in red", method="probe_me")


def test_an_order_of_everything_looks_at_everything(library):
    sizes = []

    def whole(change, view):
        return Composed(
            (reference_probe(change, view),),
            again=Again(lambda ids, before: sizes.append(len(ids)) or before, 0),
        )

    compose_with(whole)
    assert len(library.search("@1 -> x", method="probe_me", k=1)) == 1
    assert sizes == [COUNT]


def test_only_composers_answer_a_change(library):
    with pytest.raises(UsageError, match=r"`method` is whole, .* weighted_sum"):
        library.search("@1 -> in red", method="whole")
    with pytest.raises(UsageError, match="the change is given twice"):
        library.search("@1 -> in red", change="in blue")


def test_many_questions_answer_as_one_by_one_and_errors_keep_their_place(library):
    asked = ["@1", "@1 -> in red", "@2 -> in blue", "@99 -> in red", "words"]
    together = library.search_many(asked, Options(k=3))
    for question, found in zip(asked, together, strict=True):
        if question.startswith("@99"):
            assert isinstance(found, UsageError)
        else:
            assert found.to_dicts() == library.search(question, k=3).to_dicts()
    refused = library.search_many(["@1 -> x", "@1"], Options(method="whole"))
    assert isinstance(refused[0], UsageError)
    assert len(refused[1]) == COUNT


def test_a_conversation_and_a_heat_map_refuse_a_change(library):
    with pytest.raises(UsageError, match="a turn cannot change a picture in words"):
        library.converse().say("@1 -> in red")
    with pytest.raises(UsageError, match="one part"):
        library.heat(1, Query.parse("@1 -> in red"))


def test_the_plain_ground_of_a_picture_to_change_counts(library, fake, tmp_path):
    thing = np.full((240, 320, 3), 255, np.uint8)
    thing[100:140, 140:180] = (200, 30, 30)
    whole = fake.image_features([thing]).vector[0]
    given = []

    def keep(change, view):
        given.append(reference_probe(change, view).vector)
        return Composed((reference_probe(change, view),))

    compose_with(keep)
    library.search(thing, change="in blue", method="probe_me")
    np.testing.assert_allclose(given[0], whole, atol=1e-6)
    piece = library.search(thing)
    assert piece[0].score != pytest.approx(library.search(thing, method="probe_me")[0].score)


def test_beside_other_parts_branches_count_by_standard_scores(library):
    found = library.search("@1 - @3 -> in red", method="weicom")
    names = [one.part for one in found[0].why]
    assert names == ["the picture", "the words", "@3"]
    assert [one.weight for one in found[0].why] == pytest.approx([0.25, 0.25, -0.5])
    for hit in found:
        assert hit.score == pytest.approx(sum(one.score * one.weight for one in hit.why), abs=1e-4)
    assert max(abs(one.score) for hit in found for one in hit.why[:2]) > 1
