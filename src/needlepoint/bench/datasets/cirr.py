"""CIRR (Liu et al. 2021, arXiv 2108.04024): everyday pictures in sets of six alike ones."""

from __future__ import annotations

from dataclasses import replace
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
)
from needlepoint.bench.protocol import Item, Protocol, Question
from needlepoint.errors import UsageError


def load(card: DatasetCard, folder: Path, split: str) -> list[Protocol]:
    """``captions/cap.rc2.SPLIT.json`` and ``image_splits/split.rc2.SPLIT.json``.

    The first is ``[{"pairid", "reference", "target_hard", "target_soft", "caption", "img_set":
    {"id", "members", …}}, …]``, the second maps names to paths. ``cirr/recall`` ranks all pictures
    of the split but the reference, ``cirr/subset`` the other five of its set. Recall counts
    ``target_hard``; other pictures that ``target_soft`` gives a positive weight are ``near``.
    ``test1`` tells no targets: its questions have no score, but submissions can be written.
    ``train`` gives ``cirr/recall`` alone, so that a trainer meets every question once.
    """
    path = named_file(card, folder, f"captions/cap.rc2.{split}.json")
    listed = named_file(card, folder, f"image_splits/split.rc2.{split}.json")
    files = read_json(listed, card)
    if not isinstance(files, dict) or not files:
        raise UsageError(f"dataset {card.name}: {listed} must map names of pictures to paths.")
    files = {name: str(file).removeprefix("./") for name, file in files.items()}
    rows = read_rows(path, card)
    questions = [
        _question(row, files, card, f"entry {number} of {path.name}")
        for number, row in enumerate(rows)
    ]
    hidden = () if split != "test1" else ("targets are hidden: no figures, only submissions",)
    everything = Protocol(
        name="cirr/recall",
        split=split,
        folder=str(picture_folder(card, folder)),
        gallery=tuple(Item(name, file) for name, file in files.items()),
        questions=tuple(replace(one, among=frozenset()) for one in questions),
        licence=card.licence,
        notes=(
            *count_notes(card, split, len(files), len(rows)),
            "all pictures of the split are ranked, the reference left out",
            *hidden,
        ),
    )
    if split == "train":
        return [everything]
    subset = replace(
        everything,
        name="cirr/subset",
        questions=tuple(questions),
        notes=(
            *everything.notes[: -1 - len(hidden)],
            "the five others of its set are ranked",
            *hidden,
        ),
    )
    return [everything, subset]


def _question(row: Any, files: dict[str, str], card: DatasetCard, place: str) -> Question:
    reference = field(row, "reference", str, card, place)
    sets = field(row, "img_set", dict, card, place)
    members = {str(name) for name in field(sets, "members", list, card, place)}
    if reference not in members or reference not in files:
        raise UsageError(
            f"dataset {card.name}: {place} has the reference {reference!r}, which is not a member "
            "of its set or not in the list of the split."
        )
    target, near = "", set()
    if "target_hard" in row:
        target = field(row, "target_hard", str, card, place)
        soft = field(row, "target_soft", dict, card, place)
        weights = {name: field(soft, name, (int, float), card, place) for name in soft}
        near = {name for name, weight in weights.items() if weight > 0} - {target}
    return Question(
        id=str(field(row, "pairid", int, card, place)),
        relevant=frozenset({target} - {""}),
        file=files[reference],
        junk=frozenset({reference}),
        group=f"set {field(sets, 'id', int, card, place)}",
        changes=(field(row, "caption", str, card, place),),
        target=target,
        among=frozenset(members - {reference}),
        near=frozenset(near),
    )
