"""Draw docs/pictures/METHOD.jpg: a question a method answers and whole-picture search misses.

    needlepoint bench run --suite fine-grained --data SCENES --model … --out RUNS
    python tools/method_pictures.py RUNS lare calibclip mao dense-text

Of all questions of the runs on test data, the one is drawn whose right picture the method ranks
first while the whole picture ranks it lowest: among questions for a thing before those for a whole
scene, and among those whose answering box lies in the thing before others. What is drawn is thus
the method's best moment, not its average.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from PIL import Image, ImageDraw, ImageFont

from needlepoint.bench.results import Run, load_run
from needlepoint.bench.scoring import Answer
from needlepoint.picture import Box

PICTURES = Path(__file__).resolve().parent.parent / "docs" / "pictures"
TILE = (480, 360)
GAP, HEAD, FOOT = 10, 34, 50
AMBER, GREEN, INK = (255, 176, 0), (0, 200, 120), (30, 30, 30)


@click.command(help=__doc__)
@click.argument("runs", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("methods", nargs=-1, required=True)
def main(runs: Path, methods: tuple[str, ...]) -> None:
    """Draw one picture for each method line; its file is named after the method."""
    found = [load_run(path) for path in sorted(runs.glob("*--*.json"))]
    for line in methods:
        best = max(_moments(found, line), key=lambda one: one[0], default=None)
        if best is None:
            raise click.ClickException(
                f"no run of {line} on test data puts a right picture first that whole misses"
            )
        _, whole, run, number = best
        target = PICTURES / f"{line.partition(':')[0].partition('+')[0]}.jpg"
        _draw(whole, run, number).save(target, quality=88)
        asked = _question(run, number)
        click.echo(
            f"{target.name}: {run.name}, {run.encoder['title']}: {asked['text'] or asked['file']}; "
            f"whole picture: rank {whole.answers[number].ranks[0]}"
        )


def _moments(
    runs: Sequence[Run], line: str
) -> list[tuple[tuple[bool, bool, int, int], Run, Run, int]]:
    """(worth, run of the whole picture, run of the method, question) of all that qualify."""
    wholes = {
        (run.encoder["address"], run.key["protocol"], run.key["split"]): run
        for run in runs
        if run.method == "whole"
    }
    found = []
    for run in runs:
        whole = wholes.get((run.encoder["address"], run.key["protocol"], run.key["split"]))
        if run.method != line or whole is None or run.key["split"] != "test":
            continue
        for number, (ours, theirs) in enumerate(zip(run.answers, whole.answers, strict=True)):
            if ours.ranks and ours.ranks[0] == 1 and theirs.ranks[0] > 1:
                place = ours.places.get(ours.top[0][0])
                inside = place is not None and _inside(place, run, number, ours)
                thing = not run.key["protocol"].endswith("/whole")
                worth = (thing, inside, theirs.ranks[0], -number)
                found.append((worth, whole, run, number))
    return found


def _question(run: Run, number: int) -> dict[str, Any]:
    asked: dict[str, Any] = run.protocol["questions"][number]
    return asked


def _true_boxes(run: Run, number: int, item: int) -> list[Box]:
    boxes = _question(run, number).get("boxes", {})
    return [tuple(box) for box in boxes.get(run.gallery[item].id, [])]


def _inside(place: Box, run: Run, number: int, answer: Answer) -> bool:
    x, y = place[0] + place[2] / 2, place[1] + place[3] / 2
    true = _true_boxes(run, number, answer.top[0][0])
    return any(b[0] <= x <= b[0] + b[2] and b[1] <= y <= b[1] + b[3] for b in true)


def _draw(whole: Run, run: Run, number: int) -> Image.Image:
    sheet = Image.new("RGB", (2 * TILE[0] + GAP, HEAD + TILE[1] + FOOT), (255, 255, 255))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(16)
    asked = _question(run, number)
    text = asked.get("text") or "this picture:"
    draw.text((4, 8), f"“{text}”" if asked.get("text") else text, INK, font)
    if asked.get("file"):
        with Image.open(Path(run.protocol["folder"]) / asked["file"]) as opened:
            thing = opened.convert("RGBA")
        thing.thumbnail((HEAD * 3, HEAD - 2))
        sheet.paste(thing, (110, 1), thing)
    rank = whole.answers[number].ranks[0]
    ours = run.answers[number]
    where = ", and where (amber)" if ours.places.get(ours.top[0][0]) else ""
    sides = (
        (whole, f"Whole picture: first answer. The right picture comes at rank {rank}."),
        (run, f"{run.method}: first answer{where}. The thing asked for is green."),
    )
    for column, (one, told) in enumerate(sides):
        left = column * (TILE[0] + GAP)
        sheet.paste(_tile(one, number), (left, HEAD))
        for row, part in enumerate(textwrap.wrap(told, 60)):
            draw.text((left + 4, HEAD + TILE[1] + 4 + 20 * row), part, INK, font)
    return sheet


def _tile(run: Run, number: int) -> Image.Image:
    """The first answer of a run with the box that answered and the true ones."""
    item = run.answers[number].top[0][0]
    with Image.open(Path(run.protocol["folder"]) / run.gallery[item].file) as opened:
        image = opened.convert("RGB")
    tile = image.resize(TILE, Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(tile)
    scale = TILE[0] / image.width, TILE[1] / image.height
    marks = [(box, GREEN) for box in _true_boxes(run, number, item)]
    place = run.answers[number].places.get(item)
    for box, colour in [*marks, *([(place, AMBER)] if place else [])]:
        x, y, w, h = box
        frame = (x * scale[0], y * scale[1], (x + w) * scale[0], (y + h) * scale[1])
        draw.rectangle(frame, outline=colour, width=3)
    return tile


if __name__ == "__main__":
    main()
