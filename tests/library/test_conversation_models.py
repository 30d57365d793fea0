"""Conversations with models behind a real local server, and with servers that fail."""

from __future__ import annotations

from pathlib import Path

import pytest
from library_kit import NAMES

from chat_stand_in import BROKEN, CUT, HTML, Answer, StandIn, serving
from needlepoint.errors import ModelUnavailable, UsageError
from needlepoint.library import Library
from needlepoint.library.conversation import Conversation, Reply
from needlepoint.library.helpers import open_helpers
from needlepoint.methods.dialogue import Mark

pytest.importorskip("openai")


def rows(reply: Reply) -> list[tuple[object, ...]]:
    return [(h.id, h.score, h.box, h.match) for h in reply.results]


def begin(library: Library, server: StandIn, cache: Path, method: str) -> Conversation:
    address = f"openai:{server.url}#toy"
    helpers = open_helpers(chat=address, generator=address, seconds=20, cache=cache)
    return library.converse(method=method, helpers=helpers, k=len(NAMES))


@pytest.mark.parametrize("method", ["chatir", "plugir", "genir"])
@pytest.mark.parametrize("answer", [BROKEN, CUT, HTML, Answer("")], ids=["500", "cut", "html", ""])
def test_a_failing_model_leaves_plain_feedback(
    indexed: Library, tmp_path: Path, method: str, answer: Answer
) -> None:
    with serving([answer]) as server:
        talk, plain = begin(indexed, server, tmp_path, method), indexed.converse(k=len(NAMES))
        for turn in ({"said": "a cat"}, {"said": "a dog"}, {"more": [Mark(3)], "less": [Mark(4)]}):
            reply, expected = talk.say(**turn), plain.say(**turn)
            assert reply.question == ""
            assert reply.results.notes
            if "feedback" in reply.results.notes[-1] or method == "genir":
                assert rows(reply) == rows(expected)
        assert talk.undo() is talk.replies[-1]
    assert list(tmp_path.rglob("*.json")) == []  # failures are not kept


def test_a_dialogue_with_a_model(indexed: Library, tmp_path: Path) -> None:
    with serving([Answer("Is it grey?"), Answer("Where is it?")]) as server:
        talk = begin(indexed, server, tmp_path, "chatir")
        assert rows(talk.say("a cat")) == rows(indexed.converse(k=len(NAMES)).say("a cat"))
        assert talk.question == "Is it grey?"
        reply = talk.say("yes - of course")
        assert reply.understood == "a cat, Is it grey? yes - of course"
        assert talk.undo() is talk.replies[0]
        assert talk.question == "Is it grey?"
        count = len(server.asked)
        assert rows(talk.say("yes - of course")) == rows(reply)
        assert len(server.asked) == count  # the same turns are the same questions, kept on disk


def test_settings_that_cannot_be_read(tmp_path: Path) -> None:
    for told in (
        {"chat": "gpt"},
        {"pictures": True},
        {"captioner": "clip:x"},
        {"generator": "folder:"},
    ):
        with pytest.raises(UsageError):
            open_helpers(cache=tmp_path, **told)
    with pytest.raises(ModelUnavailable):
        open_helpers(cache=tmp_path, captioner=f"blip:{tmp_path}")
    assert open_helpers(cache=tmp_path).chat is None
    assert list(tmp_path.iterdir()) == []


def test_pictures_are_shown_only_when_allowed(indexed: Library, tmp_path: Path) -> None:
    for allowed in (False, True):
        with serving([Answer("uncertain?")]) as server:
            helpers = open_helpers(
                chat=f"openai:{server.url}#toy", pictures=allowed, cache=tmp_path / str(allowed)
            )
            talk = indexed.converse(method="plugir", helpers=helpers)
            talk.say("a cat")
            assert ("image_url" in str(server.asked)) is allowed
