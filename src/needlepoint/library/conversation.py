"""A conversation with a library: turns, their answers, and how the ranking moved."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from needlepoint.errors import ModelUnavailable, UsageError
from needlepoint.library.asking import Asker, Options
from needlepoint.library.view import LibraryView
from needlepoint.methods.card import find_method, list_methods
from needlepoint.methods.dialogue import Helpers, Mark, Turn, Understood
from needlepoint.query import Part, Query
from needlepoint.results import Results
from needlepoint.store.sqlite import SqliteStore

PLAIN = "feedback"
"""The method that needs no model, and stands in when one fails."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a turn.

    ``question`` is what the method asks the user next (or empty); ``understood`` is what it made
    of the turns, in words (or empty); ``moved`` maps ids of the hits to how many ranks they rose
    since the turn before (negative: fell), None where the picture is new among the hits.
    ``picture`` is a JPEG that the method has made of the turns, or empty; it is no photograph.
    """

    results: Results
    turn: Turn = field(default_factory=Turn)
    question: str = ""
    understood: str = ""
    moved: dict[int, int | None] = field(default_factory=dict)
    picture: bytes = b""

    def to_dict(self) -> dict[str, Any]:
        """Turn and answer ready for JSON; the picture is a data URL or None."""
        url = "data:image/jpeg;base64," + base64.b64encode(self.picture).decode()
        return {
            "said": self.turn.said,
            "asked": self.turn.asked,
            "more": [_mark(mark) for mark in self.turn.more],
            "less": [_mark(mark) for mark in self.turn.less],
            "understood": self.understood,
            "question": self.question,
            "moved": self.moved,
            "picture": url if self.picture else None,
            "answer": self.results.to_dict(),
        }


class Conversation:
    """Search that is refined turn by turn; see ``Library.converse``.

    Example:
        >>> talk = library.converse()  # doctest: +SKIP
        >>> talk.say("a bicycle")  # doctest: +SKIP
        >>> talk.say(more=[Mark(12)], less=[Mark(7)])  # doctest: +SKIP
        >>> talk.undo()  # doctest: +SKIP
    """

    def __init__(
        self, store: SqliteStore, asker: Asker, method: str, helpers: Helpers, options: Options
    ) -> None:
        name, _, told = method.partition(":")
        found, plain = find_method(name), find_method(PLAIN)
        if found.dialogue is None or plain.dialogue is None:
            able = ", ".join(card.name for card in list_methods() if card.task == "interactive")
            raise UsageError(
                f"`method` is {method}, which does not converse. Those that do: {able}."
            )
        asker.check(options)
        self.method = method
        self.turns: list[Turn] = []
        self.replies: list[Reply] = []
        self._dialogue = found.dialogue(told, helpers)
        self._plain = plain.dialogue("", helpers)
        self._asker, self._options = asker, options
        self._view = LibraryView(store, asker, options)

    @property
    def question(self) -> str:
        """What was asked last, and awaits an answer; empty when nothing was."""
        return self.replies[-1].question if self.replies else ""

    def read(self, said: str, *, files: bool = True) -> tuple[Part, ...]:
        """What is said next, as parts of a question.

        An answer to :attr:`question` is words, whatever signs are in it. After the first turn
        all parts may push away, as in ``- people``.

        Args:
            said: not empty.
            files: see ``Query.parse``.

        Raises:
            UsageError: it is no question of the one language.
        """
        if self.question:
            return (Part("text", said.strip()),)
        if self.turns and said.lstrip().startswith("- "):
            return Query.parse(f"it {said.strip()}", files=files).parts[1:]
        read = Query.parse(said, files=files)
        if read.change:
            raise UsageError(
                f"a turn cannot change a picture in words. Received: {read}. Mark the picture as "
                f"like and say {read.change!r}, or ask for the change in a search."
            )
        return read.parts

    def say(
        self,
        said: str = "",
        *,
        more: Sequence[Mark] = (),
        less: Sequence[Mark] = (),
        parts: Sequence[Part] | None = None,
    ) -> Reply:
        """One turn: words, marks or both.

        When a model fails that the method needs, the turn is answered by plain feedback, and a
        note of the answer says so.

        Args:
            said: words, an answer to :attr:`question`, or any question of the one language.
            more: pictures or pieces that what is sought resembles.
            less: pictures or pieces that it does not resemble.
            parts: ``said`` as a door has read it; None to :meth:`read` it here.

        Raises:
            UsageError: nothing said nor marked, or it cannot be understood; the turn is not kept.
        """
        said = said.strip()
        if not said and not more and not less:
            raise UsageError("a turn needs words or marks; all of `said`, `more`, `less` are empty")
        if parts is None:
            parts = self.read(said) if said else ()
        turns = [
            *self.turns,
            Turn(said, self.question, tuple(more), tuple(less), tuple(parts)),
        ]
        query = as_query(turns)
        notes = []
        try:
            understood = self._dialogue.understand(turns, self._view)
        except ModelUnavailable as error:
            notes.append(f"answered by plain feedback: {error}")
            understood = self._plain.understand(turns, self._view)
        results = self._ask(query, understood)
        question = ""
        if not notes:
            try:
                question = self._dialogue.ask(turns, self._view)
            except ModelUnavailable as error:
                notes.append(f"no question is asked: {error}")
        results = replace(results, notes=[*results.notes, *notes])
        reply = Reply(
            results,
            turns[-1],
            question,
            understood.text,
            self._moved(results),
            understood.picture,
        )
        self.turns.append(turns[-1])
        self.replies.append(reply)
        return reply

    def undo(self) -> Reply | None:
        """Take the last turn back; returns the answer that stands again, None at the start.

        Raises:
            UsageError: there is no turn to take back.
        """
        if not self.turns:
            raise UsageError("there is no turn to take back")
        self.turns.pop()
        self.replies.pop()
        return self.replies[-1] if self.replies else None

    def _ask(self, query: Query, understood: Understood) -> Results:
        if understood.query is not None:
            results = self._asker.ask(understood.query, self._options)
            return replace(results, query=query)  # what was said, not what a method made of it
        return self._asker.ask_probes(query, understood.probes, self._options, understood.names)

    def _moved(self, results: Results) -> dict[int, int | None]:
        if not self.replies:
            return {}
        before = {hit.id: hit.rank for hit in self.replies[-1].results}
        return {h.id: before[h.id] - h.rank if h.id in before else None for h in results}


def _mark(mark: Mark) -> dict[str, Any]:
    return {"id": mark.id, "box": None if mark.box is None else list(mark.box)}


def as_query(turns: Sequence[Turn]) -> Query:
    """The turns as one question: what was said, with what was marked pulling and pushing.

    Raises:
        UsageError: nothing in them is looked for; all of it pushes away.
    """
    parts = [part for turn in turns for part in turn.asks()]
    for sign, marks in (
        (1.0, [m for t in turns for m in t.more]),
        (-1.0, [m for t in turns for m in t.less]),
    ):
        parts += [Part("item", str(m.id), sign, m.box) for m in marks]
    return Query(tuple(parts))
