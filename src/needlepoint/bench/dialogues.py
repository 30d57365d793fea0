"""Conversations that were held already: what was said in each round, and the picture meant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from needlepoint.bench.protocol import Item, Protocol, Question
from needlepoint.errors import UsageError
from needlepoint.methods.dialogue import Turn

JOINT = ", "
"""Between the rounds of one dialogue, as in ChatIR's evaluation."""


@dataclass(frozen=True, slots=True)
class Round:
    """Words, and a picture (relative to the data folder) that they are about or that shows them."""

    text: str = ""
    file: str = ""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One conversation about the picture ``target``, which the gallery holds under this id."""

    id: str
    target: str
    rounds: tuple[Round, ...]


def split_round(text: str) -> tuple[str, str]:
    """Question and answer of a round, parted at the first question mark.

    A round without one is all answer.

    Example:
        >>> split_round("is it red? or blue? red")
        ('is it red?', 'or blue? red')
    """
    question, mark, answer = text.partition("?")
    return (question.strip() + "?", answer.strip()) if mark else ("", text.strip())


@dataclass(frozen=True, slots=True)
class Dialogues:
    """Recorded conversations over one gallery.

    ``whole`` tells that each round says all that is known so far (a rewritten caption, a rendering)
    and is asked alone; otherwise a round adds to those before it.

    Raises:
        UsageError: a target that the gallery lacks, an id twice, or a conversation without rounds.
    """

    name: str
    split: str
    folder: str
    gallery: tuple[Item, ...]
    talks: tuple[Recorded, ...]
    whole: bool = False
    licence: str = "unknown"
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        held = {item.id for item in self.gallery}
        for talk in self.talks:
            if talk.target not in held:
                raise UsageError(
                    f"dialogues {self.name}: the target {talk.target!r} of {talk.id} is not among "
                    f"the {len(held)} pictures of the search space"
                )
            if not talk.rounds:
                raise UsageError(f"dialogues {self.name}: {talk.id} has no rounds")
        if len({talk.id for talk in self.talks}) != len(self.talks):
            raise UsageError(f"dialogues {self.name}: an id names two conversations")

    @property
    def rounds(self) -> int:
        """Rounds of the longest conversation, the opening one counted."""
        return max((len(talk.rounds) for talk in self.talks), default=0)

    def text(self, talk: Recorded, turn: int) -> str:
        """What is asked after round ``turn``; a shorter conversation stays at its last round."""
        said = [one.text for one in talk.rounds[: turn + 1]]
        return said[-1] if self.whole else JOINT.join(filter(None, said))

    def turns(self, talk: Recorded) -> tuple[Turn, ...]:
        """The conversation as an interactive method hears it, questions apart from answers."""
        turns = []
        for number, one in enumerate(talk.rounds):
            asked, said = split_round(one.text) if number and not self.whole else ("", one.text)
            turns.append(Turn(said, asked))
        return tuple(turns)

    def protocol(self, turn: int) -> Protocol:
        """The questions as they stand after round ``turn``, every conversation in each.

        By the round's rendering where ``whole`` rounds have pictures, else by words.
        """
        shown = self.whole and any(one.file for talk in self.talks for one in talk.rounds)
        return Protocol(
            name=f"{self.name}/round-{turn:02d}",
            split=self.split,
            folder=self.folder,
            gallery=self.gallery,
            questions=tuple(
                Question(
                    id=talk.id,
                    relevant=frozenset({talk.target}),
                    text="" if shown else self.text(talk, turn),
                    file=talk.rounds[min(turn, len(talk.rounds) - 1)].file if shown else "",
                    group=talk.target,
                )
                for talk in self.talks
            ),
            licence=self.licence,
            notes=self.notes,
        )

    def protocols(self) -> Iterator[Protocol]:
        """One protocol a round."""
        return (self.protocol(turn) for turn in range(self.rounds))
