"""The suite of composed questions of the verb bench run."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from needlepoint.cli import output
from needlepoint.cli.door import Door
from needlepoint.errors import EXIT_HITS, EXIT_PARTIAL, UsageError

if TYPE_CHECKING:
    from needlepoint.bench.composed_results import ComposedRun, Pool
    from needlepoint.bench.results import Skipped
    from needlepoint.bench.suite import Suite

_SHOWN = 4
"""Measures of a protocol that are printed; the files hold all."""


def run_composed(
    door: Door,
    suite: Suite,
    data: Sequence[str],
    models: Sequence[str],
    out: Path,
    methods: Sequence[str],
    kept: Path,
    *,
    task: str,
    keep: bool,
    cache_mb: int,
    limit: int | None,
    seed: int,
    force: bool,
    device: str,
    threads: int,
    as_json: bool,
) -> int:
    """Ask every line, print a table, write ``composed.csv`` and ``composed-kinds.csv``."""
    from needlepoint.bench.composed_data import WEIGHTS, read_composed
    from needlepoint.bench.composed_results import ComposedRun, load_composed, pooled
    from needlepoint.bench.composed_run import ComposedBench, ComposedSettings
    from needlepoint.bench.data import default_models
    from needlepoint.bench.results import run_files
    from needlepoint.bench.results import write_table as write_csv
    from needlepoint.bench.suite import chosen_anyway
    from needlepoint.encoders.address import open_encoder

    protocols = read_composed(data, kept / "needle", door.talk.note)
    protocols = [one for one in protocols if fnmatch.fnmatch(one.name, task)]
    if not protocols:
        raise UsageError(f"--task {task!r} fits no protocol of the data.")
    done: list[ComposedRun | Skipped] = []
    for address in models or default_models():
        bench = ComposedBench(
            open_encoder(address, device=device, threads=threads),
            out / "composed",
            cache=kept / "features" if keep else None,
            cache_mb=cache_mb,
            settings=ComposedSettings(limit, seed, WEIGHTS),
            force=force,
            report=door.talk.note,
        )
        done += bench.run(
            protocols, chosen_anyway(suite, methods), lambda one: door.talk.note(_short(one))
        )
    runs = pooled([load_composed(path) for path in run_files(out / "composed")])
    skipped = [one.row() for one in done if not isinstance(one, ComposedRun)]
    out.mkdir(parents=True, exist_ok=True)
    write_csv([one.row() for one in runs] + skipped, out / "composed.csv")
    write_csv([row for one in runs for row in one.by_kind()], out / "composed-kinds.csv")
    asked = pooled([one for one in done if isinstance(one, ComposedRun)])
    if as_json:
        output.write_json([one.row() for one in asked] + skipped)
    else:
        output.write(output.raw(table(done)))
    door.talk.note(f"rows in {out / 'composed.csv'} and {out / 'composed-kinds.csv'}")
    return EXIT_PARTIAL if any(getattr(one, "failed", False) for one in done) else EXIT_HITS


def table(done: Sequence[ComposedRun | Skipped]) -> str:
    """A line's measures for each protocol and encoder, then those of whole datasets, then skips."""
    from needlepoint.bench.composed_results import ComposedRun, pooled

    groups: dict[tuple[str, str], list[Pool]] = {}
    pools = pooled([one for one in done if isinstance(one, ComposedRun)])
    for pool in pools:
        groups.setdefault((pool.runs[0].name, pool.head()["encoder"]), []).append(pool)
    text = []
    for (name, encoder), some in groups.items():
        measures = some[0].runs[0].measures[:_SHOWN]
        head = ("method", "seeds", *measures, "needs both", "alone", "texts", "ms", "ms/q")
        told = some[0].row()
        count = f"{told['pictures']} pictures, {told['questions']} questions"
        count += f", {told['questions_both']} of which need both halves"
        text.append(f"{name} · {encoder} · {count}\n")
        text.append(_aligned([head, *(_cells(pool.row(), measures) for pool in some)]))
    text += _summaries(pools)
    skipped: dict[tuple[str, str], list[str]] = {}
    for one in done:
        if not isinstance(one, ComposedRun):
            how = "failed" if one.failed else "skipped"
            where = f"{how}: {one.protocol} {one.split} · {one.encoder}"
            skipped.setdefault((where, one.reason), []).append(one.method)
    text += [
        f"{where}: {', '.join(lines)}: {reason}\n" for (where, reason), lines in skipped.items()
    ]
    return "".join(text)


def _summaries(pools: Sequence[Pool]) -> list[str]:
    """The means that papers state over the protocols of a dataset, where all were asked."""
    from needlepoint.bench.metrics import composed_summary

    groups: dict[tuple[str, str, str, str], dict[str, dict[str, float]]] = {}
    for pool in pools:
        head, row = pool.head(), pool.row()
        task, bracket, options = head["protocol"].partition("[")
        dataset = f"{task.partition('/')[0]}{bracket}{options}"
        key = (dataset, head["split"], head["encoder"], head["method"])
        scores = {name: row[name] for name in pool.runs[0].measures if row[name] is not None}
        groups.setdefault(key, {})[head["protocol"]] = scores
    text = []
    for (dataset, split, encoder, method), scores in groups.items():
        if len(scores) < 2 or not all(scores.values()):
            continue
        try:
            means = composed_summary(scores)
        except UsageError:
            continue  # not all of them
        told = ", ".join(f"{name} {100 * value:.1f}" for name, value in means.items())
        text.append(f"{dataset} {split} · {encoder} · {method}: {told}\n")
    return text


def _aligned(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    text = []
    for first, *rest in rows:
        cells = [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        text.append("  ".join([first.ljust(widths[0]), *cells]) + "\n")
    return "".join(text) + "\n"


def _cells(row: dict[str, Any], measures: Sequence[str]) -> tuple[str, ...]:
    def share(name: str, spread: bool = False) -> str:
        if row.get(name) is None:
            return "-"
        low_high = f" [{100 * row[f'{name}_low']:.1f}, {100 * row[f'{name}_high']:.1f}]"
        return f"{100 * row[name]:.1f}{low_high if spread else ''}"

    first = measures[0]
    return (
        row["method"],
        str(row["seeds"]),
        *(share(name, spread=name == first) for name in measures),
        share(f"{first}_both", spread=True),
        share(f"{first}_alone"),
        f"{row['text_passes']:.1f}",
        f"{row['compose_ms']:.1f}",
        f"{row['score_ms']:.2f}",
    )


def _short(one: ComposedRun | Skipped) -> str:
    """One line about one line."""
    from needlepoint.bench.composed_results import ComposedRun, Pool

    if isinstance(one, ComposedRun):
        row, first = Pool((one,)).row(), one.measures[0]
        worth = "no answers" if row[first] is None else f"{first} {100 * row[first]:.1f}"
        return f"{one.name}  {one.method}  {worth}"
    how = "failed" if one.failed else "skipped"
    return f"{how}: {one.protocol} {one.split}  {one.method}: {one.reason}"
