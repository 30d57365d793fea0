"""Composed benchmarks to triplets as vectors: every picture and wording is encoded once."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from needlepoint.bench.protocol import Item, Protocol, Question
from needlepoint.encoders.raw import image_lengths, text_lengths
from needlepoint.errors import UsageError
from needlepoint.intake.decode import decode
from needlepoint.parts import Encoder, EncoderCard, Floats, TextEncoder
from needlepoint.picture import Box, Pixels
from needlepoint.regions.describe import PolicyDescriber
from needlepoint.regions.focus import cut
from needlepoint.regions.recipe import Recipe
from needlepoint.train.negatives import stable_keys
from needlepoint.train.ragged import Lists, Rows
from needlepoint.train.triplets import Triplets, sequence_codes

Piece = tuple[Path, Box | None]
Joining = Literal["as asked", "four ways"]

_BATCH = 8
_TEXTS = 64


def read_triplets(
    protocols: Sequence[Protocol],
    encoder: Encoder,
    *,
    cache: Path | None = None,
    joining: Joining = "as asked",
    say: Callable[[str], None] = lambda text: None,
) -> Triplets:
    """The composed questions of protocols as vectors; each protocol is a gallery of its own.

    A question's target is its ``target``, else the first of its relevant pictures by id.

    Args:
        protocols: those without composed questions are passed over.
        encoder: of pictures and words in one space.
        cache: folder where the vectors lie between runs, by encoder and data.
        joining: ``as asked``: the wordings of the questions; ``four ways``: of two captions a and
            b, "a and b", "b and a", a and b, evenly drawn in training (CLIP4Cir on FashionIQ).
        say: told what goes on, a line at a time.

    Raises:
        UsageError: no composed question, an encoder without words, or a question of no answer.
        PictureError: a picture cannot be read.
    """
    if not isinstance(encoder, TextEncoder):
        raise UsageError(f"model: {encoder.card.address} has no text side; choose another --model")
    asked = [one for one in protocols if any(q.kind == "composed" for q in one.questions)]
    if not asked:
        raise UsageError(
            "data: there is no composed question (a picture and a change in words) in "
            f"{', '.join(one.name for one in protocols) or 'nothing'}"
        )
    told = [[one.name, one.split, one.folder, one.revision(), _aside(one)] for one in asked]
    facts = json.dumps([told, joining, encoder.card.fingerprint()], sort_keys=True)
    name = f"triplets-{hashlib.sha256(facts.encode()).hexdigest()[:16]}.npz"
    path = None if cache is None else cache / name
    if path is not None and path.is_file():
        return Triplets.load(path)
    made = _Encoded(asked, joining, encoder, encoder, say).made()
    if path is not None:
        made.save(path)
    return made


def _aside(protocol: Protocol) -> list[list[str]]:
    """What training is told of questions besides the facts that make a protocol's revision."""
    return [[q.group, *sorted(q.near), *sorted(q.aspects)] for q in protocol.questions]


def worded(changes: Sequence[str], joining: Joining) -> list[str]:
    """The wordings a question is learnt with.

    Example:
        >>> worded(["is red", "is long"], "four ways")
        ['is red and is long', 'is long and is red', 'is red', 'is long']
        >>> worded(["is red"], "four ways")
        ['is red']
    """
    if joining == "as asked" or len(changes) != 2:
        return list(changes)
    first, second = changes
    return [f"{first} and {second}", f"{second} and {first}", first, second]


