"""What a composed question costs in a library, route by route.

    python benchmarks/composed_latency.py EDITS/test --model open_clip:local-dir:weights/compact

The pictures are indexed once and the library is then opened for reading only, for every route anew:
that the routes share its vectors is checked by its files, which stay byte for byte the same. Asked
with a picture of the library (@id) and with a new one (a copy that the library lacks). *First* is
the first question of a route, with all that it opens and reads once (the encoder itself has been
asked before); *later* the median of further ones, each a question of its own; *again* the median of
the same questions asked again. Writes results/composed-latency-HARDWARE.csv.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from common import write_rows
from needlepoint import Library
from needlepoint.bench.composed import CONTROLS, read_composed_line
from needlepoint.bench.composed_data import WEIGHTS, read_composed
from needlepoint.bench.suite import COMPOSED
from needlepoint.errors import NeedlepointError

ENOUGH = 30.0
"""Seconds after which fewer questions will do."""


@click.command(help=__doc__)
@click.argument("data")
@click.option("--model", required=True, help="Address of the encoder.")
@click.option("--questions", default=8, show_default=True, help="Timed a route, the first apart.")
@click.option("--library", "place", type=click.Path(path_type=Path), help="Kept for the next run.")
def main(data: str, model: str, questions: int, place: Path | None) -> None:
    """Index once, ask every route, write the CSV."""
    protocol = read_composed([data], Path(), click.echo)[0]
    root = Path(protocol.folder)
    asked = [(root / one.file, one.changes[0]) for one in protocol.questions if one.box is None][
        : questions + 1
    ]
    with tempfile.TemporaryDirectory() as temporary:
        place = place or Path(temporary) / "library"
        with Library.open(place, create=True) as library:
            library.index(
                [root / item.file for item in protocol.gallery], model=model, regions="none"
            )
            library.search("anything", model=model)
            known = {path: library.at(path) for path, _ in asked}
        new = [_copy(path, Path(temporary)) for path, _ in asked]
        ways = {"new picture": [str(path) for path in new]}
        if all(number is not None for number in known.values()):
            ways = {"@id": [f"@{known[path]}" for path, _ in asked]} | ways
        before, rows = _digest(place), []
        for line in _routes():
            for reference, files in ways.items():
                changes = [change for _, change in asked]
                try:
                    row = _timed(place, model, line, files, changes)
                except NeedlepointError as error:
                    click.echo(f"skipped: {line}: {error}")
                    break
                head = {"method": line, "reference": reference, "pictures": len(protocol.gallery)}
                rows.append(head | row)
                click.echo(rows[-1])
        if _digest(place) != before:
            raise click.ClickException("a route has written to the library")
    click.echo(write_rows("composed-latency", rows))


def _routes() -> list[str]:
    """The first line of each method in the suite."""
    found: dict[str, str] = {}
    for one in COMPOSED.lines:
        name = re.split(r"[: ]", one.method)[0]
        if name not in CONTROLS:
            found.setdefault(name, one.method)
    return list(found.values())


def _timed(
    place: Path, model: str, line: str, files: Sequence[str], changes: Sequence[str]
) -> dict[str, Any]:
    """Milliseconds of the whole call; of it, those spent on composing."""
    spec = read_composed_line(line, WEIGHTS).spec
    method = f"{spec.method}:{spec.options}" if spec.options else spec.method
    spent: list[list[float]] = [[], []]
    composing: list[float] = []
    asked = list(zip(files, changes, strict=True))
    with Library.open(place, read_only=True) as library:
        library.search("a plain question", model=model)
        library.search(files[-1], model=model)
        for turn in range(2):
            for file, change in asked[: len(spent[0]) or None]:
                began = time.perf_counter()
                results = library.search(file, change=change, method=method, model=model, k=20)
                spent[turn].append((time.perf_counter() - began) * 1e3)
                composing.append(float(results.timings["compose"]))
                if len(spent[turn]) > 1 and sum(spent[turn]) > ENOUGH * 1e3:
                    break
    return {
        "questions": len(spent[0]) - 1,
        "first_ms": round(spent[0][0], 2),
        "later_ms": round(statistics.median(spent[0][1:]), 2),
        "later_compose_ms": round(statistics.median(composing[1 : len(spent[0])]), 2),
        "again_ms": round(statistics.median(spent[1]), 2),
    }


def _copy(path: Path, folder: Path) -> Path:
    """The same picture under a name that the library does not know."""
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:12]
    target = folder / f"new-{digest}{path.suffix}"
    shutil.copy(path, target)
    return target


def _digest(folder: Path) -> str:
    """Of all that is kept of the pictures: not of logs of open databases."""
    seen = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.endswith(("-wal", "-shm", ".lock")):
            seen.update(path.name.encode() + path.read_bytes())
    return seen.hexdigest()


if __name__ == "__main__":
    main()
