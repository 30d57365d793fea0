"""People by description: any picture of the person described is right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from needlepoint.bench.datasets.cards import DatasetCard
from needlepoint.bench.datasets.reading import (
    caption_notes,
    count_notes,
    field,
    picture_folder,
    read_json,
)
from needlepoint.bench.protocol import Item, Protocol, Question
from needlepoint.errors import UsageError


def load_people(
    card: DatasetCard, path: Path, folder: Path, split: str, *, file_field: str
) -> list[Protocol]:
    """Read ``[{"id", file_field, "captions": [...], "split"}, …]``.

    The gallery holds the pictures of the split; every caption is a question of the group of its
    person, and all pictures of that person are right: R@k counts any of them, average precision
    and mINP all of them (Li et al. 2017, arXiv 1702.05729, section 5).

    Args:
        card: the dataset.
        path: the annotation file.
        folder: where pictures are looked for.
        split: ``train``, ``val`` or ``test``.
        file_field: the field with the picture's path.
    """
    content = read_json(path, card)
    if not isinstance(content, list):
        raise UsageError(f"dataset {card.name}: {path} must hold a list of pictures.")
    person_of: dict[str, str] = {}
    captions: list[tuple[str, str]] = []
    empty = 0
    for number, row in enumerate(content):
        place = f"entry {number}"
        if field(row, "split", str, card, place) != split:
            continue
        file = field(row, file_field, str, card, place)
        person = str(field(row, "id", (int, str), card, place))
        if person_of.setdefault(file, person) != person:
            raise UsageError(f"dataset {card.name}: {place} gives {file} to a second person.")
        for caption in _captions(row, card, place):
            if caption:
                captions.append((caption, file))
            else:
                empty += 1
    if not person_of:
        raise UsageError(f"dataset {card.name}: {path} holds no picture of split {split!r}.")
    held: dict[str, set[str]] = {}
    for file, person in person_of.items():
        held.setdefault(person, set()).add(file)
    right = {person: frozenset(files) for person, files in held.items()}
    questions = tuple(
        Question(
            id=str(number),
            text=caption,
            relevant=right[person_of[file]],
            group=person_of[file],
        )
        for number, (caption, file) in enumerate(captions)
    )
    notes = (
        *count_notes(card, split, len(person_of), len(questions)),
        f"{len(right)} persons; any picture of the person is right",
        *caption_notes((caption, person_of[file]) for caption, file in captions)[:2],
        *([f"{empty} empty captions are left out"] if empty else []),
    )
    return [
        Protocol(
            name=f"{card.name}/captions",
            split=split,
            folder=str(picture_folder(card, folder)),
            gallery=tuple(Item(file, file) for file in person_of),
            questions=questions,
            licence=card.licence,
            notes=notes,
        )
    ]


def _captions(row: Any, card: DatasetCard, place: str) -> list[str]:
    found = field(row, "captions", (list, str), card, place)
    texts = [found] if isinstance(found, str) else found
    if not all(isinstance(text, str) for text in texts):
        raise UsageError(f"dataset {card.name}: {place} has a caption that is no text.")
    return [text.strip() for text in texts]
