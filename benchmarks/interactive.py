"""Take the figures of `needlepoint bench run --suite interactive` into benchmarks/results.

    needlepoint bench run --suite interactive --data SCENES --model ADDRESS … --out RUNS
    python benchmarks/interactive.py RUNS … --name compact=ADDRESS

Writes interactive-HARDWARE.csv (a row a line), interactive-rounds-HARDWARE.csv (a row a line and a
round) and interactive-pairs-HARDWARE.csv: pieces held against whole pictures, and other pairs, on
the same targets and seeds, with targets of few and of many things apart.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from common import write_rows
from needlepoint.bench.interactive_run import Talks, load_talks
from needlepoint.bench.metrics import best_rank_integral, paired_bootstrap
from needlepoint.bench.needle.truth import load_truth
from needlepoint.bench.results import run_files
from needlepoint.bench.user import Scenes

PAIRS = (
    ("words", "opening"),
    ("feedback", "words"),
    ("feedback with marks=pictures", "feedback"),
    ("feedback with marks=pieces", "feedback"),
    ("feedback with marks=pieces", "feedback with marks=pictures"),
    ("feedback with marks=pieces,noise=0.3", "feedback with marks=pictures,noise=0.3"),
    ("feedback with says=nothing,marks=pictures", "feedback with says=nothing,marks=random"),
    ("feedback with says=nothing,marks=pieces", "feedback with says=nothing,marks=random-pieces"),
    ("feedback with says=nothing,marks=pieces", "feedback with says=nothing,marks=pictures"),
    ("chatir", "words"),
    ("plugir", "words"),
)
MANY = 5
"""Things that can be spoken of, from which on a target is one of many things."""


@click.command(help=__doc__)
@click.argument("runs", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--name", "names", multiple=True, metavar="SHORT=ADDRESS")
@click.option("--scenes", type=click.Path(exists=True, path_type=Path), help="Folder of the sets.")
def main(runs: tuple[Path, ...], names: tuple[str, ...], scenes: Path | None) -> None:
    """Write the three tables."""
    short = {address: name for name, _, address in (one.partition("=") for one in names)}
    found = [load_talks(path) for folder in runs for path in run_files(folder / "talks")]
    rows = [one.row() for one in found]
    rounds = [row for one in found for row in one.by_round()]
    pairs = [row for group in _groups(found) for row in _pairs(group, scenes)]
    for row in (*rows, *rounds, *pairs):
        row["encoder"] = short.get(row["encoder"], row["encoder"])
    for name, some in (("", rows), ("-rounds", rounds), ("-pairs", pairs)):
        click.echo(f"{write_rows(f'interactive{name}', some)}: {len(some)} rows")


def _groups(found: list[Talks]) -> list[dict[str, Talks]]:
    """The runs of one encoder on one set over one recipe, by their line without the recipe."""
    groups: dict[tuple[Any, ...], dict[str, Talks]] = {}
    for one in found:
        key = one.key
        line = key["method"].replace(f" on {key['recipe']}", "")
        where = (key["encoder"], key["protocol"], key["split"], key["recipe"], key["targets"])
        groups.setdefault(where, {})[line] = one
    return list(groups.values())


def _pairs(group: dict[str, Talks], scenes: Path | None) -> list[dict[str, Any]]:
    rows = []
    for first, second in PAIRS:
        if first not in group or second not in group:
            continue
        one, other = group[first], group[second]
        key = one.key
        targets = np.array([held.target for held in one.held])
        left, right = best_rank_integral(one.ranks), best_rank_integral(other.ranks)
        for kind, chosen in _kinds(key, targets, scenes).items():
            if not chosen.any():
                continue
            difference, p = paired_bootstrap(
                left[chosen], right[chosen], groups=targets[chosen].tolist()
            )
            rows.append(
                {
                    "encoder": key["encoder"],
                    "protocol": key["protocol"],
                    "split": key["split"],
                    "recipe": key["recipe"],
                    "first": first,
                    "second": second,
                    "targets": kind,
                    "talks": int(chosen.sum()),
                    "BRI_first": round(float(left[chosen].mean()), 4),
                    "BRI_second": round(float(right[chosen].mean()), 4),
                    "difference": round(difference, 4),
                    "p": round(p, 4),
                }
            )
    return rows


def _kinds(key: dict[str, Any], targets: np.ndarray, scenes: Path | None) -> dict[str, np.ndarray]:
    """All targets, and those of few and of many things where the sets are at hand."""
    kinds = {"all": np.ones(len(targets), bool)}
    name = f"{key['protocol'].removeprefix('talk-')}-{key['split']}"
    if scenes is not None and (scenes / name / "truth.json").is_file():
        truth = load_truth(scenes / name)
        held = Scenes(truth.pictures, float(truth.options.get("min_visible", 0.5)))
        many = np.array([len(held.facts[target]) >= MANY for target in targets])
        kinds |= {f"fewer than {MANY} things": ~many, f"{MANY} things and more": many}
    return kinds


if __name__ == "__main__":
    main()
