"""What a set of needle edits asks, as a protocol of the bench."""

from __future__ import annotations

from pathlib import Path

from needlepoint.bench.needle.edit_truth import load_edits
from needlepoint.bench.protocol import Item, Protocol, Question


def edit_protocol(folder: str | Path) -> Protocol:
    """The composed questions of a set of needle edits, named ``edits/composed``.

    Ids are the files of the pictures. The reference is left out of its ranking, as a library does;
    its copies, scenes where nothing was changed, are not. Each question is asked in one wording;
    ``aspects`` are the kind of change and the tier (``plain`` or ``crowd``), ``group`` the family
    of scenes.

    Args:
        folder: a folder with ``edits.json``.

    Raises:
        UsageError: the folder holds no such set.
    """
    truth = load_edits(folder)
    questions = tuple(
        Question(
            id=row.id,
            relevant=frozenset(row.relevant),
            file=row.reference,
            junk=frozenset({row.reference}),
            group=f"family-{row.family:04d}",
            changes=row.texts[:1],
            target=row.target,
            near=frozenset(row.near),
            aspects=(row.change.kind, row.tier),
        )
        for row in truth.questions
    )
    number = max(1, len(questions))
    notes = (
        "a picture and a change; relevant are pictures that differ by what was said and nothing "
        "else; the reference itself is left out, copies of its scene are not",
        f"{len(truth.pictures)} pictures, {len(questions)} questions, "
        f"{sum(len(row.relevant) for row in questions) / number:.2f} relevant each and "
        f"{sum(len(row.near) for row in questions) / number:.2f} as good that nobody labelled",
        f"seed {truth.seed}",
    )
    return Protocol(
        name="edits/composed",
        split=truth.split,
        folder=str(folder),
        gallery=tuple(Item(picture.file, picture.file) for picture in truth.pictures),
        questions=questions,
        licence=truth.licence,
        notes=notes,
    )
