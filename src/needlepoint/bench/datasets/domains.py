"""The same thing in another domain, as FreeDom asks (Efthymiadis et al. 2025, arXiv 2412.03297)."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from needlepoint.bench.datasets.cards import DatasetCard
from needlepoint.bench.datasets.reading import count_notes, named_file, read_lines
from needlepoint.bench.protocol import Item, Protocol, Question
from needlepoint.errors import UsageError

WORDS = {
    "imagenet-r": {
        "real": "photo",
        "cartoon": "cartoon",
        "origami": "origami",
        "toy": "toy",
        "sculpture": "sculpture",
    },
    "minidn": {"clipart": "clipart", "painting": "painting", "real": "photo", "sketch": "sketch"},
    "nico": {
        "autumn": "autumn",
        "dim": "dimlight",
        "grass": "grass",
        "outdoor": "outdoor",
        "rock": "rock",
        "water": "water",
    },
    "ltll": {"New": "Today", "Old": "Archive"},
}
"""The word that asks for a domain, by dataset and name of the domain in its files."""


@dataclass(frozen=True, slots=True)
class _Row:
    file: str
    word: str
    kind: str


def load(card: DatasetCard, folder: Path, split: str) -> list[Protocol]:
    """``query_files.csv`` and ``database_files.csv``, of some datasets ``full_files.csv`` for both.

    Lines are ``path domain class``. There is a protocol for every ordered pair of domains: all
    queries of the first are asked with the word of the second, and right is the same class there.
    A query whose class is not there counts as 0, as published. The whole database is ranked. The
    stated figure is the mean over the pairs. The first folder of a path, the name of the dataset,
    is dropped: pictures are looked for in the folder.
    """
    queries = _read(card, named_file(card, folder, card.file))
    whole = card.file == "full_files.csv"
    database = queries if whole else _read(card, named_file(card, folder, "database_files.csv"))
    gallery = tuple(Item(row.file, row.file) for row in database)
    right: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in database:
        right[row.word, row.kind].add(row.file)
    answers = {key: frozenset(files) for key, files in right.items()}
    words = WORDS[card.name].values()
    pairs = [(source, target) for source in words for target in words if source != target]
    counted = count_notes(card, split, len(gallery), len(queries))
    made = []
    for source, target in pairs:
        questions = tuple(
            Question(
                id=row.file,
                relevant=answers.get((target, row.kind), frozenset()),
                file=row.file,
                group=row.kind,
                changes=(target,),
            )
            for row in queries
            if row.word == source
        )
        empty = sum(not one.relevant for one in questions)
        made.append(
            Protocol(
                name=f"{card.name}/{source}-to-{target}".lower(),
                split=split,
                folder=str(folder),
                gallery=gallery,
                questions=questions,
                licence=card.licence,
                notes=(
                    f"{counted[0]} in all pairs of domains, {len(questions)} in this one",
                    *counted[1:],
                    f"asked with {target!r}; the stated figure is the mean over {len(pairs)} pairs",
                    *([f"{empty} questions have no answer there and count as 0"] if empty else []),
                ),
            )
        )
    return made


def _read(card: DatasetCard, path: Path) -> list[_Row]:
    rows = []
    for number, line in enumerate(read_lines(path, card), start=1):
        cells = line.split(" ")
        if len(cells) < 3 or cells[1] not in WORDS[card.name] or "/" not in cells[0]:
            raise UsageError(
                f"dataset {card.name}: line {number} of {path.name} must be 'path domain class' "
                f"with a domain of {', '.join(WORDS[card.name])}. Received: {line!r:.80}."
            )
        rows.append(_Row(cells[0].split("/", 1)[1], WORDS[card.name][cells[1]], cells[2]))
    return rows
