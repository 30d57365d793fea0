"""Needle scenes: find the pictures that hold this small thing, and where, through the product.

    python benchmarks/needle.py /tmp/scenes/2d-test /tmp/scenes/3d-test

Each set (made by `needlepoint bench build needle`) is indexed into a fresh library with the
default policy and with the whole-picture control, and asked every question through Library.search
with every picture ranked. Rows go to benchmarks/results/needle-NAME.csv.
"""

from __future__ import annotations

import csv
import platform
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import click

from needlepoint import Library, __version__
from needlepoint.bench.needle import load_truth
from needlepoint.bench.needle_run import Asked, ask_library

RESULTS = Path(__file__).parent / "results"
SECTIONS: tuple[Asked, ...] = ("cutout", "picture", "words")


def bytes_per_picture(library: Library, pictures: int) -> float:
    """Payload of the vector tables for each picture: codes, boxes and whole vectors."""
    return sum(space["bytes"] for space in library.info()["spaces"]) / pictures


def measure(folder: Path, regions: str | None, detail: str | None) -> list[dict[str, Any]]:
    """Index a set and ask it; one row for each kind of question."""
    truth = load_truth(folder)
    place = Path(tempfile.mkdtemp(prefix="needle-"))
    try:
        with Library.open(place / "library", create=True) as library:
            started = time.perf_counter()
            library.index([folder / "pictures"], regions=regions, detail=detail)
            seconds = time.perf_counter() - started
            rows = []
            for asked in SECTIONS:
                score = ask_library(library, folder, truth, asked)
                row = {
                    "set": folder.name,
                    "regions": regions or "default",
                    "detail": detail or "1x",
                    "asked": asked,
                    "questions": len(score.ap),
                    **score.line(),
                    "bytes_per_picture": round(bytes_per_picture(library, len(truth.pictures))),
                    "index_ms_per_picture": round(seconds / len(truth.pictures) * 1e3, 1),
                    "seed": truth.seed,
                    "version": __version__,
                    "machine": platform.machine(),
                }
                rows.append(row)
                click.echo("  ".join(f"{key}={value}" for key, value in row.items()))
            return rows
    finally:
        shutil.rmtree(place, ignore_errors=True)


@click.command(help=__doc__)
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--policy", "policies", multiple=True, default=("default", "none"), show_default=True)
@click.option("--name", default="2-core-x86_64", help="names the hardware in the file name")
def main(folders: tuple[Path, ...], policies: tuple[str, ...], name: str) -> None:
    """Measure every set under every policy (REGIONS or REGIONS@DETAIL) and write the CSV."""
    rows = []
    for folder in folders:
        for policy in policies:
            regions, _, detail = policy.partition("@")
            rows += measure(
                folder.resolve(), None if regions == "default" else regions, detail or None
            )
    RESULTS.mkdir(exist_ok=True)
    with (RESULTS / f"needle-{name}.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
