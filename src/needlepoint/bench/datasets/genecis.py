"""GeneCIS (Vaze et al. 2023, arXiv 2306.07969): alike in what the condition says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from needlepoint.bench.datasets.cards import DatasetCard
from needlepoint.bench.datasets.reading import (
    count_notes,
    field,
    named_file,
    picture_folder,
    read_rows,
)
from needlepoint.bench.metrics.composed import GENECIS
from needlepoint.bench.protocol import Item, Protocol, Question
from needlepoint.errors import UsageError
from needlepoint.picture import Box

_AROUND = 0.7
"""Share of its width and height that the published program adds to the box of an object."""

_COCO = ("val2017", "coco/val2017")
_GENOME = ("VG_100K_all", "visual_genome/VG_100K_all")
_DOUBLE = "say pictures twice, the reference or the target among them; each is ranked once"


def load(card: DatasetCard, folder: Path, split: str) -> list[Protocol]:
    """``genecis/TASK.json``: ``[{"condition", "reference", "target", "gallery"}, …]``.

    Every question ranks its own gallery and the target, 10 or 15 pictures. In the tasks of objects
    a picture is ``{"val_image_id"}`` of COCO val2017; in those of attributes it is ``{"image_id",
    "instance_bbox"}``, a piece of a picture of Visual Genome 1.2 with some of what is around it,
    cut as the published program cuts it. That program also pads the piece with black to a square;
    here the encoder sees to its shape. ``test`` gives all four tasks, over which the mean is
    stated.
    """
    return [_task(card, folder, one) for one in (GENECIS if split == "test" else (split,))]


def _task(card: DatasetCard, folder: Path, task: str) -> Protocol:
    name = f"{task.replace('-', '_')}.json"
    path = named_file(card, folder, f"genecis/{name}", name)
    objects = task.endswith("-object")
    item_of: Callable[[Any, DatasetCard, str], Item] = _whole if objects else _piece
    items: dict[str, Item] = {}
    questions = []
    doubled = 0
    for number, row in enumerate(read_rows(path, card)):
        place = f"entry {number} of {path.name}"
        reference = item_of(field(row, "reference", dict, card, place), card, place)
        target = item_of(field(row, "target", dict, card, place), card, place)
        others = [item_of(one, card, place) for one in field(row, "gallery", list, card, place)]
        among = {one.id: one for one in (target, *others)}
        items |= among
        doubled += len({reference.id, *among}) < len(others) + 2
        questions.append(
            Question(
                id=f"{task}-{number:04d}",
                relevant=frozenset({target.id}),
                file=reference.file,
                box=reference.box,
                group=reference.id,
                changes=(field(row, "condition", str, card, place).strip(),),
                target=target.id,
                among=frozenset(among),
            )
        )
    sizes = sorted({len(one.among) for one in questions})
    return Protocol(
        name=f"genecis/{task}",
        split="test",
        folder=str(picture_folder(card, folder, _COCO if objects else _GENOME)),
        gallery=tuple(items.values()),
        questions=tuple(questions),
        licence=card.licence,
        notes=(
            *count_notes(card, task, len(items), len(questions)),
            f"each question ranks a gallery of its own, {sizes[0]} to {sizes[-1]} pictures",
            *([f"{doubled} questions {_DOUBLE}"] if doubled else []),
        ),
    )


def _whole(one: Any, card: DatasetCard, place: str) -> Item:
    number = field(one, "val_image_id", int, card, place)
    return Item(str(number), f"{number:012d}.jpg")


def _piece(one: Any, card: DatasetCard, place: str) -> Item:
    image = str(field(one, "image_id", (str, int), card, place))
    told = field(one, "instance_bbox", list, card, place)
    if len(told) != 4 or not all(isinstance(side, (int, float)) for side in told):
        raise UsageError(
            f"dataset {card.name}: {place} has a box that is not four numbers. Received: "
            f"{told!r:.80}."
        )
    return Item(
        f"{image}:{','.join(f'{side:.10g}' for side in told)}", f"{image}.jpg", _around(told)
    )


def _around(box: list[float]) -> Box:
    """The box moved up and left by a share of its size, where the picture goes on, and enlarged."""
    x, y, w, h = map(float, box)
    left, top = max(0.0, x - _AROUND * w), max(0.0, y - _AROUND * h)
    return left, top, (1 + _AROUND) * w, (1 + _AROUND) * h
