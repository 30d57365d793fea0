"""What a needle set asks, as protocols of the bench."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from needlepoint.bench.needle.truth import SceneQuery, TextQuestion, Truth, load_truth
from needlepoint.bench.protocol import Item, Protocol, Question
from needlepoint.picture import Box

_RULES = {
    "instance": "image question for one object of one colour",
    "thing": "words for a small thing, relevant where a small one shows",
    "whole": "a caption of the whole picture, relevant wherever it is true",
    "name": "the name of a thing, relevant wherever a thing of that name shows",
}


def protocols_of(folder: str | Path) -> list[Protocol]:
    """The protocols of a generated set: ``instance``, and ``thing`` and ``whole`` or ``name``.

    Args:
        folder: a folder with ``truth.json``.

    Returns:
        One protocol for each task that has questions, named ``needle-RECIPE/TASK``; ``name`` asks
        with bare names where a set came without words. Ids are the
        files of the pictures; ``boxes`` hold the things asked for, in pixels. Image questions ask
        with the cut-out where there is one.

    Raises:
        UsageError: the folder holds no set.
    """
    truth = load_truth(folder)
    known = {row.object_id: row for row in truth.objects}
    tasks: dict[str, list[Question]] = {
        "instance": [
            _instance(truth, number, row, known[row.object_id].family)
            for number, row in enumerate(truth.queries)
        ]
    }
    if not truth.questions:
        tasks["name"] = _names(truth)
    for row in truth.questions:
        rows = tasks.setdefault(row.task, [])
        rows.append(_words(len(rows), row))
    return [
        Protocol(
            name=f"needle-{truth.recipe}/{task}",
            split=truth.split,
            folder=str(folder),
            gallery=tuple(Item(picture.file, picture.file) for picture in truth.pictures),
            questions=tuple(questions),
            licence=truth.licence,
            notes=_notes(truth, task, questions),
        )
        for task, questions in tasks.items()
        if questions
    ]


def _instance(truth: Truth, number: int, row: SceneQuery, family: str) -> Question:
    positives = set(row.positives)
    least = float(truth.options.get("min_visible", 0.5))
    boxes = {
        picture.file: tuple(
            placed.box
            for placed in picture.objects
            if placed.object_id == row.object_id
            and placed.colour == row.colour
            and placed.visible_fraction >= least
        )
        for picture in truth.pictures
        if picture.file in positives
    }
    return Question(
        id=f"instance-{number:04d}",
        relevant=frozenset(positives),
        file=row.cutout or row.file,
        junk=frozenset(row.junk),
        boxes=boxes,
        group=row.object_id,
    )


def _names(truth: Truth) -> list[Question]:
    """One question for each name that image questions are about, where no words were generated."""
    least = float(truth.options.get("min_visible", 0.5))
    asked = sorted({row.name for row in truth.queries})
    found: dict[str, dict[str, tuple[Box, ...]]] = {name: {} for name in asked}
    for picture in truth.pictures:
        for placed in picture.objects:
            if placed.name in found and placed.visible_fraction >= least:
                boxes = found[placed.name]
                boxes[picture.file] = (*boxes.get(picture.file, ()), placed.box)
    return [
        Question(
            id=f"name-{number:04d}", relevant=frozenset(boxes), text=name, boxes=boxes, group=name
        )
        for number, (name, boxes) in enumerate(found.items())
        if boxes
    ]


def _words(number: int, row: TextQuestion) -> Question:
    mark = "-new" if row.held_out else ""
    return Question(
        id=f"{row.task}-{number:04d}{mark}",
        relevant=frozenset(row.relevant),
        text=row.text,
        junk=frozenset(row.junk),
        boxes=_boxes(row.boxes),
        group=row.parts[0].word if row.task == "thing" else next(iter(row.boxes)),
    )


def _boxes(
    boxes: dict[str, tuple[tuple[int, int, int, int], ...]],
) -> dict[str, tuple[Box, ...]]:
    return {file: tuple(rows) for file, rows in boxes.items()}


def _notes(truth: Truth, task: str, questions: Iterable[Question]) -> tuple[str, ...]:
    rows = list(questions)
    notes = [
        _RULES[task],
        f"{len(truth.pictures)} scenes, {len(rows)} questions, "
        f"{sum(len(row.relevant) for row in rows) / len(rows):.2f} relevant and "
        f"{sum(len(row.junk) for row in rows) / len(rows):.2f} left out of the count each",
        f"seed {truth.seed}",
    ]
    if task == "instance":
        notes.append("asked with the cut-out picture, transparent around the thing")
    elif task != "name":
        new = sum(row.id.endswith("-new") for row in rows)
        notes.append(
            f"{new} questions (ids end in -new) name a word and colour that training scenes "
            "never show together"
        )
    return tuple(notes)
