"""What marks are worth: words, then words with 1, 3 or 5 pictures marked as liked and as not.

    python benchmarks/feedback_marks.py /tmp/scenes/crowd-2d-dev --library /tmp/marks.library

Every question names a thing of which at least four pictures of the set are. The user marks the
first right and the first wrong pictures of the answer to the words: whole, or the largest box of
the thing (and of a wrong picture the place that was found). Marked pictures are then left out of
the answer and of what is right, so that only pictures count that the user has not seen; more marks
leave harder ones. The weights of ``feedback`` were chosen with this program on this set.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from common import write_rows
from needlepoint import Library
from needlepoint.bench.metrics import bootstrap_interval
from needlepoint.library.asking import Options
from needlepoint.library.view import LibraryView
from needlepoint.methods.card import find_method
from needlepoint.methods.dialogue import Helpers, Mark, Turn
from needlepoint.picture import Box
from needlepoint.store.base import Probe

COUNTS = (1, 3, 5)
LEAST = 4
RULES = ("more=0.75,less=0.25", "more=2,less=0.25", "rule=logistic,more=2")


class Remembering(LibraryView):
    """A view that looks at a piece once."""

    def __init__(self, library: Library) -> None:
        super().__init__(library._store, library._asker, Options())
        self._known: dict[Mark, Probe] = {}

    def marked(self, marks: Sequence[Mark]) -> list[Probe]:
        for mark in marks:
            if mark not in self._known:
                (self._known[mark],) = super().marked([mark])
        return [self._known[mark] for mark in marks]


def questions(folder: Path, ids: dict[str, int]) -> list[tuple[str, dict[int, Box]]]:
    """Words, and the pictures that answer them with the largest box of the thing in each."""
    found = []
    for one in json.loads((folder / "truth.json").read_text("utf-8"))["questions"]:
        if one["task"] == "thing" and len(one["relevant"]) >= LEAST:
            boxes = {
                ids[Path(file).name]: max(one["boxes"][file], key=lambda b: b[2] * b[3])
                for file in one["relevant"]
            }
            found.append((one["text"], {n: tuple(map(float, b)) for n, b in boxes.items()}))
    return found


def average_precision(order: Sequence[int], right: set[int]) -> float:
    """Mean of the precision at each right picture; every picture is ranked."""
    hits = np.isin(order, list(right))
    return float((np.cumsum(hits)[hits] / (np.flatnonzero(hits) + 1)).mean())


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True))
@click.option("--library", "place", type=click.Path(path_type=Path), help="Kept for the next run.")
def main(folder: Path, place: Path | None) -> None:
    """Measure and write the CSV."""
    values: dict[tuple[str, str, int], list[float]] = {}
    with (
        tempfile.TemporaryDirectory() as temporary,
        Library.open(place or Path(temporary) / "library", create=True) as library,
    ):
        library.index([folder / "pictures"])
        ids = {Path(file.path).name: number for number, file, _ in library._store.scan()}
        view = Remembering(library)
        asked = questions(folder, ids)
        for text, boxes in asked:
            answer = library.search(text, k=len(ids))
            right = [hit.id for hit in answer if hit.id in boxes]
            wrong = [hit for hit in answer if hit.id not in boxes]
            for count in COUNTS:
                seen = {*right[:count], *(hit.id for hit in wrong[:count])}
                left = set(boxes) - seen
                if not left:
                    continue
                marks = {
                    "wholes": [
                        [Mark(n) for n in right[:count]],
                        [Mark(h.id) for h in wrong[:count]],
                    ],
                    "pieces": [
                        [Mark(n, boxes[n]) for n in right[:count]],
                        [Mark(h.id, h.box) for h in wrong[:count]],
                    ],
                }
                order = [hit.id for hit in answer if hit.id not in seen]
                values.setdefault(("nothing", "words alone", count), []).append(
                    average_precision(order, left)
                )
                for kind, (more, less) in marks.items():
                    turns = [Turn(text), Turn(more=tuple(more), less=tuple(less))]
                    for rule in RULES:
                        make = find_method("feedback").dialogue
                        assert make is not None
                        found = make(rule, Helpers()).understand(turns, view)
                        ranked, _ = view.search(found.probes, len(ids))
                        order = [n for n in ranked.tolist() if n not in seen]
                        values.setdefault((kind, rule, count), []).append(
                            average_precision(order, left)
                        )
    rows: list[dict[str, Any]] = []
    for (kind, rule, count), found_values in values.items():
        spread = bootstrap_interval(found_values)
        rows.append(
            {
                "set": folder.name,
                "marks": kind,
                "feedback": rule,
                "marked": count,
                "questions": len(found_values),
                "mAP": round(float(np.mean(found_values)), 4),
                "low": round(spread.low, 4),
                "high": round(spread.high, 4),
            }
        )
    write_rows(f"feedback-marks-{folder.name}", rows)


if __name__ == "__main__":
    main()
