"""Annotations of the form used for small-object retrieval: a mapping from picture to object.

``{path: {"bbox", "ins", "is_query", …}}`` saved with ``torch.save`` (repository pihash2k/SoIR).
``bbox`` is ``x1, y1, x2, y2`` in pixels, a list of such, or None; ``ins`` an id or a list of ids.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from needlepoint.bench.datasets.cards import DatasetCard
from needlepoint.bench.datasets.pickles import load_torch
from needlepoint.bench.datasets.reading import count_notes
from needlepoint.bench.protocol import Item, Protocol, Question
from needlepoint.errors import UsageError
from needlepoint.picture import Box


def read_annotations(path: Path, card: DatasetCard) -> dict[str, Mapping[str, Any]]:
    """The mapping of a file, every entry a mapping with ``ins`` and ``is_query``."""
    content = load_torch(path)
    if not isinstance(content, Mapping) or not content:
        raise UsageError(f"dataset {card.name}: {path} must hold a mapping from picture to object.")
    for file, row in content.items():
        if not isinstance(file, str) or not isinstance(row, Mapping) or "ins" not in row:
            raise UsageError(
                f"dataset {card.name}: the entry {file!r:.80} of {path} has no 'ins' (the id of "
                f"its object). The file must come from: {card.source}."
            )
    return {file.replace("\\", "/"): row for file, row in content.items()}


def local_files(files: Sequence[str], folder: Path) -> dict[str, str]:
    """Paths as another machine wrote them, mapped to paths relative to ``folder``.

    As few leading folders are dropped as make the first file one that is here; when none is, all
    that the files have in common go.

    Example:
        >>> local_files(["/data/set/a/1.jpg", "/data/set/b/2.jpg"], Path("/nowhere"))
        {'/data/set/a/1.jpg': 'a/1.jpg', '/data/set/b/2.jpg': 'b/2.jpg'}
    """
    parts = {file: file.lstrip("/").split("/") for file in files}
    common = 0
    while len({tuple(each[: common + 1]) for each in parts.values()}) == 1 and all(
        len(each) > common + 1 for each in parts.values()
    ):
        common += 1
    first = parts[files[0]]
    here = (n for n in range(len(first)) if folder.joinpath(*first[n:]).is_file())
    drop = min(next(here, common), *(len(each) - 1 for each in parts.values()))
    return {file: "/".join(each[drop:]) for file, each in parts.items()}


def instance_protocol(
    card: DatasetCard,
    task: str,
    split: str,
    folder: Path,
    annotations: Mapping[str, Mapping[str, Any]],
    files: Mapping[str, str],
) -> Protocol:
    """Pictures marked as queries ask, each with its box; pictures of the same object are right.

    Gallery pictures are never cropped; their boxes are only told, as the truth of where the
    object is. Queries of one object are one group.
    """
    gallery: list[Item] = []
    held: dict[str, set[str]] = {}
    boxes: dict[tuple[str, str], list[Box]] = {}
    for file, row in annotations.items():
        if row.get("is_query", False):
            continue
        item = Item(files[file], files[file])
        gallery.append(item)
        owners, places = _ids(row), _boxes(row, card, file)
        for place, owner in enumerate(owners):
            held.setdefault(owner, set()).add(item.id)
            box = places[place] if len(places) == len(owners) else None
            if box is not None:
                boxes.setdefault((owner, item.id), []).append(box)
    questions = []
    for file, row in annotations.items():
        if not row.get("is_query", False):
            continue
        owner = _ids(row)[0]
        right = frozenset(held.get(owner, ()))
        questions.append(
            Question(
                id=files[file],
                file=files[file],
                relevant=right,
                box=next(iter(_boxes(row, card, file)), None),
                boxes={i: tuple(boxes[owner, i]) for i in right if (owner, i) in boxes},
                group=owner,
            )
        )
    notes = list(count_notes(card, split, len(gallery), len(questions)))
    if alone := sum(not question.relevant for question in questions):
        notes.append(f"{alone} questions have no right picture in the gallery and no score")
    notes.append("queries are asked with their box; gallery pictures are not cropped")
    return Protocol(
        name=f"{card.name}/{task}",
        split=split,
        folder=str(folder),
        gallery=tuple(gallery),
        questions=tuple(questions),
        licence=card.licence,
        notes=tuple(notes),
    )


def _ids(row: Mapping[str, Any]) -> list[str]:
    found = row["ins"]
    return [str(each) for each in found] if isinstance(found, (list, tuple)) else [str(found)]


def _boxes(row: Mapping[str, Any], card: DatasetCard, file: str) -> list[Box | None]:
    """The boxes of an entry as x, y, w, h; an empty list when it has none."""
    found = row.get("bbox")
    if found is None:
        return []
    try:
        corners = np.asarray(found, dtype=np.float64).reshape(-1, 4)
    except (TypeError, ValueError):
        corners = np.full((1, 4), np.nan)
    if not np.isfinite(corners).all() or (corners[:, 2:] < corners[:, :2]).any():
        raise UsageError(
            f"dataset {card.name}: {file} has the bbox {found!r:.80}; x1, y1, x2, y2 are needed."
        )
    return [
        (float(x1), float(y1), float(x2 - x1), float(y2 - y1)) if x2 > x1 and y2 > y1 else None
        for x1, y1, x2, y2 in corners
    ]
