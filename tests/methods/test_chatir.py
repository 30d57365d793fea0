"""ChatIR over a stand-in server: what is searched, what is asked, and when nothing is."""

from __future__ import annotations

import json

import numpy as np
import pytest
from talk_kit import Gallery, chat, script

from chat_stand_in import Answer, serving
from needlepoint.errors import ModelUnavailable, UsageError
from needlepoint.methods.dialogue import Helpers, Mark, Turn
from needlepoint.methods.interactive.chatir import dialogue
from needlepoint.query import Part, Query

pytest.importorskip("openai")

TALK = [
    Turn("a dog"),
    Turn("yes", "Is it alone?"),
    Turn("on a beach", "Where is it?"),
]


def test_the_dialogue_is_one_text_joined_by_commas() -> None:
    with serving([Answer("x?")]) as server:
        method, view = dialogue("", Helpers(chat(server))), Gallery()
        found = method.understand(TALK, view)
        assert server.asked == []  # searching costs no call
    assert found.text == "a dog, Is it alone? yes, Where is it? on a beach"
    assert found.query == Query((Part("text", found.text),))


def test_turn_0_is_a_search_for_the_caption_alone() -> None:
    with serving([Answer("x?")]) as server:
        found = dialogue("", Helpers(chat(server))).understand(TALK[:1], Gallery())
    assert (found.query, found.probes) == (Query((Part("text", "a dog"),)), ())


def test_marks_and_pictures_are_added_as_feedback_adds_them() -> None:
    parts = (Part("text", "a dog"), Part("item", "5"), Part("text", "a cat", -1.0))
    turns = [Turn("…", parts=parts), Turn(more=(Mark(3),), less=(Mark(4),))]
    with serving([Answer("x?")]) as server:
        found = dialogue("", Helpers(chat(server))).understand(turns, Gallery())
    assert found.text == "a dog"
    assert sorted(found.names) == sorted(
        ["a dog", "@5", "a cat", "more like these", "less like those"]
    )
    assert [probe.weight > 0 for probe in found.probes].count(False) == 2


def test_a_turn_of_marks_alone_is_no_round() -> None:
    with serving([Answer("x?")]) as server:
        method = dialogue("", Helpers(chat(server)))
        marks = [Turn(more=(Mark(3),))]
        assert method.understand(marks, Gallery()).text == ""
        assert method.ask(marks, Gallery()) == ""
        assert server.asked == []


@pytest.mark.parametrize(
    ("reply", "question"),
    [
        ("What colour is it?", "What colour is it?"),
        (' 1. "What colour is it? Or is it big?"\n2. Where?', "What colour is it?"),
        ("Question: What colour\n is it?", "What colour is it?"),
        ("I cannot ask.", ""),
        ("?", ""),
        ("x" * 400 + "?", ""),
        ("IS IT ALONE?", ""),  # asked before
    ],
)
def test_a_question_is_cut_at_its_first_mark(reply: str, question: str) -> None:
    with serving([Answer(reply)]) as server:
        method = dialogue("", Helpers(chat(server)))
        assert method.ask(TALK[:2], Gallery()) == question
        (asked,) = server.texts()
        assert asked == "a dog, Is it alone? yes"
        assert server.asked[0]["temperature"] == 0


def test_questions_written_ahead_see_no_answer() -> None:
    written = {"questions": ["One?", "2. Two? Three?", "none", "One?", "Four?"]}
    with serving([Answer(json.dumps(written))]) as server:
        method = dialogue("questions=ahead,rounds=4", Helpers(chat(server)))
        turns, asked = [Turn("a dog")], []
        while question := method.ask(turns, Gallery()):
            asked.append(question)
            turns.append(Turn("yes", question))
        assert asked == ["One?", "Two?", "Four?"]
        assert len(server.asked) == 1
        assert "yes" not in server.texts()[0]


def test_no_more_than_the_rounds_are_asked() -> None:
    with serving(script(("find one photograph", lambda last: f"{len(last)}?"))) as server:
        method = dialogue("rounds=2", Helpers(chat(server)))
        turns = [Turn("a dog")]
        for _ in range(4):
            turns.append(Turn("yes", method.ask(turns, Gallery())))
        assert [bool(turn.asked) for turn in turns[1:]] == [True, True, False, False]


def test_answers_raise_the_hits() -> None:
    """A user who tells one more thing a round finds the picture sooner or later."""
    with serving([Answer("x?")]) as server:
        method, view = dialogue("", Helpers(chat(server))), Gallery()
        ranks = []
        turns = []
        for n, words in enumerate(("dog", "child", "beach")):
            turns.append(Turn(words, "" if n == 0 else "What else?"))
            (probe,) = view.probes(method.understand(turns, view).query)
            ids, _ = view.search([probe], len(view.rows))
            ranks.append(int(np.flatnonzero(ids == 3)[0]))
    assert ranks[0] > ranks[-1] == 0


def test_without_a_model_the_method_says_what_to_give() -> None:
    with pytest.raises(ModelUnavailable, match="--chat"):
        dialogue("", Helpers())
    with serving([Answer("x?")]) as server:
        for options in ("rounds=0", "rounds=x", "questions=some", "turns=3"):
            with pytest.raises(UsageError):
                dialogue(options, Helpers(chat(server)))


def test_a_question_stands_while_the_user_only_marks() -> None:
    with serving([Answer("Is it big?")]) as server:
        method = dialogue("", Helpers(chat(server)))
        turns = [Turn("a dog"), Turn("", "Is it big?", more=(Mark(3),))]
        assert method.ask(turns, Gallery()) == "Is it big?"
        assert method.ask([*turns, Turn("yes", "Is it big?")], Gallery()) == ""
