"""What a benchmark asks: a gallery, questions, and what answers each. Pure data, no pictures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal

from needlepoint.errors import UsageError
from needlepoint.picture import Box


@dataclass(frozen=True, slots=True)
class Item:
    """One picture of a gallery: ``id`` is unique in it, ``file`` is relative to the data folder."""

    id: str
    file: str


@dataclass(frozen=True, slots=True)
class Question:
    """One question by words or by a picture.

    ``file`` is relative to the data folder and ``box`` a piece of it in pixels; ``relevant`` and
    ``junk`` hold ids of the gallery (junk counts neither for nor against); ``boxes`` holds, for
    relevant ids, where in the picture the answer is; ``group`` names what is asked about:
    questions of one group are no independent evidence.
    """

    id: str
    relevant: frozenset[str]
    text: str = ""
    file: str = ""
    box: Box | None = None
    junk: frozenset[str] = frozenset()
    boxes: Mapping[str, tuple[Box, ...]] = field(default_factory=dict)
    group: str = ""

    @property
    def kind(self) -> Literal["text", "image"]:
        """Whether words or a picture ask."""
        return "text" if self.text else "image"


@dataclass(frozen=True, slots=True)
class Protocol:
    """A gallery and its questions under one rule.

    ``name`` is ``DATASET/TASK``; ``folder`` holds the pictures; ``notes`` are facts a reader of the
    figures must know (counts, duplicates, conventions chosen).
    """

    name: str
    split: str
    folder: str
    gallery: tuple[Item, ...]
    questions: tuple[Question, ...]
    licence: str = "unknown"
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        ids = {item.id for item in self.gallery}
        if len(ids) != len(self.gallery):
            raise UsageError(f"protocol {self.name}: the gallery holds an id twice.")
        for question in self.questions:
            if bool(question.text) == bool(question.file):
                raise UsageError(
                    f"protocol {self.name}: question {question.id} needs either text or file."
                )
            if strange := sorted((question.relevant | question.junk) - ids)[:3]:
                raise UsageError(
                    f"protocol {self.name}: question {question.id} names {strange}, "
                    "which the gallery does not hold."
                )

    def revision(self) -> str:
        """Hash (12 hex digits) of ids, questions and answers; not of the pixels."""
        facts = [
            [asdict(item) for item in self.gallery],
            [
                [q.id, q.text, q.file, q.box, sorted(q.relevant), sorted(q.junk)]
                for q in self.questions
            ],
        ]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]
