"""The verb bench dense-set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from needlepoint.cli import output
from needlepoint.cli.door import Door, common
from needlepoint.errors import EXIT_HITS, UsageError
from needlepoint.results import printable

if TYPE_CHECKING:
    from needlepoint.bench.dense_set import Detector
    from needlepoint.outside.captioner import Captioner

_PATH = click.Path(path_type=Path)


@click.command("dense-set")
@click.argument("pictures", type=_PATH)
@click.argument("out", type=_PATH)
@click.option(
    "--detector",
    required=True,
    metavar="WHAT",
    help="annotations:FILE (COCO instances or truth.json) or owlv2:FOLDER.",
)
@click.option("--classes", type=_PATH, help="Names of classes, one a line (for owlv2).")
@click.option(
    "--captioner",
    default="prompt",
    show_default=True,
    metavar="WHAT",
    help="blip:FOLDER (BLIP or BLIP-2), or prompt: the prompt itself is the caption.",
)
@click.option("--share", type=float, default=0.10, show_default=True, help="Densest pictures kept.")
@click.option("--largest", type=float, default=0.15, show_default=True, help="Area of a thing.")
@click.option("--least-score", type=float, default=0.3, show_default=True, help="Of a detection.")
@click.option("--prompt", default="a photo of {a} {label}", show_default=True)
@click.option("--batch", type=click.IntRange(1), default=8, show_default=True)
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, mps.")
@common
def dense_set(
    door: Door,
    pictures: Path,
    out: Path,
    detector: str,
    classes: Path | None,
    captioner: str,
    share: float,
    largest: float,
    least_score: float,
    prompt: str,
    batch: int,
    device: str,
) -> int:
    """Make a Dense-Set of the PICTURES of a folder: captions of one small thing in a crowd.

    Writes OUT/dense_set.json in COCO's caption format, with boxes; the pictures are only read.
    What was detected and captioned is kept in OUT, so a stopped call goes on where it was.
    Run it with: needlepoint bench run --data dense-set=OUT

    \b
    Examples:
      needlepoint bench dense-set ~/Pictures OUT --detector owlv2:MODEL --classes classes.txt \\
        --captioner blip:MODEL2
      needlepoint bench dense-set val2014 OUT --detector annotations:instances_val2014.json
    """
    from needlepoint.bench.dense_set import Choice, build_dense_set

    built = build_dense_set(
        pictures,
        out,
        _detector(detector, classes, device),
        _captioner(captioner, device),
        choice=Choice(share, largest, least_score, prompt),
        batch=batch,
        report=door.talk.note,
    )
    for note in built.notes:
        door.talk.note(note)
    output.write(
        output.raw(
            f"{printable(str(built.file))}: {built.captions} captions for {built.pictures} of the "
            f"{built.densest} densest of {built.considered} pictures"
            + (f"; {built.unreadable} could not be read" if built.unreadable else "")
            + "\n"
        )
    )
    return EXIT_HITS


def _detector(text: str, classes: Path | None, device: str) -> Detector:
    from needlepoint.outside.labels import AnnotatedThings, OwlThings

    kind, _, place = text.partition(":")
    if kind == "annotations" and place:
        return AnnotatedThings(Path(place).expanduser())
    if kind == "owlv2" and place:
        if classes is None:
            raise UsageError("--detector owlv2:… needs --classes FILE, names one a line.")
        try:
            names = [line.strip() for line in classes.read_text(encoding="utf-8").splitlines()]
        except (OSError, ValueError) as error:
            raise UsageError(f"--classes {classes} cannot be read: {error}") from error
        return OwlThings(Path(place).expanduser(), list(filter(None, names)), device=device)
    raise UsageError(f"--detector must be annotations:FILE or owlv2:FOLDER. Received: {text!r}.")


def _captioner(text: str, device: str) -> Captioner:
    from needlepoint.bench.dense_set import PromptCaptioner
    from needlepoint.outside.captioner import BlipCaptioner

    kind, _, place = text.partition(":")
    if text == "prompt":
        return PromptCaptioner()
    if kind == "blip" and place:
        return BlipCaptioner(Path(place).expanduser(), device=device)
    raise UsageError(f"--captioner must be blip:FOLDER or prompt. Received: {text!r}.")
