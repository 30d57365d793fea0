"""A question: weighted parts that are words, pictures, pieces of pictures or library items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from needlepoint.picture import Box

PartKind = Literal["text", "picture", "item"]


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a question.

    ``value`` is the words, the path or URL, or the decimal id of a library item. ``box`` limits a
    picture or an item to a piece of it; ``box_percent`` says that the box is in percent of the
    picture rather than in pixels. ``weight`` is signed: below zero pushes away.
    """

    kind: PartKind
    value: str
    weight: float = 1.0
    box: Box | None = None
    box_percent: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """A question: at least one part of positive weight, as ``Query.parse`` or a caller makes it."""

    parts: tuple[Part, ...]
    text: str = ""
