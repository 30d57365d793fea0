"""Draw docs/pictures/composed/METHOD.jpg: a question each route answers, and one it does not.

    needlepoint bench run --suite composed --data EDITS/test --model … --out RUNS
    python tools/composed_pictures.py RUNS --model ADDRESS

Of the first line of each method in the suite, on test data. The success is the question answered at
once whose answer the picture alone and the words alone both rank lowest; the failure is the one
whose answer the route itself ranks lowest. Both need picture and words. What is drawn is thus the
best and the worst moment, not the average. Right answers are framed in green, those as good that
nobody labelled in amber; where none is among the first five, the best placed stands behind them.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import click
from PIL import Image, ImageDraw, ImageFont

from needlepoint.bench.composed_results import ComposedRun, load_composed
from needlepoint.bench.results import run_files
from needlepoint.bench.spec import read_spec
from needlepoint.bench.suite import COMPOSED
from needlepoint.encoders.address import open_encoder

PICTURES = Path(__file__).resolve().parent.parent / "docs" / "pictures" / "composed"
CONTROLS = ("reference-only", "text-only")
LINES = [line.method for line in COMPOSED.lines]
GAP, HEAD, FOOT, SHOWN = 6, 30, 20, 5
TILE = (160, 120)
GREEN, AMBER, GREY = (0, 160, 90), (240, 160, 0), (200, 200, 200)
INK = (30, 30, 30)
LARGEST = 60_000
"""Bytes of a picture."""


@click.command(help=__doc__)
@click.argument("runs", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--model", required=True, help="Address of the encoder.")
@click.option("--split", default="test", show_default=True)
def main(runs: Path, model: str, split: str) -> None:
    """Draw one picture for each method; its file is named after the method."""
    address = open_encoder(model).card.address
    loaded = [load_composed(path) for path in run_files(runs / "composed")]
    found = {
        run.method: run
        for run in loaded
        if run.key["encoder"] == address
        and run.key["split"] == split
        and run.key["protocol"].startswith("edits/")
    }
    alone = [found[name] for name in CONTROLS if name in found]
    if len(alone) < len(CONTROLS):
        raise click.ClickException(f"{runs} holds no run of {' and '.join(CONTROLS)} with {model}")
    PICTURES.mkdir(parents=True, exist_ok=True)
    drawn: set[str] = set()
    for line in LINES:
        name = line if line in CONTROLS else read_spec(line).method
        if line not in found or name in drawn:
            continue
        drawn.add(name)
        run = found[line]
        sheet = _sheet(run, *_moments(run, alone))
        target = PICTURES / f"{name}.jpg"
        for quality in range(85, 20, -5):
            sheet.save(target, quality=quality, optimize=True)
            if target.stat().st_size <= LARGEST:
                break
        click.echo(f"{target.name}: {target.stat().st_size} bytes")


def _moments(run: ComposedRun, alone: Sequence[ComposedRun]) -> tuple[int | None, int | None]:
    """The question a route answers that the halves answer worst, and the one it answers worst."""
    open_ones = [number for number, one in enumerate(run.answers) if one.ranks and not one.alone]
    worst = {n: min(other.answers[n].ranks[0] for other in alone) for n in open_ones}
    right = [n for n in open_ones if run.answers[n].ranks[0] == 1]
    wrong = [n for n in open_ones if run.answers[n].ranks[0] > 1]
    return (
        max(right, key=lambda n: (worst[n], -n), default=None),
        max(wrong, key=lambda n: (run.answers[n].ranks[0], -n), default=None),
    )


def _sheet(run: ComposedRun, success: int | None, failure: int | None) -> Image.Image:
    told = [("answered", success), ("not answered", failure)]
    rows = [(text, number) for text, number in told if number is not None]
    wide = (SHOWN + 2) * (TILE[0] + GAP) + 2 * GAP
    high = HEAD + TILE[1] + FOOT
    sheet = Image.new("RGB", (wide, len(rows) * high), (255, 255, 255))
    for row, (text, number) in enumerate(rows):
        _row(sheet, row * high, run, number, text)
    return sheet


def _row(sheet: Image.Image, top: int, run: ComposedRun, number: int, told: str) -> None:
    draw = ImageDraw.Draw(sheet)
    answer, asked = run.answers[number], run.protocol["questions"][number]
    change = textwrap.shorten(" / ".join(asked["changes"]), 110)
    draw.text((4, top + 4), f"{told}: “{change}”", INK, ImageFont.load_default(17))
    small = ImageFont.load_default(12)
    folder = Path(run.protocol["folder"])
    sheet.paste(_tile(folder / asked["file"], GREY), (0, top + HEAD))
    draw.text((4, top + HEAD + TILE[1] + 2), "the picture asked with", INK, small)
    shown = [(rank, place) for rank, (place, _) in enumerate(answer.top[:SHOWN], 1)]
    if answer.ranks[0] > SHOWN:
        shown.append((answer.ranks[0], answer.found[0]))
    for column, (rank, place) in enumerate(shown, 1):
        left = column * (TILE[0] + GAP) + 2 * GAP
        colour = GREEN if place in answer.found else AMBER if place in asked["near"] else GREY
        sheet.paste(_tile(folder / run.gallery[place], colour), (left, top + HEAD))
        draw.text((left + 4, top + HEAD + TILE[1] + 2), f"rank {rank}", INK, small)


def _tile(path: Path, colour: tuple[int, int, int]) -> Image.Image:
    """A picture in its frame, on white; that of an answer is broad."""
    tile = Image.new("RGB", TILE, (255, 255, 255))
    edge = 1 if colour == GREY else 5
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    image.thumbnail((TILE[0] - 2 * edge, TILE[1] - 2 * edge), Image.Resampling.LANCZOS)
    framed = Image.new("RGB", (image.width + 2 * edge, image.height + 2 * edge), colour)
    framed.paste(image, (edge, edge))
    tile.paste(framed, ((TILE[0] - framed.width) // 2, (TILE[1] - framed.height) // 2))
    return tile


if __name__ == "__main__":
    main()
