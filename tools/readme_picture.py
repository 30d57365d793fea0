"""Draw docs/pictures/demo.png: a question by picture and its first answers in the samples.

Run after `make demo`, with the environment of `make test` or any that has the package.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw

from needlepoint import Library

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "pictures" / "demo.png"
QUESTIONS = ("desk-lamp-08", "baby-bottle-11")
HITS = 4
TILE = (360, 270)
GAP = 8
AMBER = (255, 176, 0)


def fitted(path: Path, size: tuple[int, int]) -> Image.Image:
    """A picture reduced to fit, centred on light grey."""
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    image.thumbnail(size)
    tile = Image.new("RGB", size, (236, 236, 236))
    tile.paste(image, ((size[0] - image.width) // 2, (size[1] - image.height) // 2))
    return tile


def answered(path: str, box: tuple[float, float, float, float] | None) -> Image.Image:
    """A hit with its box, and a close-up of the box in the corner."""
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    tile = image.resize(TILE, Image.Resampling.LANCZOS)
    if box is None:
        return tile
    x, y, w, h = box
    scale_x, scale_y = TILE[0] / image.width, TILE[1] / image.height
    draw = ImageDraw.Draw(tile)
    frame = (x * scale_x, y * scale_y, (x + w) * scale_x, (y + h) * scale_y)
    draw.rectangle(frame, outline=AMBER, width=3)
    side = 92
    close = image.crop((int(x), int(y), int(x + w), int(y + h))).resize((side, side))
    corner = (TILE[0] - side - 4, TILE[1] - side - 4)
    if frame[2] > corner[0] and frame[3] > corner[1]:
        corner = (4, TILE[1] - side - 4)
    tile.paste(close, corner)
    draw.rectangle((*corner, corner[0] + side, corner[1] + side), outline=AMBER, width=2)
    return tile


def main() -> None:
    """Index the samples into a temporary library, ask, draw."""
    wide = TILE[1] + HITS * TILE[0] + HITS * GAP
    sheet = Image.new("RGB", (wide, len(QUESTIONS) * (TILE[1] + GAP) - GAP), "white")
    with tempfile.TemporaryDirectory() as folder, Library.open(folder, create=True) as library:
        library.index([ROOT / "samples" / "pictures"])
        for row, question in enumerate(QUESTIONS):
            top = row * (TILE[1] + GAP)
            asked = ROOT / "samples" / "queries" / f"{question}.jpg"
            sheet.paste(fitted(asked, (TILE[1], TILE[1])), (0, top))
            for i, hit in enumerate(library.search(asked, k=HITS)):
                left = TILE[1] + GAP + i * (TILE[0] + GAP)
                sheet.paste(answered(hit.path, hit.box), (left, top))
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    sheet.quantize(256, method=Image.Quantize.MEDIANCUT).save(target, optimize=True)


if __name__ == "__main__":
    main()
