"""The suites of conversations of the verb bench run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from needlepoint.cli import output
from needlepoint.cli.door import Door
from needlepoint.errors import EXIT_HITS

if TYPE_CHECKING:
    from needlepoint.bench.interactive_run import Talks
    from needlepoint.bench.results import Skipped
    from needlepoint.bench.suite import Suite

_SEEDS = 3


def run_talks(
    door: Door,
    suite: Suite,
    data: Sequence[str],
    models: Sequence[str],
    out: Path,
    methods: Sequence[str],
    kept: Path,
    *,
    keep: bool,
    cache_mb: int,
    targets: int | None,
    seed: int,
    force: bool,
    device: str,
    threads: int,
    as_json: bool,
) -> int:
    """Hold the conversations, print a table, write ``interactive.csv`` and ``by_round.csv``."""
    from needlepoint.bench.data import default_models, read_scenes
    from needlepoint.bench.interactive_run import TalkBench, Talks, TalkSettings, load_talks
    from needlepoint.bench.results import run_files
    from needlepoint.bench.results import write_table as write_csv
    from needlepoint.bench.suite import chosen_anyway
    from needlepoint.encoders.address import open_encoder

    folders = read_scenes(data, kept / "needle", door.talk.note)
    done: list[Talks | Skipped] = []
    for address in models or default_models():
        bench = TalkBench(
            open_encoder(address, device=device, threads=threads),
            out / "talks",
            cache=kept / "features" if keep else None,
            cache_mb=cache_mb,
            settings=TalkSettings(targets, tuple(range(seed, seed + _SEEDS))),
            force=force,
            report=door.talk.note,
        )
        done += bench.run(
            folders, chosen_anyway(suite, methods), lambda o: door.talk.note(_short(o))
        )
    held = [load_talks(path) for path in run_files(out / "talks")]
    skipped = [one.row() for one in done if not isinstance(one, Talks)]
    write_csv([one.row() for one in held] + skipped, out / "interactive.csv")
    write_csv([row for one in held for row in one.by_round()], out / "by_round.csv")
    if as_json:
        output.write_json([one.row() for one in done])
    else:
        output.write(output.raw(table(done)))
    door.talk.note(f"rows in {out / 'interactive.csv'} and {out / 'by_round.csv'}")
    return EXIT_HITS


def table(done: Sequence[Talks | Skipped]) -> str:
    """A line's BRI, and its hits round by round, for each set of scenes and encoder."""
    from needlepoint.bench.interactive_run import Talks
    from needlepoint.bench.metrics import round_hits

    groups: dict[str, list[Talks]] = {}
    for one in done:
        if isinstance(one, Talks):
            key = one.key
            name = f"{key['protocol']} {key['split']} · {key['encoder']}"
            groups.setdefault(name, []).append(one)
    text = []
    for name, some in groups.items():
        text.append(f"{name} · {len(some[0].held)} conversations\n")
        width = max(len(one.key["method"]) for one in some)
        text.append(f"{'method'.ljust(width)}  BRI                Hits@10 by round\n")
        for one in some:
            row, hits = one.row(), round_hits(one.ranks, 10).mean(axis=0)
            bri = f"{row['BRI']:.2f} [{row['BRI_low']:.2f}, {row['BRI_high']:.2f}]"
            shares = " ".join(f"{100 * share:5.1f}" for share in hits)
            text.append(f"{one.key['method'].ljust(width)}  {bri.ljust(17)}  {shares}\n")
        text.append("\n")
    text += [f"{_short(one)}\n" for one in done if not isinstance(one, Talks)]
    return "".join(text)


def _short(one: Talks | Skipped) -> str:
    """One line about one line."""
    from needlepoint.bench.interactive_run import Talks

    if isinstance(one, Talks):
        row = one.row()
        return f"{row['protocol']} {row['split']}  {row['method']}  BRI {row['BRI']:.2f}"
    return f"skipped: {one.protocol} {one.split}  {one.method}: {one.reason}"
