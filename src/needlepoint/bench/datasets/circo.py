"""CIRCO (Baldrati et al. 2023, arXiv 2303.15247): several right pictures a question."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from needlepoint.bench.datasets.cards import DatasetCard
from needlepoint.bench.datasets.reading import (
    count_notes,
    field,
    named_file,
    picture_folder,
    read_json,
    read_rows,
    titled,
)
from needlepoint.bench.protocol import Item, Protocol, Question

_INFOS = tuple(
    f"{place}annotations/image_info_unlabeled2017.json" for place in ("COCO2017_unlabeled/", "")
)


def load(card: DatasetCard, folder: Path, split: str, *, gallery: str) -> list[Protocol]:
    """``annotations/SPLIT.json`` and COCO's ``image_info_unlabeled2017.json``.

    The first is ``[{"id", "reference_img_id", "relative_caption", "shared_concept",
    "target_img_id", "gt_img_ids", "semantic_aspects"}, …]``; in ``test`` the last three are absent,
    and questions have no score, but submissions can be written. Mean average precision counts all
    of ``gt_img_ids``, recall ``target_img_id`` alone. The reference stays in the ranking, as in the
    published programs.

    ``gallery=unlabeled`` ranks all of COCO's unlabelled pictures. ``gallery=named`` ranks those
    that the annotations of the split name: a trial for a few pictures, and no official figure.
    """
    path = named_file(card, folder, f"annotations/{split}.json")
    rows = read_rows(path, card)
    questions = [
        _question(row, card, f"entry {number} of {path.name}") for number, row in enumerate(rows)
    ]
    if gallery == "named":
        named = {int(Path(one.file).stem) for one in questions}
        named.update(int(name) for one in questions for name in one.relevant)
        items = tuple(Item(str(number), _file(number)) for number in sorted(named))
        told = "gallery=named: only pictures that the annotations name; no official figure"
    else:
        info = read_json(named_file(card, folder, *_INFOS), card)
        items = tuple(
            Item(
                str(field(row, "id", int, card, f"images[{number}]")),
                field(row, "file_name", str, card, f"images[{number}]"),
            )
            for number, row in enumerate(field(info, "images", list, card, "the picture list"))
        )
        told = "gallery=unlabeled: all of COCO's unlabelled pictures, the reference among them"
    hidden = () if split != "test" else ("answers are hidden: no figures, only submissions",)
    return [
        Protocol(
            name=titled("circo/changes", {"gallery": gallery}),
            split=split,
            folder=str(picture_folder(card, folder)),
            gallery=items,
            questions=tuple(questions),
            licence=card.licence,
            notes=(*count_notes(card, split, len(items), len(rows)), told, *hidden),
        )
    ]


def _question(row: Any, card: DatasetCard, place: str) -> Question:
    reference = field(row, "reference_img_id", int, card, place)
    right: list[int] = []
    if "gt_img_ids" in row:
        right = [int(number) for number in field(row, "gt_img_ids", list, card, place)]
    return Question(
        id=str(field(row, "id", int, card, place)),
        relevant=frozenset(map(str, right)),
        file=_file(reference),
        group=str(reference),
        changes=(field(row, "relative_caption", str, card, place).strip(),),
        target=str(field(row, "target_img_id", int, card, place)) if right else "",
        aspects=tuple(map(str, row.get("semantic_aspects", ()))),
    )


def _file(number: int) -> str:
    return f"{number:012d}.jpg"
