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
    from needlepoint.bench.composed_results import ComposedRun
    from needlepoint.bench.results import Skipped
    from needlepoint.bench.suite import Suite


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
    """A line's measures for each protocol and encoder; seeds of one method are pooled."""
    from needlepoint.bench.composed_results import ComposedRun, Pool, pooled

    groups: dict[tuple[str, str], list[Pool]] = {}
    for pool in pooled([one for one in done if isinstance(one, ComposedRun)]):
        first = pool.runs[0]
        groups.setdefault((first.name, first.key["encoder"]), []).append(pool)
    text = []
    head = (
        "method",
        "seeds",
        "R@1",
        "needs both",
        "alone",
        "R@10",
        "mAP",
        "texts",
        "compose ms",
        "score ms",
    )
    for (name, encoder), pools in groups.items():
        rows = [head, *(_cells(pool.row()) for pool in pools)]
        widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
        told = pools[0].row()
        count = f"{told['pictures']} pictures, {told['questions']} questions"
        count += f", {told['questions_both']} of which need both halves"
        text.append(f"{name} · {encoder} · {count}\n")
        for first_cell, *rest in rows:
            cells = [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
            text.append("  ".join([first_cell.ljust(widths[0]), *cells]) + "\n")
        text.append("\n")
    text += [f"{_short(one)}\n" for one in done if not isinstance(one, ComposedRun)]
    return "".join(text)


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    def share(name: str, spread: bool = False) -> str:
        if row.get(name) is None:
            return "-"
        low_high = f" [{100 * row[f'{name}_low']:.1f}, {100 * row[f'{name}_high']:.1f}]"
        return f"{100 * row[name]:.1f}{low_high if spread else ''}"

    return (
        row["method"],
        str(row["seeds"]),
        share("R@1", spread=True),
        share("R@1_both", spread=True),
        share("R@1_alone"),
        share("R@10"),
        share("mAP"),
        f"{row['text_passes']:.1f}",
        f"{row['compose_ms']:.1f}",
        f"{row['score_ms']:.2f}",
    )


def _short(one: ComposedRun | Skipped) -> str:
    """One line about one line."""
    from needlepoint.bench.composed_results import ComposedRun, Pool

    if isinstance(one, ComposedRun):
        row = Pool((one,)).row()
        worth = "no answers" if row["R@1"] is None else f"R@1 {100 * row['R@1']:.1f}"
        return f"{one.name}  {one.method}  {worth}"
    how = "failed" if one.failed else "skipped"
    return f"{how}: {one.protocol} {one.split}  {one.method}: {one.reason}"
