"""The verb bench submit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from needlepoint.cli import output
from needlepoint.cli.door import Door, common
from needlepoint.errors import EXIT_HITS, UsageError

if TYPE_CHECKING:
    from needlepoint.bench.protocol import Protocol

_PATH = click.Path(path_type=Path)


@click.command("submit")
@click.argument("data")
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option(
    "--out",
    type=_PATH,
    default=Path("bench-results"),
    show_default=True,
    help="Folder of results, where a run is named by words of its file name.",
)
@click.option("--to", type=_PATH, default=Path("submissions"), show_default=True, help="Folder.")
@click.option("--check", "checked", type=_PATH, help="A written file to look over instead.")
@common
def submit(
    door: Door, data: str, runs: tuple[str, ...], out: Path, to: Path, checked: Path | None
) -> int:
    """Write files for the servers of CIRR and CIRCO from composed runs on DATA.

    DATA is DATASET[:SPLIT]=FOLDER, as it was run. A RUN is a JSON file below OUT/composed of
    `bench run --suite composed`, or words that fit one file name there. CIRR takes two files, so
    two runs: of recall over all pictures and of recall in the set of six. With --check a file is
    read back: what a server would refuse is told, and its measures where the answers are known.

    \b
    Examples:
      needlepoint bench run --suite composed --data cirr:test1=CIRR --method weicom
      needlepoint bench submit cirr:test1=CIRR 'recall test1 weicom' 'subset test1 weicom'
      needlepoint bench submit circo:val=CIRCO --check submission_val.json
    """
    from needlepoint.bench.composed_results import load_composed
    from needlepoint.bench.data import read_data
    from needlepoint.bench.results import find_run
    from needlepoint.bench.submissions import write_submission

    protocols = read_data([data], out, door.talk.note)
    if checked is not None:
        if runs:
            raise UsageError("--check looks over a file and writes none; leave the runs out")
        output.write(output.raw(_looked_over(checked, protocols)))
        return EXIT_HITS
    if not runs:
        raise UsageError("name a run to write, or a file with --check")
    for text in runs:
        run = load_composed(find_run(text, out / "composed"))
        protocol = next((p for p in protocols if p.revision() == run.key["revision"]), None)
        if protocol is None or protocol.name != run.key["protocol"]:
            raise UsageError(
                f"run {text!r} answered {run.name}, which is not in {data} or not whole there. "
                f"There are: {', '.join(f'{p.name} {p.split}' for p in protocols)}."
            )
        ids = [item.id for item in protocol.gallery]
        rankings = [[ids[place] for place, _ in one.top] for one in run.answers]
        output.write(output.raw(f"{write_submission(protocol, rankings, to)}\n"))
    return EXIT_HITS


def _looked_over(path: Path, protocols: list[Protocol]) -> str:
    """What a file is, and its measures in percent where the answers are known."""
    from needlepoint.bench.metrics import composed_scores
    from needlepoint.bench.submissions import read_submission

    reasons = []
    for protocol in protocols:
        try:
            rankings = read_submission(path, protocol)
        except UsageError as error:
            reasons.append(str(error))
            continue
        scores = composed_scores(protocol, rankings)
        told = [f"{path}: a submission for {protocol.name} {protocol.split}"]
        told += [f"{name}  {100 * value:.2f}" for name, value in scores.items() if value == value]
        return "\n".join(told) + "\n"
    raise UsageError("; ".join(reasons))
