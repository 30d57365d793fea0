"""What interactive methods with a language model share: turns as words, words as a search."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from needlepoint.errors import UsageError
from needlepoint.methods.dialogue import Turn, Understood, View
from needlepoint.methods.interactive.feedback import Feedback, marks_of
from needlepoint.query import Part

MOST = 300
"""Characters of a question that a model asks, at most."""


def check_least(method: str, options: object, **least: int) -> None:
    """Refuse options of a method that are below a number.

    Raises:
        UsageError: names the option.
    """
    for name, number in least.items():
        if getattr(options, name) < number:
            raise UsageError(
                f"method {method}: {name} is {getattr(options, name)}. Allowed: {number} and more."
            )


def words_of(turn: Turn) -> str:
    """What a turn looks for in words, or an empty string."""
    return ", ".join(p.value for p in turn.asks() if _words(p))


def rounds_of(turns: Sequence[Turn]) -> tuple[tuple[str, str], ...]:
    """Question and words of every turn that says words; the others only mark."""
    return tuple((turn.asked, words_of(turn)) for turn in turns if words_of(turn))


def told(rounds: Sequence[tuple[str, str]]) -> list[str]:
    """Every round as ``question? answer``."""
    return [f"{asked} {said}".strip() for asked, said in rounds]


def searched(
    parts: Sequence[Part], turns: Sequence[Turn], view: View, plain: Feedback
) -> Understood:
    """A search for parts that stand for all words of the turns.

    What the turns say in other ways (pictures, marks, words that push away) is added as plain
    feedback adds it.
    """
    others = [p for turn in turns for p in turn.asks() if not _words(p)]
    more, less = marks_of(turns)
    return plain.understand([Turn("", "", tuple(more), tuple(less), (*parts, *others))], view)


def in_words(text: str, turns: Sequence[Turn], view: View, plain: Feedback) -> Understood:
    """A search for one text that stands for all words of the turns; none without words."""
    parts = [Part("text", text)] if text else []
    return replace(searched(parts, turns, view, plain), text=text)


def question_of(reply: str) -> str:
    """The question in a model's reply, cut at its first question mark; empty without one.

    Example:
        >>> question_of('1. "Is it red? Or blue?"')
        'Is it red?'
    """
    line = " ".join(reply.split())
    head, mark, _ = line.partition("?")
    head = re.sub(
        r"^(?:(?:question|q)?\s*\d*\s*[.:)]\s*|[\"'*\s-]+)+", "", head, flags=re.IGNORECASE
    )
    return f"{head.strip()}?" if mark and head.strip() and len(head) < MOST else ""


def same(one: str, other: str) -> bool:
    """Whether two texts are the same but for case, blanks and a full stop."""
    return _plain(one) == _plain(other)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(".?! ")


def _words(part: Part) -> bool:
    return part.kind == "text" and part.weight > 0
