"""What an interactive method is made of: the turns so far, and what it may ask of a library.

A conversation is a list of turns and nothing else. A method is a function of that list: the same
turns give the same answer, so that taking a turn back is dropping it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from needlepoint.errors import ModelUnavailable
from needlepoint.outside.captioner import Captioner
from needlepoint.outside.chat import ChatModel
from needlepoint.outside.generator import Generator
from needlepoint.parts import Floats
from needlepoint.picture import Box, Pixels
from needlepoint.query import Part, Query
from needlepoint.store.base import Ids, Probe


@dataclass(frozen=True, slots=True)
class Mark:
    """A picture of the library that the user points at, or a piece of it.

    ``box`` is (x, y, w, h) in pixels of the upright original.
    """

    id: int
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """What the user said and marked, and the question put before (empty when there was none).

    ``parts`` is what was said as parts of a question; without them it is words.
    """

    said: str = ""
    asked: str = ""
    more: tuple[Mark, ...] = ()
    less: tuple[Mark, ...] = ()
    parts: tuple[Part, ...] = ()

    def asks(self) -> tuple[Part, ...]:
        """What was said as parts of a question; none where the turn only marks."""
        words = (Part("text", self.said),) if self.said.strip() else ()
        return self.parts or words


@dataclass(frozen=True, slots=True)
class Understood:
    """What a method makes of the turns: probes to search with, and the same in words.

    ``query`` stands where the turns are a question as any other: it is then asked as
    ``Library.search`` asks it, cut-off and all, and there are no probes. ``text`` is for the user,
    such as a caption that a model has written of the dialogue. ``names`` tells of each probe what
    it stands for; ``picture`` is a JPEG that a model has made, to be shown to the user.
    """

    probes: tuple[Probe, ...] = ()
    text: str = ""
    query: Query | None = None
    names: tuple[str, ...] = ()
    picture: bytes = b""


@dataclass(frozen=True, slots=True)
class Helpers:
    """Outside models that a method may use; None where the user has configured none."""

    chat: ChatModel | None = None
    captioner: Captioner | None = None
    generator: Generator | None = None

    def chat_for(self, method: str) -> ChatModel:
        """The chat model, for a method that cannot do without.

        Raises:
            ModelUnavailable: none is configured; says how to name one.
        """
        if self.chat is None:
            raise ModelUnavailable(
                f"`method` is {method}, which needs a chat model. Name one: "
                "--chat openai:BASE_URL#MODEL."
            )
        return self.chat


class View(Protocol):
    """What a method may ask of a library (or of a set of vectors) during a conversation."""

    def probes(self, query: Query) -> list[Probe]:
        """A question made ready: one probe a part, standardised when there are several."""
        ...

    def marked(self, marks: Sequence[Mark]) -> list[Probe]:
        """One probe of weight 1 for each mark, in the space that answers pictures."""
        ...

    def standard(self, probes: Sequence[Probe]) -> list[Probe]:
        """The probes with mean and spread of unrelated pictures, so that their scores compare.

        Those that have them keep them.
        """
        ...

    def sample(self, count: int, space: int) -> Ids:
        """Ids int64 of up to ``count`` pictures of a space, spread evenly, always the same."""
        ...

    def search(self, probes: Sequence[Probe], k: int) -> tuple[Ids, Floats]:
        """Ids int64 ``[K]`` and scores float32 ``[K]`` of the best pictures, best first."""
        ...

    def wholes(self, ids: Sequence[int], space: int) -> Floats:
        """Vectors float32 ``[N, D]`` of whole pictures in a space, in the order of ``ids``."""
        ...

    def captions(self, ids: Sequence[int]) -> list[str]:
        """What is known in words of pictures (captions, keywords); empty where nothing is."""
        ...

    def pixels(self, number: int, side: int) -> Pixels:
        """A picture, its long side at least ``side`` where the original has it."""
        ...

    def seen(self, pixels: Pixels) -> Probe:
        """A picture that is not of the library as a probe of weight 1."""
        ...


class Dialogue(Protocol):
    """An interactive method at work on one conversation."""

    def understand(self, turns: Sequence[Turn], view: View) -> Understood:
        """The search that the turns so far ask for; at least one turn."""
        ...

    def ask(self, turns: Sequence[Turn], view: View) -> str:
        """The question to put to the user next, or an empty string."""
        ...
