"""Conversations in a real library: what a turn asks, what marks do, and taking turns back."""

from __future__ import annotations

import itertools

import pytest
from library_kit import NAMES, Fake

from needlepoint.errors import UsageError
from needlepoint.library import Library
from needlepoint.methods.dialogue import Mark
from needlepoint.results import Results

ALL = len(NAMES)


def rows(results: Results) -> list[tuple[object, ...]]:
    return [(h.id, h.score, h.box, h.match, h.probability) for h in results]


@pytest.mark.parametrize(
    "said", ["a cat", "2:a cat - a dog", "@3", "@3#xywh=10,10,120,120 + a cat", "{p}/photo-cat.jpg"]
)
def test_turns_without_marks_are_a_search(indexed: Library, pictures, said: str) -> None:
    said = said.format(p=pictures)
    reply, plain = indexed.converse(k=6).say(said), indexed.search(said, k=6)
    assert rows(reply.results) == rows(plain)
    assert reply.results.cutoff == plain.cutoff
    assert reply.moved == {}


def test_turns_add_up(indexed: Library) -> None:
    talk = indexed.converse()
    talk.say("a cat")
    assert rows(talk.say("- a dog").results) == rows(indexed.search("a cat - a dog"))


def test_a_filter_holds_for_all_turns(indexed: Library) -> None:
    talk = indexed.converse(where="folder ~ trips")
    for reply in (talk.say("a cat"), talk.say(more=[Mark(1)]), talk.say(less=[Mark(2)])):
        assert len(reply.results) == 2


def test_reasons_add_up_to_the_score(indexed: Library) -> None:
    talk = indexed.converse(k=ALL)
    answers = [talk.say("2:a cat + a dog - @4").results]
    answers.append(
        talk.say(more=[Mark(2), Mark(3)], less=[Mark(5, (10.0, 10.0, 90.0, 90.0))]).results
    )
    answers.append(indexed.search("a cat"))
    for answer in answers:
        for hit in answer:
            assert sum(r.score * r.weight for r in hit.why) == pytest.approx(hit.score, abs=1e-5)
    assert [r.part for r in answers[0][0].why] == ["2:a cat", "a dog", "@4"]
    assert [r.part for r in answers[1][0].why][3:] == ["more like these", "less like those"]


def test_a_liked_picture_stands_above_a_disliked_one(indexed: Library) -> None:
    for liked, other in itertools.permutations((3, 7, 11), 2):
        talk = indexed.converse(k=ALL)
        talk.say("something")
        order = [hit.id for hit in talk.say(more=[Mark(liked)], less=[Mark(other)]).results]
        assert order.index(liked) < order.index(other)


def test_undo_restores_the_answer_bit_for_bit(indexed: Library) -> None:
    talk = indexed.converse(k=ALL)
    talk.say("a cat")
    before = talk.say(more=[Mark(3)])
    talk.say("- a dog", less=[Mark(5)])
    assert talk.undo() is before
    again = talk.say("- a dog", less=[Mark(5)])
    other = indexed.converse(k=ALL)
    other.say("a cat")
    other.say(more=[Mark(3)])
    assert rows(other.say("- a dog", less=[Mark(5)]).results) == rows(again.results)
    for _ in range(3):
        talk.undo()
    assert (talk.turns, talk.question) == ([], "")
    with pytest.raises(UsageError, match="no turn"):
        talk.undo()


def test_the_order_of_turns_does_not_matter(indexed: Library) -> None:
    turns = [
        {"said": "a cat"},
        {"more": [Mark(3), Mark(8, (5.0, 5.0, 100.0, 80.0))]},
        {"less": [Mark(5)], "said": "a dog"},
    ]
    found = set()
    for order in itertools.permutations(turns):
        talk = indexed.converse(k=ALL)
        for turn in order[:2]:
            if turn is not order[0] or "said" in turn or "more" in turn:
                talk.say(**turn)
        found.add(str(rows(talk.say(**order[2]).results)))
    assert len(found) == 1


def test_the_last_mark_of_a_picture_counts(indexed: Library) -> None:
    talk, other = indexed.converse(), indexed.converse()
    for one in (talk, other):
        one.say("a cat")
    talk.say(less=[Mark(3)])
    assert rows(talk.say(more=[Mark(3)]).results) == rows(other.say(more=[Mark(3)]).results)


def test_moved_tells_ranks_risen(indexed: Library) -> None:
    talk = indexed.converse(k=5)
    before = {hit.id: hit.rank for hit in talk.say("a cat").results}
    reply = talk.say(more=[Mark(9)])
    assert list(reply.moved) == [hit.id for hit in reply.results]
    for hit in reply.results:
        rise = before[hit.id] - hit.rank if hit.id in before else None
        assert reply.moved[hit.id] == rise


REFUSED = {
    "nothing": {},
    "blank words": {"said": "  "},
    "no such picture": {"more": [Mark(999)]},
    "only pushing away": {"less": [Mark(3)]},
    "no question of the language": {"said": "a cat +"},
    "an empty box": {"more": [Mark(3, (0.0, 0.0, 0.0, 1.0))]},
    "a box outside": {"more": [Mark(3, (9000.0, 0.0, 5.0, 5.0))]},
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_turn_is_not_kept(indexed: Library, name: str) -> None:
    talk = indexed.converse()
    with pytest.raises(UsageError):
        talk.say(**REFUSED[name])
    assert (talk.turns, talk.replies) == ([], [])


def test_what_cannot_be_begun(indexed: Library) -> None:
    for told, message in (
        ({"method": "windows"}, "does not converse"),
        ({"method": "feedback:mor=1"}, "option"),
        ({"method": "nothing"}, "unknown method"),
        ({"k": 0}, "positive"),
        ({"where": "year >"}, "position"),
    ):
        with pytest.raises(UsageError, match=message):
            indexed.converse(**told)


def test_marks_weigh_without_calibration_too(pictures, open_library, fake: Fake) -> None:
    library = open_library()
    library.index(pictures, model="onnx:/fake")
    talk = library.converse(k=ALL)
    talk.say("words")
    for hit in talk.say(more=[Mark(4)], less=[Mark(6)]).results:
        assert all(abs(reason.score) < 6 for reason in hit.why)
    assert hit.match is None
