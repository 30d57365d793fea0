"""PatternCom (Psomas et al. 2024, arXiv 2405.15587): places from above with another attribute."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from needlepoint.bench.datasets.cards import DatasetCard
from needlepoint.bench.datasets.reading import count_notes, named_file, read_lines
from needlepoint.bench.metrics.composed import PATTERNCOM
from needlepoint.bench.protocol import Item, Protocol, Question
from needlepoint.errors import UsageError

_MERGED = {
    "denseresidential": "residential",
    "sparseresidential": "residential",
    "closedroad": "road",
    "intersection": "road",
    "bridge": "roadpass",
    "overpass": "roadpass",
    "ferryterminal": "pier",
    "harbor": "pier",
    "parkingspace": "parking",
    "parkinglot": "parking",
}
"""Classes that are one class where answers are judged."""

_ASKED_AS_ONE = {
    "density": {"residential"},
    "shape": {"road"},
    "context": {"roadpass"},
    "existence": {"pier", "parking"},
}
"""Merged classes that also share their values where questions are made, by attribute."""


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of an attribute's file; ``kind`` is the class in the picture's name."""

    name: str
    attribute: str
    value: str

    @property
    def kind(self) -> str:
        return re.split(r"\d", self.name, maxsplit=1)[0]

    @property
    def judged(self) -> str:
        """The class an answer must have."""
        return _MERGED.get(self.kind, self.kind)

    @property
    def asked(self) -> tuple[str, str]:
        """Rows that share this share their values as questions."""
        shared = self.judged in _ASKED_AS_ONE.get(self.attribute, ())
        return self.attribute, self.judged if shared else self.kind


def load(card: DatasetCard, folder: Path, split: str) -> list[Protocol]:
    """``PatternCom/ATTRIBUTE.csv`` (``name,attribute,value``), ``patternnet.csv`` (``path …``).

    A picture is asked for with every *other* value that its class has under the attribute; the
    value alone is the change. Right are pictures of the same class, alike ones merged, with that
    value. All of PatternNet is ranked, the reference among it. A picture that a file names twice
    has the last value where answers are judged, as in the published program. ``test`` gives all
    six attributes, over which the mean is stated.
    """
    chosen = PATTERNCOM if split == "test" else (split,)
    tables = {
        one: named_file(card, folder, f"PatternCom/{one}.csv", f"{one}.csv") for one in chosen
    }
    listed = named_file(card, folder, "patternnet.csv")
    paths = [line.split(" ")[0] for line in read_lines(listed, card)]
    gallery = tuple(Item(PurePosixPath(path).name, path) for path in paths)
    return [
        _protocol(card, folder, split, one, gallery, _read(card, tables[one])) for one in chosen
    ]


def _protocol(
    card: DatasetCard,
    folder: Path,
    split: str,
    attribute: str,
    gallery: tuple[Item, ...],
    rows: Sequence[_Row],
) -> Protocol:
    files = {item.id: item.file for item in gallery}
    if strange := [row.name for row in rows if row.name not in files][:3]:
        raise UsageError(
            f"dataset {card.name}: {attribute}.csv names {strange}, which patternnet.csv lacks."
        )
    last = {row.name: row for row in rows}
    right: dict[tuple[str, str], set[str]] = defaultdict(set)
    values: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for row in rows:
        values[row.asked][row.value] = None
    for row in last.values():
        right[row.judged, row.value].add(row.name)
    questions = tuple(
        Question(
            id=f"{number}-{value}",
            relevant=frozenset(right[row.judged, value]),
            file=files[row.name],
            group=row.name,
            changes=(value,),
        )
        for number, row in enumerate(rows)
        for value in values[row.asked]
        if value != row.value
    )
    twice = len(rows) - len(last)
    return Protocol(
        name=f"patterncom/{attribute}",
        split="test",
        folder=str(folder),
        gallery=gallery,
        questions=questions,
        licence=card.licence,
        notes=(
            *count_notes(card, split, len(gallery), len(questions)),
            f"{len(last)} pictures with a value; the change is another value of the class",
            "all pictures are ranked, the reference among them",
            *([f"{twice} pictures are named again; the last value counts"] if twice else []),
        ),
    )


def _read(card: DatasetCard, path: Path) -> list[_Row]:
    rows = []
    for number, cells in enumerate(csv.reader(read_lines(path, card)), start=1):
        if len(cells) < 3:
            raise UsageError(
                f"dataset {card.name}: line {number} of {path.name} must be name,attribute,value. "
                f"Received: {','.join(cells)!r:.80}."
            )
        rows.append(_Row(*cells[:3]))
    return rows
