"""Multi-turn FashionIQ (Yuan and Lam 2021, arXiv 2106.04128): clothes by pictures and changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from needlepoint.bench.datasets.cards import DatasetCard
from needlepoint.bench.datasets.reading import count_notes, field, picture_folder, read_json
from needlepoint.bench.dialogues import Dialogues, Recorded, Round
from needlepoint.bench.protocol import Item, Protocol
from needlepoint.errors import UsageError


def load(card: DatasetCard, folder: Path, split: str) -> list[Protocol]:
    """One protocol a round by the words alone; the pictures they are about are not looked at."""
    return list(load_dialogues(card, folder, split).protocols())


def load_dialogues(card: DatasetCard, folder: Path, split: str) -> Dialogues:
    """``data/CATEGORY.SPLIT.json`` and the pictures listed in ``image_splits``.

    The first is ``[{"target": [url, asin], "reference": [[url, [caption, …], asin], …]}, …]``, the
    rounds in order; the second a list of asins. Several captions of a round are several people's
    words for one change and are joined by ", ". Pictures are looked for as ``ASIN.jpg``.
    """
    category, dash, part = split.rpartition("-")
    name = f"{category if dash else 'all'}.{part}.json"
    paths = [folder / "data" / name, folder / "image_splits" / f"split.{name}"]
    for path in paths:
        if not path.is_file():
            raise UsageError(
                f"dataset {card.name} needs {path.relative_to(folder)} in {folder}, which is not "
                f"there. It comes from: {card.source}."
            )
    rows, listed = (read_json(path, card) for path in paths)
    if not isinstance(rows, list) or not isinstance(listed, list):
        raise UsageError(f"dataset {card.name}: {paths[0]} and {paths[1]} must hold lists.")
    names = list(dict.fromkeys(str(one) for one in listed))
    talks = tuple(_talk(row, card, number) for number, row in enumerate(rows))
    if strange := sorted({talk.target for talk in talks} - set(names))[:3]:
        raise UsageError(
            f"dataset {card.name}: the targets {strange} are not in {paths[1].name}. "
            "Use the list that belongs to these records."
        )
    lengths = [len(talk.rounds) for talk in talks]
    told = ", ".join(f"{lengths.count(n)} of {n}" for n in sorted(set(lengths)))
    return Dialogues(
        name=card.name,
        split=split,
        folder=str(picture_folder(card, folder)),
        gallery=tuple(Item(one, f"{one}.jpg") for one in names),
        talks=talks,
        licence=card.licence,
        notes=(*count_notes(card, split, len(names), len(talks)), f"records by rounds: {told}"),
    )


def _talk(row: Any, card: DatasetCard, number: int) -> Recorded:
    place = f"record {number}"
    target = field(row, "target", list, card, place)
    rounds = []
    for turn, one in enumerate(field(row, "reference", list, card, place)):
        if not (isinstance(one, list) and len(one) == 3 and isinstance(one[1], list)):
            raise UsageError(
                f"dataset {card.name}: {place}, reference {turn} is not [url, captions, asin]. "
                f"Received: {one!r:.80}."
            )
        words = [str(text).strip() for text in one[1]]
        rounds.append(Round(", ".join(filter(None, words)), f"{one[2]}.jpg"))
    if len(target) != 2:
        raise UsageError(f"dataset {card.name}: the target of {place} is not [url, asin].")
    return Recorded(f"{number:05d}", str(target[1]), tuple(rounds))
