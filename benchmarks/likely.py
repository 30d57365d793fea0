"""Where "probably not" begins: the cut-off, and the beginning of greatest expected F1.

    python benchmarks/likely.py /tmp/scenes/2d-test /tmp/scenes/3d-test

Asks a library of each set with the cut-outs and the names of its things and compares three ways to
say which of the best 200 match: above the calibrated cut-off, probability of a half and more, and
``Results.likely``. Neither has a number that was chosen on these sets.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np

from common import hardware, write_rows
from needlepoint import Library
from needlepoint.bench.metrics import bootstrap_interval
from needlepoint.bench.needle import load_truth
from needlepoint.intake.decode import decode
from needlepoint.picture import Pixels
from needlepoint.results import Results

DEPTH = 200

RULES: dict[str, Callable[[Results], int]] = {
    "cut-off": lambda found: sum(hit.match is True for hit in found),
    "probability 0.5": lambda found: sum((hit.probability or 0) >= 0.5 for hit in found),
    "expected F1": lambda found: found.likely or 0,
}


def questions(folder: Path) -> Iterator[tuple[str, str | Pixels, frozenset[str]]]:
    """Kind, question and the files that answer it."""
    truth = load_truth(folder)
    for one in truth.queries:
        answers = frozenset(Path(file).name for file in one.positives)
        if one.cutout is not None:
            yield "cut-out", decode(folder / one.cutout).pixels, answers
        yield "name", one.name, answers


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
def main(folders: tuple[Path, ...]) -> None:
    """Measure the sets and write the CSV."""
    rows: list[dict[str, Any]] = []
    for folder in folders:
        values: dict[tuple[str, str], list[tuple[float, float, float, float]]] = {}
        with (
            tempfile.TemporaryDirectory() as place,
            Library.open(Path(place) / "library", create=True) as library,
        ):
            library.index([folder / "pictures"])
            for kind, question, answers in questions(folder):
                found = library.search(question, k=DEPTH)
                right = np.array([Path(hit.path).name in answers for hit in found])
                for rule, count in RULES.items():
                    n = count(found)
                    true = int(right[:n].sum())
                    values.setdefault((kind, rule), []).append(
                        (
                            n,
                            true / n if n else 0.0,
                            true / len(answers),
                            2 * true / (n + len(answers)),
                        )
                    )
        for (kind, rule), each in values.items():
            table = np.array(each)
            spread = bootstrap_interval(table[:, 3])
            mean = table.mean(axis=0)
            rows.append(
                {
                    "set": folder.name,
                    "question": kind,
                    "rule": rule,
                    "questions": len(each),
                    "shown": round(float(mean[0]), 1),
                    "precision": round(float(mean[1]), 3),
                    "recall": round(float(mean[2]), 3),
                    "f1": round(float(mean[3]), 3),
                    "f1_low": round(spread.low, 3),
                    "f1_high": round(spread.high, 3),
                    "hardware": hardware(),
                }
            )
    click.echo(write_rows("likely", rows))


if __name__ == "__main__":
    main()
