"""Take the figures of `needlepoint bench run --suite fine-grained` into benchmarks/results.

    needlepoint bench run --suite fine-grained --data SCENES --model ADDRESS … --out RUNS
    python benchmarks/fine_grained.py RUNS … --name compact=ADDRESS
    python benchmarks/pages.py

``--name`` writes a short name for an encoder in place of the address it was opened by.
"""

from __future__ import annotations

import csv
from pathlib import Path

import click

from common import write_rows


@click.command(help=__doc__)
@click.argument(
    "runs", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@click.option("--name", "names", multiple=True, metavar="SHORT=ADDRESS")
def main(runs: tuple[Path, ...], names: tuple[str, ...]) -> None:
    """Write results/fine-grained-HARDWARE.csv from the summary of the runs."""
    short = {address: name for name, _, address in (one.partition("=") for one in names)}
    rows = []
    for folder in runs:
        with (folder / "summary.csv").open(encoding="utf-8") as file:
            rows += csv.DictReader(file)
    for row in rows:
        row["encoder"] = short.get(row["encoder"], row["encoder"])
        del row["recipe"]  # names files of the machine; the method line says the same
    click.echo(f"{write_rows('fine-grained', rows)}: {len(rows)} rows")


if __name__ == "__main__":
    main()
