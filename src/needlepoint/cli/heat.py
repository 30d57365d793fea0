"""The verb that shows where: heat."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from needlepoint.cli import output
from needlepoint.cli.door import Door, common
from needlepoint.errors import EXIT_HITS, UsageError
from needlepoint.intake.decode import decode
from needlepoint.regions.heat import Heat

SIDE = 1024
"""Long side in pixels of the picture that is written."""


@click.command("heat")
@click.argument("item")
@click.argument("question")
@click.option("-o", "--output", "target", metavar="FILE", required=True, help="PNG or JPEG.")
@click.option("--model", metavar="ADDR", help="Ask this encoder.")
@common
def heat(door: Door, item: str, question: str, target: str, model: str | None) -> int:
    """Draw where in the picture ITEM (@1234) the QUESTION is answered.

    QUESTION is words, a picture or a piece of one.

    Every window of the picture is compared, not only those the library keeps. Prints the path
    written, the best box as x,y,w,h and its score.

    \b
    Example:
      needlepoint heat @12 ./duck.jpg -o heat.png
    """
    number = item.removeprefix("@")
    if not number.isascii() or not number.isdigit():
        raise UsageError(f"ITEM must be @ and a number, such as @12. Received: {item!r}.")
    with door.open() as library:
        found = library.heat(int(number), question, model=model)
        path = library.picture(int(number))["path"]
    draw(found, path, Path(target))
    box = ",".join(f"{round(v)}" for v in found.box)
    output.write(output.raw(f"{target}\t{box}\t{found.score:.4f}\n"))
    return EXIT_HITS


def draw(found: Heat, path: str, target: Path) -> None:
    """The picture with its warm places lit, the rest dimmed, and the best window framed."""
    from PIL import Image, ImageDraw

    picture = Image.fromarray(decode(path, at_least=SIDE).pixels)
    picture.thumbnail((SIDE, SIDE))
    low, high = np.percentile(found.values, 50), found.values.max()
    warm = np.clip((found.values - low) / max(float(high - low), 1e-6), 0, 1)
    mask = Image.fromarray((warm * 255).astype(np.uint8)).resize(
        picture.size, Image.Resampling.BICUBIC
    )
    dim = Image.blend(picture.convert("L").convert("RGB"), Image.new("RGB", picture.size), 0.55)
    lit = Image.composite(picture, dim, mask)
    scale_x, scale_y = picture.width / found.width, picture.height / found.height
    x, y, w, h = found.box
    frame = (x * scale_x, y * scale_y, (x + w) * scale_x, (y + h) * scale_y)
    ImageDraw.Draw(lit).rectangle(frame, outline=(255, 176, 0), width=4)
    try:
        lit.save(target)
    except (OSError, ValueError) as error:
        raise UsageError(f"`--output` is {str(target)!r}: {error}. Give a .png or .jpg.") from None
