"""A conversation with a library: turns, their answers, and how the ranking moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from needlepoint.errors import UsageError
from needlepoint.intake.decode import decode
from needlepoint.library.asking import Asker, Options
from needlepoint.methods.card import find_method
from needlepoint.methods.dialogue import Helpers, Mark, Turn
from needlepoint.parts import Floats
from needlepoint.picture import Pixels
from needlepoint.query import Part, Query
from needlepoint.results import Results
from needlepoint.store.base import Ids, Probe
from needlepoint.store.sqlite import SqliteStore


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a turn.

    ``question`` is what the method asks the user next (or empty); ``understood`` is what it made
    of the turns, in words (or empty); ``moved`` maps ids of the hits to how many ranks they rose
    since the turn before (negative: fell), None where the picture is new among the hits.
    """

    results: Results
    question: str = ""
    understood: str = ""
    moved: dict[int, int | None] = field(default_factory=dict)


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
        found = find_method(name)
        if found.dialogue is None:
            raise UsageError(
                f"`method` is {method}, which does not converse. Those that do: needlepoint "
                "methods --task interactive."
            )
        self.method = method
        self.turns: list[Turn] = []
        self.replies: list[Reply] = []
        self._dialogue = found.dialogue(told, helpers)
        self._asker, self._options = asker, options
        self._view = LibraryView(store, asker, options)

    @property
    def question(self) -> str:
        """What was asked last, and awaits an answer; empty when nothing was."""
        return self.replies[-1].question if self.replies else ""

    def say(self, said: str = "", *, more: Sequence[Mark] = (), less: Sequence[Mark] = ()) -> Reply:
        """One turn: words, marks or both.

        Args:
            said: words, an answer to :attr:`question`, or any question of the one language.
            more: pictures or pieces that what is sought resembles.
            less: pictures or pieces that it does not resemble.

        Raises:
            UsageError: nothing said nor marked, or it cannot be understood; the turn is not kept.
        """
        if not said.strip() and not more and not less:
            raise UsageError("a turn needs words or marks; all of `said`, `more`, `less` are empty")
        turn = Turn(said.strip(), self.question, tuple(more), tuple(less))
        turns = [*self.turns, turn]
        understood = self._dialogue.understand(turns, self._view)
        results = self._asker.ask_probes(_as_query(turns), understood.probes, self._options)
        reply = Reply(
            results,
            self._dialogue.ask(turns, self._view),
            understood.text,
            self._moved(results),
        )
        self.turns.append(turn)
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

    def _moved(self, results: Results) -> dict[int, int | None]:
        if not self.replies:
            return {}
        before = {hit.id: hit.rank for hit in self.replies[-1].results}
        return {h.id: before[h.id] - h.rank if h.id in before else None for h in results}


def _as_query(turns: Sequence[Turn]) -> Query:
    """The turns as one question: the words, with what was marked pulling and pushing."""
    parts = [p for t in turns if t.said for p in _read(t.said)]
    for sign, marks in (
        (1.0, [m for t in turns for m in t.more]),
        (-1.0, [m for t in turns for m in t.less]),
    ):
        parts += [Part("item", str(m.id), sign, m.box) for m in marks]
    return Query(tuple(parts))


def _read(said: str) -> tuple[Part, ...]:
    try:
        return Query.parse(said).parts
    except UsageError:
        return (Part("text", said),)


class LibraryView:
    """What a dialogue may ask of a library; see ``methods.dialogue.View``."""

    def __init__(self, store: SqliteStore, asker: Asker, options: Options) -> None:
        self._store, self._asker, self._options = store, asker, options

    def probes(self, query: Query) -> list[Probe]:
        """A question made ready."""
        return self._asker.probes(query, self._options)

    def marked(self, marks: Sequence[Mark]) -> list[Probe]:
        """One probe for each mark."""
        parts = [Part("item", str(mark.id), box=mark.box) for mark in marks]
        return [self._asker.probes(Query((part,)), self._options)[0] for part in parts]

    def search(self, probes: Sequence[Probe], k: int) -> tuple[Ids, Floats]:
        """The best pictures."""
        found = self._store.search(probes, k)
        return found.ids, found.score

    def wholes(self, ids: Sequence[int], space: int) -> Floats:
        """Vectors of whole pictures."""
        rows = self._store.fetch_vectors(ids, space)
        return np.stack([rows[number].whole for number in ids])

    def captions(self, ids: Sequence[int]) -> list[str]:
        """The keywords of pictures."""
        facts = self._store.facts(ids)
        return [", ".join(facts[number][1].keywords) for number in ids]

    def pixels(self, number: int, side: int) -> Pixels:
        """A picture of the library."""
        return decode(self._asker.path_of(number), at_least=side).pixels

    def seen(self, pixels: Pixels) -> Probe:
        """A picture that is not of the library as a probe."""
        return self._asker.probes(Query.coerce(pixels), self._options)[0]
