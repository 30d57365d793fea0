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
    """One picture of a gallery: ``id`` is unique in it, ``file`` is relative to the data folder.

    ``box`` is the piece of it that is meant, in pixels of the upright original.
    """

    id: str
    file: str
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """One question by words, by a picture, or by a picture and a change in words.

    ``file`` is relative to the data folder and ``box`` a piece of it in pixels; ``relevant`` and
    ``junk`` hold ids of the gallery (junk counts neither for nor against: it is left out of the
    ranking); ``boxes`` holds, for relevant ids, where in the picture the answer is; ``group`` names
    what is asked about: questions of one group are no independent evidence.

    Of a composed question ``file`` is the reference and ``changes`` says what is to be different:
    once, or in several wordings whose query vectors are averaged. ``target`` is the one answer that
    recall counts where several are relevant; ``among`` are the ids that are ranked (none: all of
    the gallery); ``near`` are answers that nobody labelled though they would do; ``aspects`` name
    the kinds of change.
    """

    id: str
    relevant: frozenset[str]
    text: str = ""
    file: str = ""
    box: Box | None = None
    junk: frozenset[str] = frozenset()
    boxes: Mapping[str, tuple[Box, ...]] = field(default_factory=dict)
    group: str = ""
    changes: tuple[str, ...] = ()
    target: str = ""
    among: frozenset[str] = frozenset()
    near: frozenset[str] = frozenset()
    aspects: tuple[str, ...] = ()

    @property
    def kind(self) -> Literal["text", "image", "composed"]:
        """Whether words, a picture, or both together ask."""
        if self.changes:
            return "composed"
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
            if question.changes and not question.file:
                raise UsageError(
                    f"protocol {self.name}: question {question.id} changes no file; name one."
                )
            named = question.relevant | question.junk | question.among | question.near
            if strange := sorted((named | ({question.target} - {""})) - ids)[:3]:
                raise UsageError(
                    f"protocol {self.name}: question {question.id} names {strange}, "
                    "which the gallery does not hold."
                )

    def revision(self) -> str:
        """Hash (12 hex digits) of ids, questions and answers; not of the pixels."""
        facts = [
            [{k: v for k, v in asdict(item).items() if v is not None} for item in self.gallery],
            [
                [q.id, q.text, q.file, q.box, sorted(q.relevant), sorted(q.junk)]
                + ([q.changes, q.target, sorted(q.among)] if q.changes else [])
                for q in self.questions
            ],
        ]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]
