"""Karpathy's caption files: one entry a picture, with its split and its sentences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from needlepoint.bench.datasets.cards import DatasetCard
from needlepoint.bench.datasets.reading import caption_notes, count_notes, field, read_json
from needlepoint.bench.protocol import Item, Protocol, Question
from needlepoint.errors import UsageError


@dataclass(frozen=True, slots=True)
class Captioned:
    """One picture and its captions."""

    item: Item
    captions: tuple[str, ...]


def read_karpathy(
    path: Path, card: DatasetCard, split: str, file_of: Callable[[Any, str], str]
) -> list[Captioned]:
    """The pictures of a split, in the order of the file.

    The file is ``{"images": [{"filename", "imgid", "split", "sentences": [{"raw", …}], …}], …}``.

    Args:
        path: the file.
        card: the dataset.
        split: ``train``, ``restval``, ``val`` or ``test``.
        file_of: the path of a picture from its entry and the name of the place.
    """
    content = read_json(path, card)
    found = []
    for number, row in enumerate(field(content, "images", list, card, "the file")):
        place = f"images[{number}]"
        if field(row, "split", str, card, place) != split:
            continue
        sentences = field(row, "sentences", list, card, place)
        captions = tuple(field(s, "raw", str, card, place).strip() for s in sentences)
        item = Item(str(field(row, "imgid", int, card, place)), file_of(row, place))
        found.append(Captioned(item, captions))
    if not found:
        raise UsageError(f"dataset {card.name}: {path} holds no picture of split {split!r}.")
    return found


def caption_protocol(
    card: DatasetCard, name: str, split: str, folder: Path, pictures: Sequence[Captioned]
) -> Protocol:
    """Every caption asks for its one picture; captions of one picture are one group."""
    questions = tuple(
        Question(
            id=f"{picture.item.id}-{number}",
            text=caption,
            relevant=frozenset({picture.item.id}),
            group=picture.item.id,
        )
        for picture in pictures
        for number, caption in enumerate(picture.captions)
        if caption
    )
    pairs = [(question.text, question.group) for question in questions]
    return Protocol(
        name=name,
        split=split,
        folder=str(folder),
        gallery=tuple(picture.item for picture in pictures),
        questions=questions,
        licence=card.licence,
        notes=count_notes(card, split, len(pictures), len(questions)) + caption_notes(pairs),
    )
