"""Run the suite of composed questions and take its figures into benchmarks/results.

    needlepoint bench build edits EDITS/test --split test
    python benchmarks/composed.py RUNS --data EDITS/test --name compact=open_clip:local-dir:WEIGHTS

What stands in RUNS is not run again; without ``--data`` nothing is run. Writes three tables:
composed (a row a route, seeds pooled), composed-kinds (the same by kind of question) and
composed-pairs (each route against each half alone and against the weighted sum, on the same
questions); the figures that ``needlepoint methods`` shows; and the tables of docs/results.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np

import needlepoint.methods
import pages
from common import write_rows
from needlepoint.bench.compare import holm
from needlepoint.bench.composed_results import Pool, load_composed, pooled
from needlepoint.bench.metrics import bootstrap_interval, paired_bootstrap
from needlepoint.bench.results import run_files
from needlepoint.bench.spec import read_spec
from needlepoint.bench.suite import COMPOSED
from needlepoint.cli.main import run as needlepoint_command

LINES = [line.method for line in COMPOSED.lines]
SUM = next(line for line in LINES if line.startswith("weighted_sum"))
AGAINST = ("reference-only", "text-only", SUM)
EDITS = "edits/"
MEASURES = ("R@1", "mAP")
MEASURED = Path(needlepoint.methods.__path__[0]) / "measured.json"


@click.command(help=__doc__)
@click.argument("runs", type=click.Path(path_type=Path))
@click.option("--data", multiple=True, help="As of `needlepoint bench run`, again for more.")
@click.option("--model", "models", multiple=True, help="As of `needlepoint bench run`.")
@click.option("--name", "names", multiple=True, metavar="SHORT=ADDRESS")
def main(
    runs: Path, data: tuple[str, ...], models: tuple[str, ...], names: tuple[str, ...]
) -> None:
    """Run what is missing, then write every table."""
    if data:
        given = [f"--data={one}" for one in data] + [f"--model={one}" for one in models]
        code = needlepoint_command(
            ["bench", "run", "--suite", "composed", "--out", str(runs), *given]
        )
        if code:
            raise click.ClickException(f"bench run ended with {code}")
    short = {address: name for name, _, address in (one.partition("=") for one in names)}
    found = [load_composed(path) for path in run_files(runs / "composed")]
    pools = _in_order(pooled(found))
    rows = [pool.row() for pool in pools]
    kinds = [row for pool in pools for row in pool.by_kind()]
    pairs = [row for group in _groups(pools) for row in _pairs(group)]
    for row in (*rows, *kinds, *pairs):
        row["encoder"] = _named(row["encoder"], short)
    for name, some in (("", rows), ("-kinds", kinds), ("-pairs", pairs)):
        click.echo(f"{write_rows(f'composed{name}', some)}: {len(some)} rows")
    figures = _measured(rows)
    MEASURED.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    click.echo(f"{MEASURED}: {len(figures)} methods")
    pages.main.callback()  # type: ignore[misc]


def _named(encoder: str, short: dict[str, str]) -> str:
    """The short name of an encoder; a folder may be given from wherever this is run."""
    for address, name in short.items():
        scheme, _, place = address.rpartition(":")
        if encoder in (address, f"{scheme}:{Path(place).resolve()}"):
            return name
    return encoder


def _in_order(pools: list[Pool]) -> list[Pool]:
    """In the order of the suite; lines that it lacks come last."""
    order = {_seedless(line): place for place, line in reversed(list(enumerate(LINES)))}
    return sorted(
        pools,
        key=lambda pool: (
            pool.runs[0].key["encoder"],
            pool.runs[0].name,
            order.get(pool.head()["method"], len(order)),
            pool.head()["method"],
        ),
    )


def _seedless(line: str) -> str:
    """A line of the suite as its pool is called."""
    return pages.composed.SEED.sub("", line)


def _groups(pools: list[Pool]) -> list[dict[str, Pool]]:
    """The routes of one encoder on one protocol, by their line."""
    groups: dict[tuple[Any, ...], dict[str, Pool]] = {}
    for pool in pools:
        key = pool.runs[0].key
        names = ("encoder", "protocol", "split", "revision", "data", "limit", "recipe")
        groups.setdefault(tuple(key[n] for n in names), {})[key["pool"]] = pool
    return list(groups.values())


def _pairs(group: dict[str, Pool]) -> Iterator[dict[str, Any]]:
    """Each route against each of ``AGAINST``; p raised by Holm over the routes of one column."""
    for second in AGAINST:
        if second not in group:
            continue
        for measure in MEASURES:
            rows = [
                _pair(pool, group[second], measure)
                for line, pool in group.items()
                if line not in ("reference-only", "text-only", second)
            ]
            for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
                yield row | {"p_holm": round(p, 4)}


def _pair(first: Pool, second: Pool, measure: str) -> dict[str, Any]:
    ours, theirs = np.array(first.values(measure)), np.array(second.values(measure))
    kept = ~np.isnan(ours) & ~np.isnan(theirs)
    answers = first.runs[0].answers
    groups = [one.group for one, keep in zip(answers, kept, strict=True) if keep]
    difference, p = paired_bootstrap(ours[kept], theirs[kept], groups=groups)
    spread = bootstrap_interval(ours[kept] - theirs[kept], groups=groups)
    head = first.head()
    return {
        **{name: head[name] for name in ("encoder", "protocol", "split", "method", "seeds")},
        "against": second.head()["method"],
        "measure": measure,
        "questions": int(kept.sum()),
        "first": round(float(ours[kept].mean()), 4),
        "second": round(float(theirs[kept].mean()), 4),
        "difference": round(difference, 4),
        "low": round(spread.low, 4),
        "high": round(spread.high, 4),
        "p": round(p, 4),
    }


def _measured(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """R@1 of the first line of each method, on the test edits with the compact encoder."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        edits = row["split"] == "test" and row["protocol"].startswith(EDITS)
        if not edits or row["encoder"] != "compact" or row["method"] in AGAINST[:2]:
            continue
        name = read_spec(row["method"]).method
        found.setdefault(
            name,
            {
                "suite": "composed",
                "data": f"{row['protocol']} test, {row['pictures']} pictures",
                "encoder": "weights/compact",
                "line": pages.composed.label(row["method"]),
                "seeds": row["seeds"],
                "questions": row["questions"],
                "measure": "R@1",
                "value": row["R@1"],
                "low": row["R@1_low"],
                "high": row["R@1_high"],
                "needs_both": row["R@1_both"],
            },
        )
    return dict(sorted(found.items()))


if __name__ == "__main__":
    main()
