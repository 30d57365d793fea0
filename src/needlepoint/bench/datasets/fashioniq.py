"""FashionIQ (Wu et al. 2021, arXiv 1905.12794): clothes by a picture and two people's words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from needlepoint.bench.datasets.cards import DatasetCard
from needlepoint.bench.datasets.reading import (
    count_notes,
    field,
    named_file,
    picture_folder,
    read_rows,
    titled,
)
from needlepoint.bench.metrics.composed import FASHIONIQ
from needlepoint.bench.protocol import Item, Protocol, Question
from needlepoint.errors import UsageError

_CATEGORIES = ("dress", "shirt", "toptee")
_ENDS = ".?, "
"""What published programs strip from both ends of a caption before they join two."""

_GALLERIES = {
    "split": "gallery=split: all pictures of the category's split",
    "union": "gallery=union: only references and targets of the split's pairs, a smaller gallery "
    "in which figures are higher",
}
_CAPTIONS = {
    "and": "captions=and: the two captions joined as 'a and b'",
    "both-orders": "captions=both-orders: 'a and b' and 'b and a', their query vectors averaged",
    "apart": "captions=apart: each caption alone, for training; asked, their query vectors are "
    "averaged",
}
_REFERENCES = {
    "kept": "reference=kept: the reference stays in the ranking",
    "removed": "reference=removed: the reference is left out of the ranking",
}


def load(
    card: DatasetCard, folder: Path, split: str, *, gallery: str, captions: str, reference: str
) -> list[Protocol]:
    """``captions/cap.CATEGORY.SPLIT.json`` and ``image_splits/split.CATEGORY.SPLIT.json``.

    The first is ``[{"candidate", "target", "captions": [a, b]}, …]``, the second a list of names.
    A split without a category gives the protocols of all three; the official figure is the mean
    over them. The test split has no public targets and is not read. Pictures are looked for as
    ``NAME.jpg``, or ``NAME.png`` where the first has that ending.
    """
    category, dash, part = split.rpartition("-")
    options = {"gallery": gallery, "captions": captions, "reference": reference}
    return [
        _protocol(card, folder, one, part, options) for one in ([category] if dash else FASHIONIQ)
    ]


def _protocol(
    card: DatasetCard, folder: Path, category: str, part: str, options: dict[str, str]
) -> Protocol:
    path = named_file(card, folder, f"captions/cap.{category}.{part}.json")
    listed = named_file(card, folder, f"image_splits/split.{category}.{part}.json")
    names = [str(name) for name in read_rows(listed, card)]
    pictures = picture_folder(card, folder)
    ending = ".png" if (pictures / f"{names[0]}.png").is_file() else ".jpg"
    empty = 0
    questions = []
    for number, row in enumerate(read_rows(path, card)):
        place = f"entry {number} of {path.name}"
        reference = field(row, "candidate", str, card, place)
        target = field(row, "target", str, card, place)
        words = _words(row, card, place)
        empty += len(words) < 2
        questions.append(
            Question(
                id=f"{category}-{number:04d}",
                relevant=frozenset({target}),
                file=f"{reference}{ending}",
                junk=frozenset({reference} if options["reference"] == "removed" else ()),
                group=reference,
                changes=_changes(words, options["captions"]),
                target=target,
            )
        )
    if options["gallery"] == "union":
        ends = len(ending)
        named = {name for one in questions for name in (one.file[:-ends], one.target)}
        names = [name for name in names if name in named]
    return Protocol(
        name=titled(f"fashioniq/{category}", options),
        split=part,
        folder=str(pictures),
        gallery=tuple(Item(name, f"{name}{ending}") for name in names),
        questions=tuple(questions),
        licence=card.licence,
        notes=(
            *count_notes(card, f"{category}-{part}", len(names), len(questions)),
            _GALLERIES[options["gallery"]],
            _CAPTIONS[options["captions"]],
            _REFERENCES[options["reference"]],
            *(
                [f"{empty} pairs have a caption that says nothing; the other stands alone"]
                if empty
                else []
            ),
        ),
    )


def _words(row: Any, card: DatasetCard, place: str) -> list[str]:
    """The captions of a pair that say something, their ends stripped."""
    told = field(row, "captions", list, card, place)
    words = [str(text).strip(_ENDS) for text in told]
    if len(words) != 2 or not any(words):
        raise UsageError(
            f"dataset {card.name}: {place} must have two captions, one of which may be empty. "
            f"Received: {told!r:.80}."
        )
    return [text for text in words if text]


def _changes(words: list[str], captions: str) -> tuple[str, ...]:
    if captions == "apart":
        return tuple(words)
    joined = " and ".join(words)
    if captions == "and" or len(words) == 1:
        return (joined,)
    return joined, " and ".join(reversed(words))
