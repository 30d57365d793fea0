"""The verb bench reproduce."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from needlepoint.cli import output
from needlepoint.cli.door import Door, common
from needlepoint.errors import EXIT_HITS, EXIT_NOTHING, UsageError
from needlepoint.results import printable

if TYPE_CHECKING:
    from needlepoint.bench.reproduce import Outcome

_PATH = click.Path(path_type=Path)


@click.command("reproduce")
@click.argument("table", metavar="TABLE")
@click.option("--data", type=_PATH, required=True, help="Folder with one folder a dataset.")
@click.option("--out", type=_PATH, default=Path("bench-results"), show_default=True)
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME=ADDRESS",
    help="Weights for an encoder of the table (again for more).",
)
@click.option("--objects", default="", metavar="SOURCE", help="For lines with detected objects.")
@click.option("--limit-questions", type=click.IntRange(1), help="At most so many: a trial.")
@click.option("--cache", type=_PATH, help="Folder of features kept between runs.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, mps.")
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print rows as JSON.")
@common
def reproduce(
    door: Door,
    table: str,
    data: Path,
    out: Path,
    models: tuple[str, ...],
    objects: str,
    limit_questions: int | None,
    cache: Path | None,
    device: str,
    threads: int,
    as_json: bool,
) -> int:
    """Run a paper's TABLE (lare, mao, calibclip) and print ours beside the published figures.

    Lines whose data or weights are not on this machine say what is missing, and where it comes
    from. Nothing is downloaded. The rows go to --out as reproduce-TABLE.csv as well. The exit
    code is 1 when no line could be run.

    \b
    Examples:
      needlepoint bench reproduce lare --data DATA
      needlepoint bench reproduce mao --data DATA --objects owlv2:OWL+sam:SAM
      needlepoint bench reproduce lare --data DATA --model 'CLIP L/14=hf:WEIGHTS'
    """
    from needlepoint.bench.published import published_table
    from needlepoint.bench.reproduce import reproduce as run_table
    from needlepoint.bench.results import write_table
    from needlepoint.bench.runner import Settings
    from needlepoint.encoders.address import open_encoder

    chosen = published_table(table)
    outcomes = run_table(
        chosen,
        data.expanduser(),
        out,
        models=dict(_named(text) for text in models),
        objects=objects,
        cache=cache,
        settings=Settings(limit=limit_questions, timed=0),
        opened=lambda address: open_encoder(address, device=device, threads=threads),
        report=door.talk.note,
    )
    rows = [row for outcome in outcomes for row in outcome.lines()]
    out.mkdir(parents=True, exist_ok=True)
    write_table(rows, out / f"reproduce-{chosen.name}.csv")
    for note in chosen.notes:
        door.talk.note(note)
    if limit_questions is not None:
        door.talk.note(f"at most {limit_questions} questions: a trial, not a reproduction")
    if as_json:
        output.write_json(rows)
    else:
        output.write(_table(outcomes))
    return EXIT_HITS if any(outcome.ours for outcome in outcomes) else EXIT_NOTHING


def _named(text: str) -> tuple[str, str]:
    name, equals, address = text.partition("=")
    if not equals or not address:
        raise UsageError(f"--model must be NAME=ADDRESS. Received: {text!r}.")
    return name.strip(), address.strip()


def _table(outcomes: Sequence[Outcome]) -> bytes:
    """One line a published line; reasons stand below, each once, by number."""
    notes: dict[str, int] = {}
    rows = [("line", "data", "measures", "published", "ours", "95 %", "from", "note")]
    for one in outcomes:
        row = one.row
        ours = [one.ours[name] for name in row.published if name in one.ours]
        rows.append(
            (
                row.label,
                f"{row.protocol} {row.split}",
                "/".join(row.published),
                "/".join(f"{value:.2f}" for value in row.published.values()),
                "/".join(f"{mean:.2f}" for mean, _, _ in ours) or "-",
                " ".join(f"{low:.1f}..{high:.1f}" for _, low, high in ours) or "-",
                row.source,
                "".join(f"[{notes.setdefault(note, len(notes) + 1)}]" for note in one.notes),
            )
        )
    below = "".join(f"[{number}] {printable(note)}\n" for note, number in notes.items())
    return output.columns(rows) + output.raw(below)