class Gathered(ABC):
    """Pictures and texts of several protocols, each once, and the questions about them.

    Args:
        protocols: each is a gallery of its own.
        joining: as in ``read_triplets``.
        encoder: whose card is named beside the vectors.
    """

    def __init__(
        self, protocols: Sequence[Protocol], joining: Joining, encoder: EncoderCard
    ) -> None:
        self._protocols, self._joining, self._card = protocols, joining, encoder
        self._rows: dict[Piece, int] = {}
        self._texts: dict[str, int] = {}

    @property
    def pieces(self) -> list[Piece]:
        """What of which file, one for each row of the gallery, once ``made``."""
        return list(self._rows)

    @property
    def texts(self) -> list[str]:
        """The wordings, once ``made``."""
        return list(self._texts)

    @abstractmethod
    def pictures(self) -> tuple[Floats, Floats, Rows]:
        """Vectors of all pieces, their raw lengths, and a number for each different picture."""

    @abstractmethod
    def said(self) -> tuple[Floats, Floats]:
        """Vectors of all texts and their raw lengths."""

    def made(self) -> Triplets:
        """Everything as one object."""
        questions: list[tuple[int, Question]] = []
        places: list[dict[str, int]] = []
        for number, protocol in enumerate(self._protocols):
            folder = Path(protocol.folder)
            places.append({item.id: self._row(folder, item) for item in protocol.gallery})
            questions += [(number, q) for q in protocol.questions if q.kind == "composed"]
        references = [
            self._row(Path(self._protocols[number].folder), Item("", q.file, q.box))
            for number, q in questions
        ]
        wordings = [
            [self._texts.setdefault(text, len(self._texts)) for text in self._wordings(q)]
            for _, q in questions
        ]
        targets = [places[number][self._target(q)] for number, q in questions]

        def rows(field: str) -> Lists:
            return Lists.of(
                [
                    sorted(places[number][one] for one in getattr(q, field))
                    for number, q in questions
                ]
            )

        gallery, lengths, same = self.pictures()
        texts, text_lengths = self.said()
        aspects = ["+".join(sorted(q.aspects)) for _, q in questions]
        names = [f"{path.name}#{box}" for path, box in self._rows]
        return Triplets(
            gallery,
            lengths,
            same,
            stable_keys(names),
            texts,
            text_lengths,
            np.array(references, np.int64),
            np.array(targets, np.int64),
            Lists.of(wordings),
            rows("relevant"),
            rows("junk"),
            rows("near"),
            Lists.of([list(one.values()) for one in places]),
            np.array([number for number, _ in questions], np.int64),
            sequence_codes([f"{n}/{q.group or q.id}" for n, q in questions]),
            sequence_codes(aspects),
            tuple(dict.fromkeys(aspects)),
            stable_keys([f"{self._protocols[n].name}/{q.id}" for n, q in questions]),
            name=", ".join(f"{one.name} ({one.split})" for one in self._protocols),
            fingerprint=self._card.fingerprint(),
            encoder=self._card.title,
        )

    def _row(self, folder: Path, item: Item) -> int:
        return self._rows.setdefault((folder / item.file, item.box), len(self._rows))

    def _wordings(self, question: Question) -> list[str]:
        return worded(question.changes, self._joining)

    def _target(self, question: Question) -> str:
        if not question.relevant and not question.target:
            raise UsageError(f"data: question {question.id} has no answer to learn from")
        return question.target or min(question.relevant)


class _Encoded(Gathered):
    """Every picture and wording as one vector of an encoder."""

    def __init__(
        self,
        protocols: Sequence[Protocol],
        joining: Joining,
        encoder: Encoder,
        words: TextEncoder,
        say: Callable[[str], None],
    ) -> None:
        super().__init__(protocols, joining, encoder.card)
        self._encoder, self._words, self._say = encoder, words, say
        self._side = PolicyDescriber(Recipe.parse("none")).side(encoder.card)

    def pictures(self) -> tuple[Floats, Floats, Rows]:
        """Vectors of all pieces, their raw lengths, and a number for each different picture."""
        vectors, lengths, seen = [], [], []
        pieces = list(self._rows)
        for start in range(0, len(pieces), _BATCH):
            some = [self._pixels(*piece) for piece in pieces[start : start + _BATCH]]
            seen += [hashlib.sha256(one.tobytes() + str(one.shape).encode()).hexdigest()
                     for one in some]  # fmt: skip
            vector, length = image_lengths(self._encoder, some)
            vectors.append(vector)
            lengths.append(length)
            if start % (100 * _BATCH) == 0:
                self._say(f"{start + len(some):,} of {len(pieces):,} pictures encoded")
        return np.concatenate(vectors), np.concatenate(lengths), sequence_codes(seen)

    def _pixels(self, path: Path, box: Box | None) -> Pixels:
        picture = decode(path, at_least=self._side if box is None else 0)
        return picture.pixels if box is None else cut(picture, box)

    def said(self) -> tuple[Floats, Floats]:
        texts = list(self._texts)
        parts = [
            text_lengths(self._words, texts[start : start + _TEXTS])
            for start in range(0, len(texts), _TEXTS)
        ]
        return np.concatenate([one for one, _ in parts]), np.concatenate([n for _, n in parts])
