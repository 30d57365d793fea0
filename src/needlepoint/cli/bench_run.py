"""The verbs bench run and bench list."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from needlepoint.cli import output
from needlepoint.cli.door import Door, common
from needlepoint.errors import EXIT_HITS, EXIT_PARTIAL, UsageError
from needlepoint.results import printable

if TYPE_CHECKING:
    from needlepoint.bench.results import Run, Skipped

_OUT = Path("bench-results")
_PATH = click.Path(path_type=Path)


@click.command("run")
@click.option("--suite", default="fine-grained", show_default=True, help="List of method lines.")
@click.option(
    "--data",
    multiple=True,
    metavar="DATA",
    help="Generated set, folder of sets, or DATASET[:SPLIT][,option=value...]=FOLDER "
    "(again for more).",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="ADDR",
    help="Encoder, again for more.  [default: builtin, and weights/compact of a checkout]",
)
@click.option("--out", type=_PATH, default=_OUT, show_default=True, help="Folder of results.")
@click.option("--method", "methods", multiple=True, metavar="LINE", help="In place of the suite's.")
@click.option("--task", default="*", show_default=True, help="Protocols, by wild card.")
@click.option("--limit-questions", type=click.IntRange(1), help="At most so many, drawn by seed.")
@click.option("--limit-pictures", type=click.IntRange(2), help="At most so many: easier.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--timed", type=click.IntRange(0), default=3, show_default=True, help="Pictures.")
@click.option("--corpus", type=_PATH, help="Texts that tell which words are common.")
@click.option("--cache", type=_PATH, help="Folder of features kept between runs.")
@click.option("--cache-mb", type=click.IntRange(1), default=8192, show_default=True)
@click.option("--no-cache", is_flag=True, help="Keep no features.")
@click.option("--force", is_flag=True, help="Run again what is in --out.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, mps.")
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print rows as JSON.")
@common
def run(
    door: Door,
    suite: str,
    data: tuple[str, ...],
    models: tuple[str, ...],
    out: Path,
    methods: tuple[str, ...],
    task: str,
    limit_questions: int | None,
    limit_pictures: int | None,
    seed: int,
    timed: int,
    corpus: Path | None,
    cache: Path | None,
    cache_mb: int,
    no_cache: bool,
    force: bool,
    device: str,
    threads: int,
    as_json: bool,
) -> int:
    """Run a suite: every method line on every protocol of the data with every model.

    One JSON file a line goes to --out and is not run again; summary.csv and summary.json there
    hold the rows of all runs in it, and what this call skipped. A method line is
    METHOD[:OPTIONS][ on RECIPE], then +best, +gated, +gated@TAU or +whole for another fusion, and
    +csls for the transductive correction.

    \b
    Examples:
      needlepoint bench run
      needlepoint bench run --data SCENES --model open_clip:ViT-B-32/datacomp_xl_s13b_b90k
      needlepoint bench run --data coco=COCO --method whole --method 'lare:n=5'
      needlepoint bench run --data SCENES --task '*/thing' --method 'lare*' --limit-questions 50
      needlepoint bench run --suite interactive --data SCENES --model ADDRESS
      needlepoint bench run --suite composed
    """
    import fnmatch
    import functools

    from needlepoint.bench.by_round import rounds_of
    from needlepoint.bench.data import default_models, read_data
    from needlepoint.bench.results import Run, Skipped, load_row, run_files, write_text
    from needlepoint.bench.results import write_table as write_csv
    from needlepoint.bench.runner import Bench, Settings
    from needlepoint.bench.suite import chosen_lines, find_suite
    from needlepoint.encoders.address import open_encoder
    from needlepoint.results import dumps

    chosen = find_suite(suite)
    kept = cache or _cache_folder()
    if chosen.asks == "talks":
        from needlepoint.cli.bench_talks import run_talks

        return run_talks(
            door, chosen, data, models, out, methods, kept, keep=not no_cache, cache_mb=cache_mb,
            targets=limit_questions, seed=seed, force=force, device=device, threads=threads,
            as_json=as_json,
        )  # fmt: skip
    if chosen.asks == "composed":
        from needlepoint.cli.bench_composed import run_composed

        return run_composed(
            door, chosen, data, models, out, methods, kept, task=task, keep=not no_cache,
            cache_mb=cache_mb, limit=limit_questions, seed=seed, force=force, device=device,
            threads=threads, as_json=as_json,
        )  # fmt: skip
    protocols = read_data(data, kept / "needle", door.talk.note)
    protocols = [one for one in protocols if fnmatch.fnmatch(one.name, task)]
    if not protocols:
        raise UsageError(f"--task {task!r} fits no protocol of the data.")
    words = _texts(corpus) if corpus is not None else ()
    settings = Settings(limit_questions, seed, timed, words, limit_pictures)
    done: list[Run | Skipped] = []

    for address in models or default_models():
        encoder = open_encoder(address, device=device, threads=threads)
        bench = Bench(
            encoder,
            out,
            cache=None if no_cache else kept / "features",
            cache_mb=cache_mb,
            settings=settings,
            force=force,
            report=door.talk.note,
        )
        done += bench.run(
            protocols,
            functools.partial(chosen_lines, chosen, methods, card=encoder.card),
            lambda one: door.talk.note(_short(one)),
        )
    skipped = [one.row() for one in done if isinstance(one, Skipped)]
    rows = [load_row(path) for path in run_files(out)] + skipped
    out.mkdir(parents=True, exist_ok=True)
    write_csv(rows, out / "summary.csv")
    write_text(out / "summary.json", dumps(rows, indent=1) + "\n")
    talks = [one.row() for one in rounds_of(one for one in done if isinstance(one, Run))]
    if talks:
        write_csv(talks, out / "rounds.csv")
    if as_json:
        output.write_json([one.row() for one in done] + talks)
    else:
        output.write(output.raw(table(done) + _by_round(talks)))
    door.talk.note(f"rows in {out / 'summary.csv'}; see `needlepoint bench report`")
    return EXIT_PARTIAL if any(getattr(one, "failed", False) for one in done) else EXIT_HITS


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@common
def list_all(door: Door, as_json: bool) -> int:
    """Suites with their method lines, tasks of generated sets, and datasets that can be read."""
    from needlepoint.bench.datasets import list_datasets
    from needlepoint.bench.suite import SUITES

    told: dict[str, Any] = {
        "suites": {
            one.name: {"title": one.title, "lines": [line.method for line in one.lines]}
            for one in SUITES.values()
        },
        "tasks": _TASKS,
        "datasets": {
            one.name: {
                "title": one.title,
                "splits": list(one.splits),
                "options": {name: list(values) for name, values in one.options.items()},
                "file": one.file,
                "source": one.source,
                "licence": one.licence,
            }
            for one in list_datasets()
        },
    }
    if as_json:
        output.write_json(told)
        return EXIT_HITS
    lines = []
    for name, suite in told["suites"].items():
        lines += [f"suite {name}: {suite['title']}", *(f"  {one}" for one in suite["lines"])]
    lines += ["", "tasks of generated sets (needlepoint bench build needle)"]
    lines += [f"  {name}: {text}" for name, text in _TASKS.items()]
    lines += ["", "datasets: --data NAME[:SPLIT][,option=value...]=FOLDER"]
    for name, one in told["datasets"].items():
        lines.append(f"  {name}: {one['title']}; splits {', '.join(one['splits'])}; {one['file']}")
        lines += [f"    {key}={'|'.join(values)}" for key, values in one["options"].items()]
    output.write(output.raw("".join(printable(line) + "\n" for line in lines)))
    return EXIT_HITS


_TASKS = {
    "instance": "a picture of a thing asks for the scenes with it",
    "thing": "words for a small thing ask for the scenes with it",
    "whole": "a caption of a whole scene asks for it",
}


def table(done: Sequence[Run | Skipped]) -> str:
    """Encoder x method for each protocol, shares in per cent with 95 % intervals, and costs."""
    from needlepoint.bench.results import Run

    groups: dict[tuple[str, str], list[Run]] = {}
    for one in done:
        if isinstance(one, Run):
            groups.setdefault((one.name, one.encoder["address"]), []).append(one)
    head = ("method", "R@1", "R@5", "R@10", "mAP", "box", "passes", "work", "bytes", "ms", "ms/q")
    text = []
    for (name, encoder), runs in groups.items():
        rows = [head, *(_cells(run) for run in runs)]
        widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
        count = f"{len(runs[0].gallery)} pictures, {len(runs[0].answers)} questions"
        text.append(f"{name} · {encoder} · {count}\n")
        for first, *rest in rows:
            cells = [c.rjust(w) for c, w in zip(rest, widths[1:], strict=True)]
            text.append("  ".join([first.ljust(widths[0]), *cells]) + "\n")
        text.append("\n")
    skipped = [one for one in done if not isinstance(one, Run)]
    text += [f"{_short(one)}\n" for one in skipped]
    return "".join(text)


def _cells(run: Run) -> tuple[str, ...]:
    def share(measure: str, spread: bool = True) -> str:
        found = run.interval(measure)
        if found is None:
            return "-"
        low_high = f" [{100 * found.low:.1f}, {100 * found.high:.1f}]" if spread else ""
        return f"{100 * found.estimate:.1f}{low_high}"

    cost = run.cost
    # processor time is the steadier figure, where the work is the processor's
    paced = "describe_ms" if "accelerator" in run.machine else "describe_cpu_ms"
    return (
        run.method,
        share("R@1"),
        share("R@5"),
        share("R@10"),
        share("mAP"),
        share("box_hits"),
        f"{cost['passes']:.1f}",
        f"{cost['work']:.1f}",
        f"{cost['bytes']:.0f}",
        f"{cost[paced]:.0f}" if paced in cost else "-",
        f"{cost['score_ms']:.2f}",
    )


def _by_round(rows: Sequence[dict[str, Any]]) -> str:
    """Recorded dialogues as conversations: BRI, and hits round by round."""
    text = []
    for row in rows:
        hits = [value for name, value in row.items() if name.startswith("Hits@10_")]
        shares = " ".join(f"{100 * share:.1f}" for share in hits)
        name = f"{row['protocol']} {row['split']} · {row['encoder']} · {row['method']}"
        text.append(f"{name}: BRI {row['BRI']:.3f}, Hits@10 by round {shares}\n")
    return "".join(text)


def _short(one: Run | Skipped) -> str:
    """One line about one line."""
    from needlepoint.bench.results import Run

    if isinstance(one, Run):
        found = one.interval("mAP")
        worth = "no answers" if found is None else f"mAP {100 * found.estimate:.1f}"
        return f"{one.name}  {one.method}  {worth}"
    how = "failed" if one.failed else "skipped"
    return f"{how}: {one.protocol} {one.split}  {one.method}: {one.reason}"


def _texts(path: Path) -> tuple[str, ...]:
    """One text a line; of a .jsonl file the ``text`` of each line."""
    try:
        rows = path.read_text(encoding="utf-8").splitlines()
        if path.suffix == ".jsonl":
            rows = [str(json.loads(row)["text"]) for row in rows]
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(
            f"--corpus {path} cannot be read ({error}). Give texts, one a line, or a .jsonl file "
            "with `text` in each."
        ) from error
    return tuple(row for row in rows if row.strip())


def _cache_folder() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("needlepoint") / "bench"
