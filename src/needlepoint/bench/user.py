"""A user with a picture in mind, who knows what generated scenes show and never sees a pixel."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from needlepoint.bench.needle.captions import SMALL, busy_of, side_of
from needlepoint.bench.needle.colours import PAINTS
from needlepoint.bench.needle.truth import Placed, ScenePicture
from needlepoint.bench.needle.words import is_word, phrase, vocabulary
from needlepoint.errors import UsageError
from needlepoint.methods.dialogue import Mark, Turn
from needlepoint.picture import Box

Fact = tuple[str, str | None]
"""A thing as it is said: its word and its colour, None for its own."""

_BUSY = {
    "alone": "nothing else",
    "few": "a few small things",
    "many": "many small things",
    "crowd": "a crowd of small things",
}
_WORDS = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Manner:
    """How the user talks.

    Attributes:
        says: ``missing`` names in every round one thing that the target shows, of those that
            fewest of the pictures shown have; ``nothing`` leaves it at the opening words.
        marks: ``pictures`` or ``pieces`` marks those of the shown that share most with the target,
            whole or the box of what is shared; ``random`` and ``random-pieces`` any of them.
        less: whether the first shown picture that shares nothing is marked as unlike.
        noise: share (0 to 1) of marks that go to any shown picture (or piece) instead.
        most: marks in a round at most.
        shown: how many pictures the user looks at in a round.
        rounds: rounds after the opening one.
    """

    says: Literal["missing", "nothing"] = "missing"
    marks: Literal["nothing", "pictures", "pieces", "random", "random-pieces"] = "nothing"
    less: bool = False
    noise: float = 0.0
    most: int = 2
    shown: int = 10
    rounds: int = 5

    def __post_init__(self) -> None:
        if not 0 <= self.noise <= 1:
            raise UsageError(f"user: noise must be 0 to 1, received {self.noise}")
        for name in ("most", "shown", "rounds"):
            if getattr(self, name) < 1:
                raise UsageError(f"user: {name} must be at least 1, received {getattr(self, name)}")


class Scenes:
    """What can be said of each picture of a gallery; a picture's place in it is its id.

    Args:
        pictures: the gallery.
        least: share (0 to 1) of a thing that must show to be spoken of.
    """

    def __init__(self, pictures: Sequence[ScenePicture], least: float) -> None:
        self.pictures = pictures
        self.things = [
            [o for o in one.objects if o.visible_fraction >= least and is_word(o.word)]
            for one in pictures
        ]
        self.facts = [dict.fromkeys(map(_fact, things)) for things in self.things]

    def targets(self) -> list[int]:
        """The pictures that can be spoken of at all."""
        return [place for place, things in enumerate(self.things) if things]


class SceneUser:
    """Answers from the truth about one picture, and never points at that picture itself.

    Args:
        scenes: the gallery.
        target: the picture in mind.
        manner: how the user talks.
        seed: of the order in which things come to mind, and of what is marked by chance.

    Raises:
        UsageError: the picture shows nothing that has a word.
    """

    def __init__(self, scenes: Scenes, target: int, manner: Manner, seed: int) -> None:
        self._scenes, self._target, self._manner = scenes, target, manner
        # one stream for words, one for marks: what is said does not hang on how marks are set
        words, self._rng = (np.random.default_rng([seed, target, use]) for use in (0, 1))
        self._things = scenes.things[target]
        if not self._things:
            raise UsageError(f"user: {scenes.pictures[target].file} shows nothing that has a word")
        self._turn = {
            fact: int(place)
            for fact, place in zip(
                scenes.facts[target], words.permutation(len(scenes.facts[target])), strict=True
            )
        }
        self._opened = max(self._things, key=lambda one: one.area_fraction).word
        self._said: set[Fact] = {(self._opened, None)}

    def opening(self) -> Turn:
        """The first turn: the largest thing, by its word alone."""
        return Turn(phrase(self._opened, None))

    def reply(self, shown: Sequence[int], question: str) -> Turn | None:
        """The next turn, or None when there is nothing left to say or mark.

        Args:
            shown: ids of the pictures that are shown, best first.
            question: what the system asks, or an empty string.
        """
        seen = list(shown[: self._manner.shown])
        said = self._answer(question, seen) if question else self._volunteer(seen)
        more, less = self._marks(seen)
        return Turn(said, question if said else "", more, less) if said or more or less else None

    # -- words

    def _volunteer(self, shown: Sequence[int]) -> str:
        thing = self._missing(shown) if self._manner.says == "missing" else None
        if thing is None:
            return ""
        if (thing.word, None) in self._said and thing.colour is not None:
            text = f"the {thing.word} is {thing.colour}"
        else:
            small = "small" if thing.area_fraction <= SMALL else ""
            text = f"there is also {phrase(thing.word, thing.colour, small)}"
        self._said.add(_fact(thing))
        return text

    def _missing(self, shown: Sequence[int]) -> Placed | None:
        """What is not said yet, that fewest of the shown have; of several what comes to mind."""
        left = [one for one in self._things if _fact(one) not in self._said]
        held = [self._scenes.facts[i] for i in shown if i != self._target]

        def order(one: Placed) -> tuple[int, int]:
            return sum(_fact(one) in facts for facts in held), self._turn[_fact(one)]

        return min(left, key=order, default=None)

    def _answer(self, question: str, shown: Sequence[int]) -> str:
        text = " ".join(_WORDS.findall(question.lower()))
        named = _named(text)
        if named is None:
            if "how many" in text or "else" in text.split():
                return _BUSY[busy_of(self._scenes.pictures[self._target])]
            thing = self._missing(shown)
            if thing is None:
                return "nothing else"
            self._said.add(_fact(thing))
            return phrase(thing.word, thing.colour)
        things = [one for one in self._things if one.word == named]
        if not things:
            return "no"
        colours = [colour for colour in PAINTS if colour in text.split()]
        fitting = [one for one in things if one.colour in colours] or things
        thing = max(fitting, key=lambda one: one.area_fraction)
        self._said.add(_fact(thing))
        if "how many" in text:
            return str(len(things))
        if "where" in text.split() or "side" in text.split():
            side = side_of(thing, self._scenes.pictures[self._target].width)
            return "in the middle" if side == "middle" else f"on the {side}"
        if "colour" in text or "color" in text:
            return thing.colour or "its usual colour"
        if colours and thing.colour not in colours:
            return f"no, {phrase(thing.word, thing.colour)}"
        return f"yes, {phrase(thing.word, thing.colour)}"

    # -- marks

    def _marks(self, shown: Sequence[int]) -> tuple[tuple[Mark, ...], tuple[Mark, ...]]:
        others = [i for i in shown if i != self._target]
        how, rng = self._manner.marks, self._rng
        pieces = how.endswith("pieces")
        alike = {i: self._alike(i) for i in others}
        if how == "nothing":
            chosen: list[Mark] = []
        elif how.startswith("random"):
            drawn = rng.permutation(len(others))[: self._manner.most]
            chosen = [self._any(others[int(place)], pieces) for place in drawn]
        else:
            near = sorted((i for i in others if alike[i]), key=lambda i: -sum(alike[i].values()))
            chosen = [
                Mark(i, self._best(i, alike[i]) if pieces else None)
                for i in near[: self._manner.most]
            ]
            for place in range(len(chosen)):
                # drawn whether or not it is used: the same marks are wrong at any noise below
                wrong, other = rng.random(), others[int(rng.integers(len(others)))]
                if wrong < self._manner.noise:
                    chosen[place] = self._any(other, pieces)
        unlike = [i for i in others if not alike[i]][:1] if self._manner.less else []
        return tuple(dict.fromkeys(chosen)), tuple(Mark(i) for i in unlike)

    def _alike(self, place: int) -> dict[Fact, float]:
        """What a picture shares with the target: 1 for a thing of the same colour, else a half."""
        own = self._scenes.facts[self._target]
        words = {word for word, _ in own}
        return {
            fact: 1.0 if fact in own else 0.5
            for fact in self._scenes.facts[place]
            if fact[0] in words
        }

    def _best(self, place: int, alike: dict[Fact, float]) -> Box:
        """The box of what is shared most closely; the largest of several."""
        fits = [one for one in self._scenes.things[place] if _fact(one) in alike]
        return max(fits, key=lambda one: (alike[_fact(one)], one.area_fraction)).box

    def _any(self, place: int, piece: bool) -> Mark:
        things = self._scenes.things[place]
        if not piece or not things:
            return Mark(place)
        return Mark(place, things[int(self._rng.integers(len(things)))].box)


def _fact(thing: Placed) -> Fact:
    return thing.word, thing.colour


def _named(text: str) -> str | None:
    """The word of the thing that a question names; of several the one that is said last."""
    found = [
        (match.end(), len(name), word)
        for name, word in vocabulary().items()
        for match in re.finditer(rf"\b{re.escape(name)}s?\b", text)
    ]
    return max(found)[2] if found else None
