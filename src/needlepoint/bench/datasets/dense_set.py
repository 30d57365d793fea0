"""Dense-Set (LARE, arXiv 2606.18885): captions of one small thing in a crowded picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from needlepoint.bench.datasets.cards import DatasetCard
from needlepoint.bench.datasets.karpathy import Captioned, caption_protocol
from needlepoint.bench.datasets.reading import field, need_file, picture_folder, read_json
from needlepoint.bench.protocol import Item, Protocol
from needlepoint.errors import UsageError
from needlepoint.picture import Box


def load(card: DatasetCard, folder: Path, split: str) -> list[Protocol]:
    """COCO's caption format: ``images`` (``id``, ``file_name``), ``annotations`` (``image_id``,
    ``caption``). Sets of one's own say in ``info`` where their pictures are, relative to the file,
    and in ``bbox`` where the thing is.

    Two protocols over the same captions: ``…/captions`` with the one picture a caption was made
    for, as published, and ``…/captions-equal``, where every picture with an equal caption (but
    for case and spaces) is right. The published COCO-Dense has 15 630 captions for 3 089
    pictures, 9 893 of them distinct; the commonest stands 69 times, for 34 pictures. Equal
    captions alone bound R@1 of the first protocol to 76.5 %.
    """
    content = read_json(need_file(card, folder), card)
    items: dict[int, Item] = {}
    for number, row in enumerate(field(content, "images", list, card, "the file")):
        place = f"images[{number}]"
        key = field(row, "id", int, card, place)
        items[key] = Item(str(key), field(row, "file_name", str, card, place))
    captions: dict[int, list[str]] = {key: [] for key in items}
    boxes: dict[str, Box] = {}
    for number, row in enumerate(field(content, "annotations", list, card, "the file")):
        place = f"annotations[{number}]"
        key = field(row, "image_id", int, card, place)
        if key not in items:
            raise UsageError(f"dataset {card.name}: {place} names the picture {key}, not in images")
        if "bbox" in row:
            boxes[f"{key}-{len(captions[key])}"] = _box(row, card, place)
        captions[key].append(field(row, "caption", str, card, place).strip())
    pictures = [Captioned(item, tuple(captions[key])) for key, item in items.items()]
    told = content.get("info")
    own = told.get("folder") if isinstance(told, dict) else None
    where = folder / own if isinstance(own, str) else picture_folder(card, folder)
    single = caption_protocol(card, f"{card.name}/captions", split, where, pictures)
    if silent := sum(not texts for texts in captions.values()):
        single = replace(single, notes=(*single.notes, f"{silent} pictures without a caption"))
    questions = tuple(
        replace(question, boxes={next(iter(question.relevant)): (boxes[question.id],)})
        if question.id in boxes
        else question
        for question in single.questions
    )
    single = replace(single, questions=questions)
    return [single, _equal(single)]


def _equal(single: Protocol) -> Protocol:
    """The same questions; every picture with an equal caption is right, and one caption a group."""
    holders: dict[str, set[str]] = {}
    for question in single.questions:
        holders.setdefault(_plain(question.text), set()).update(question.relevant)
    questions = tuple(
        replace(
            question,
            relevant=frozenset(holders[_plain(question.text)]),
            group=_plain(question.text),
        )
        for question in single.questions
    )
    several = sum(len(question.relevant) > 1 for question in questions)
    notes = (f"{several} questions have several right pictures, because captions are equal",)
    return replace(
        single, name=f"{single.name}-equal", questions=questions, notes=(single.notes[0], *notes)
    )


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _box(row: Any, card: DatasetCard, place: str) -> Box:
    values = field(row, "bbox", list, card, place)
    if len(values) != 4 or not all(isinstance(value, (int, float)) for value in values):
        raise UsageError(f"dataset {card.name}: {place} has the bbox {values!r}, not x, y, w, h")
    x, y, w, h = map(float, values)
    return x, y, w, h
