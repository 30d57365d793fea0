"""Conversations held: a user, a method and a gallery, round by round."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from needlepoint.bench.array_view import ArrayView, probes_of
from needlepoint.bench.dialogues import JOINT
from needlepoint.bench.metrics import target_ranks
from needlepoint.bench.user import Manner
from needlepoint.errors import UsageError
from needlepoint.methods.card import find_method
from needlepoint.methods.dialogue import Dialogue, Helpers, Turn, Understood, View
from needlepoint.methods.options import read_options
from needlepoint.query import Part, Query


class Talker(Protocol):
    """Whoever is on the other side of a method."""

    def opening(self) -> Turn:
        """The first turn."""
        ...

    def reply(self, shown: Sequence[int], question: str) -> Turn | None:
        """The next turn after an answer and a question, None where there is nothing to add."""
        ...


@dataclass(frozen=True, slots=True)
class Held:
    """What came of one conversation.

    ``ranks`` of the target, from 1, after the opening and after each further round; ``seconds``
    the method took for each; ``asked`` how many questions it put.
    """

    target: int
    seed: int
    ranks: tuple[int, ...]
    seconds: tuple[float, ...]
    asked: int = 0


class OpeningOnly:
    """Control: what was said first, whatever follows."""

    def understand(self, turns: Sequence[Turn], view: View) -> Understood:
        """The first turn's words."""
        return Understood(query=Query((Part("text", turns[0].said),)))

    def ask(self, turns: Sequence[Turn], view: View) -> str:
        """Nothing."""
        return ""


class AllWords:
    """Control: everything said so far as one text, questions with their answers; no marks."""

    def understand(self, turns: Sequence[Turn], view: View) -> Understood:
        """The words of all turns, joined as ChatIR's evaluation joins them."""
        said = [" ".join(filter(None, (turn.asked, turn.said))) for turn in turns if turn.said]
        return Understood(query=Query((Part("text", JOINT.join(said)),)))

    def ask(self, turns: Sequence[Turn], view: View) -> str:
        """Nothing."""
        return ""


CONTROLS: dict[str, type[OpeningOnly] | type[AllWords]] = {
    "opening": OpeningOnly,
    "words": AllWords,
}


@dataclass(frozen=True, slots=True)
class TalkLine:
    """One line of the suite: who leads the conversation, over what, and how the user talks."""

    text: str
    method: str
    recipe: str
    manner: Manner

    def dialogue(self, helpers: Helpers) -> Dialogue:
        """The method at work.

        Raises:
            UsageError: a method that does not converse, or options it does not know.
            ModelUnavailable: it needs what is not there.
        """
        name, _, options = self.method.partition(":")
        if name in CONTROLS:
            return CONTROLS[name]()
        found = find_method(name)
        if found.dialogue is None:
            raise UsageError(
                f"method {name} does not converse. Those that do: {', '.join(CONTROLS)} and "
                "needlepoint methods --task interactive."
            )
        return found.dialogue(options, helpers)


DEFAULT_RECIPE = "dense:32@1x"


def read_talk_line(text: str) -> TalkLine:
    """Read ``METHOD[:OPTIONS][ on RECIPE][ with USER]``, USER options of ``Manner``.

    METHOD is an interactive method or a control (``opening``, ``words``).

    Raises:
        UsageError: options of a user that are not known.

    Example:
        >>> read_talk_line("feedback with marks=pieces,noise=0.2").manner.marks
        'pieces'
    """
    rest, _, told = text.strip().partition(" with ")
    method, _, recipe = rest.partition(" on ")
    manner = read_options(Manner, told, "user")
    return TalkLine(text.strip(), method.strip(), recipe.strip() or DEFAULT_RECIPE, manner)


def converse(
    dialogue: Dialogue,
    view: ArrayView,
    user: Talker,
    *,
    target: int,
    pictures: int,
    rounds: int,
    shown: int,
    seed: int = 0,
) -> Held:
    """Hold one conversation to its end.

    It goes on when the target is among those shown: the measures decide what counts, and the user
    never points at the target itself. A round without anything to say leaves the ranking as it is.

    Args:
        dialogue: the method.
        view: the gallery as it sees it.
        user: the other side.
        target: id of the picture in mind.
        pictures: how many the gallery has.
        rounds: rounds after the opening one.
        shown: how many pictures the user is shown.
        seed: kept with the result.
    """
    gallery = range(pictures)
    turns = [user.opening()]
    ranks: list[int] = []
    seconds: list[float] = []
    asked, fresh = 0, True
    question = ""
    best: list[int] = []
    for turn in range(rounds + 1):
        if turn:
            answer = user.reply(best, question)
            fresh = answer is not None
            turns += [answer] if answer is not None else []
        if not fresh:
            ranks.append(ranks[-1])
            seconds.append(0.0)
            continue
        started = time.perf_counter()
        probes = probes_of(dialogue.understand(turns, view), view)
        question = dialogue.ask(turns, view) if turn < rounds else ""
        best = view.search(probes, shown)[0].tolist()
        seconds.append(time.perf_counter() - started)
        asked += bool(question)
        ranks.append(int(target_ranks(view.scores(probes)[None], gallery, [target])[0]))
    return Held(target, seed, tuple(ranks), tuple(seconds), asked)
