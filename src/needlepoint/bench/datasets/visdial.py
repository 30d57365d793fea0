"""VisDial v1.0 (Das et al. 2017, arXiv 1611.08669): ten questions and answers about a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from needlepoint.bench.datasets.cards import DatasetCard
from needlepoint.bench.datasets.reading import count_notes, field, picture_folder, read_json
from needlepoint.bench.dialogues import Dialogues, Recorded, Round
from needlepoint.bench.protocol import Item, Protocol
from needlepoint.errors import UsageError

_FOLDERS = {
    "val": ("VisualDialog_val2018/VisualDialog_val2018",),
    "test": ("VisualDialog_test2018/VisualDialog_test2018",),
    "train": ("train2014/COCO_train2014", "val2014/COCO_val2014"),
}


def load(card: DatasetCard, folder: Path, split: str) -> list[Protocol]:
    """One protocol a round; see ``load_dialogues``."""
    return list(load_dialogues(card, folder, split).protocols())


def load_dialogues(card: DatasetCard, folder: Path, split: str) -> Dialogues:
    """``visdial_1.0_SPLIT.json``: ``{"data": {"questions", "answers", "dialogs"}, …}``.

    A dialog is ``{"image_id", "caption", "dialog": [{"question", "answer", …}, …]}``, its numbers
    places in the two lists. Questions come without their mark; a round reads "question? answer". In
    ``test`` the last question of a dialog has no answer and is left out. The pictures of the split
    are the search space, an easier one than ChatIR's.
    """
    path = folder / f"visdial_1.0_{split}.json"
    if not path.is_file():
        raise UsageError(
            f"dataset {card.name} needs {path.name} in {folder}, which is not there. "
            f"It comes from: {card.source}."
        )
    data = field(read_json(path, card), "data", dict, card, "the file")
    questions = field(data, "questions", list, card, "data")
    answers = field(data, "answers", list, card, "data")
    pictures = picture_folder(card, folder)
    gallery, talks = [], []
    for number, row in enumerate(field(data, "dialogs", list, card, "data")):
        place = f"dialogs[{number}]"
        image = field(row, "image_id", int, card, place)
        said = [Round(field(row, "caption", str, card, place).strip())]
        for one in field(row, "dialog", list, card, place):
            if isinstance(one, dict) and one.get("answer") is None:
                continue
            question = _at(questions, one, "question", card, place)
            said.append(Round(f"{question}? {_at(answers, one, 'answer', card, place)}"))
        gallery.append(Item(str(image), _file(pictures, split, image)))
        talks.append(Recorded(f"{number:06d}", str(image), tuple(said)))
    if len({item.id for item in gallery}) != len(gallery):
        raise UsageError(f"dataset {card.name}: {path.name} has two dialogs about one picture.")
    return Dialogues(
        name=card.name,
        split=split,
        folder=str(pictures),
        gallery=tuple(gallery),
        talks=tuple(talks),
        licence=card.licence,
        notes=(
            *count_notes(card, split, len(gallery), len(talks)),
            "rounds are joined by ', '; the search space is this split, not ChatIR's 50 000",
        ),
    )


def _at(texts: list[Any], one: Any, name: str, card: DatasetCard, place: str) -> str:
    number = field(one, name, int, card, place)
    if not 0 <= number < len(texts):
        raise UsageError(
            f"dataset {card.name}: {place} names {name} {number}; there are {len(texts)}."
        )
    return (
        str(texts[number]).strip().removesuffix("?").rstrip()
        if name == "question"
        else (str(texts[number]).strip())
    )


def _file(pictures: Path, split: str, image: int) -> str:
    """Where the picture is; train has pictures of two folders and names the first if unsure."""
    files = [f"{stem}_{image:012d}.jpg" for stem in _FOLDERS[split]]
    return next((file for file in files if (pictures / file).is_file()), files[0])
