"""The verbs bench compare and bench report."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from needlepoint.cli import output
from needlepoint.cli.door import Door, common
from needlepoint.errors import EXIT_HITS, UsageError

_OUT = click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("bench-results"),
    show_default=True,
    help="Folder of results, where a run is named by words of its file name.",
)


@click.command("compare")
@click.argument("first")
@click.argument("second", required=False)
@_OUT
@click.option("--measure", default="mAP", show_default=True, help="R@1, R@5, R@10 or mAP.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the bootstrap.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@common
def compare(
    door: Door,
    first: str,
    second: str | None,
    out: Path,
    measure: str,
    seed: int,
    as_json: bool,
) -> int:
    """SECOND run minus FIRST on the questions both were asked, with intervals and p-values.

    Without SECOND every other run in --out on the same data with the same encoder is held against
    FIRST by one --measure, and p is raised for the number of comparisons (Holm). A run is a JSON
    file of `bench run`, or words that fit one file name in --out. Questions about one thing are
    drawn together (bootstrap over groups); p is two-sided.

    \b
    Examples:
      needlepoint bench compare 'crowd-2d-thing test whole' 'crowd-2d-thing test lare'
      needlepoint bench compare 'crowd-2d-thing test whole'
    """
    from needlepoint.bench.compare import MEASURES, holm, rivals
    from needlepoint.bench.compare import compare as compared
    from needlepoint.bench.results import find_run, load_run

    if measure not in MEASURES:
        raise UsageError(f"--measure is {measure!r}. Allowed: {', '.join(MEASURES)}.")
    one = load_run(find_run(first, out))
    others = rivals(one, out) if second is None else [load_run(find_run(second, out))]
    rows = [
        (two.method, row)
        for two in others
        for row in compared(one, two, seed=seed)
        if second is not None or row.measure == measure
    ]
    ps = [row.p for _, row in rows]
    ps = ps if second is not None else holm(ps)
    if as_json:
        output.write_json(
            {
                "first": one.method,
                "protocol": one.name,
                "comparisons": [
                    {"second": name, **asdict(row), "p": p}
                    for (name, row), p in zip(rows, ps, strict=True)
                ],
            }
        )
        return EXIT_HITS
    told = [f"{one.name} · {one.encoder['address']} · minus {one.method}"]
    width = max((len(name) for name, _ in rows), default=0)
    for (name, row), p in zip(rows, ps, strict=True):
        told.append(
            f"{name.ljust(width)}  {row.measure:5}"
            f"{100 * row.first:6.1f} -> {100 * row.second:5.1f}  "
            f"{100 * row.difference.estimate:+6.1f} "
            f"[{100 * row.difference.low:+.1f}, {100 * row.difference.high:+.1f}]  "
            f"p {p:.4f}  better on {row.better}, worse on {row.worse} "
            f"of {row.questions} questions in {row.groups} groups"
        )
    output.write(output.raw("".join(f"{line}\n" for line in told)))
    return EXIT_HITS


@click.command("report")
@click.argument("run")
@click.argument("page", type=click.Path(path_type=Path))
@_OUT
@click.option("--data", type=click.Path(path_type=Path), help="Pictures, when they have moved.")
@click.option("--questions", type=click.IntRange(1), default=30, show_default=True)
@click.option("--shown", type=click.IntRange(1, 20), default=5, show_default=True, help="Answers.")
@common
def report(
    door: Door, run: str, page: Path, out: Path, data: Path | None, questions: int, shown: int
) -> int:
    """Write one HTML page of a RUN to PAGE: figures, questions, answers, boxes and truth.

    \b
    Example:
      needlepoint bench report 'crowd-2d-thing test lare' lare.html
    """
    from needlepoint.bench.report import report as page_of
    from needlepoint.bench.results import find_run, load_run

    text = page_of(load_run(find_run(run, out)), data, questions=questions, shown=shown)
    output.save(str(page), text.encode("utf-8", "replace"))
    door.talk.note(f"written: {page}")
    return EXIT_HITS
