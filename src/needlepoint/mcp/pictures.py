"""Pictures as assistants get them: JPEG, bounded in pixels and in bytes."""

from __future__ import annotations

import io
import math

from PIL import Image, ImageDraw

from needlepoint.errors import UsageError
from needlepoint.library.browse import Shelf
from needlepoint.picture import Box, Picture

THUMB_SIDE, THUMB_BYTES = 96, 6_000
SHOWN_SIDE, SHOWN_BYTES = 1_568, 700_000
_QUALITIES = (85, 70, 55, 40, 25)
_MARGIN = 0.25  # of the longer side of a place, left round it


def shown(shelf: Shelf, number: int, side: int, box: Box | None) -> tuple[bytes, tuple[int, int]]:
    """A picture or a piece of it, its long side ``side`` pixels at most; nothing is enlarged.

    Returns:
        At most SHOWN_BYTES of JPEG, and its size in pixels.

    Raises:
        UsageError: no such picture, or the box does not meet it.
        PictureError: the file cannot be read.
    """
    picture = shelf.read(shelf.locate(number), at_least=side if box is None else 0)
    image = Image.fromarray(picture.pixels)
    return _bounded(image if box is None else image.crop(_corners(picture, box)), side, SHOWN_BYTES)


def thumb(shelf: Shelf, number: int, place: Box | None, *, close: bool) -> bytes:
    """A hit small enough to come with every answer, at most THUMB_BYTES of JPEG.

    Args:
        shelf: the library's pictures.
        number: id of the picture.
        place: where it matched, outlined; None for the whole.
        close: show the place and a little round it instead of the whole picture.

    Raises:
        PictureError: the file cannot be read.
    """
    file = shelf.locate(number)
    if close and place is not None:
        x, y, w, h = place
        room = max(w, h) * _MARGIN
        picture = shelf.read(file)
        wide = (x - room, y - room, w + 2 * room, h + 2 * room)
        image = Image.fromarray(picture.pixels).crop(_corners(picture, wide))
        return _bounded(image, THUMB_SIDE, THUMB_BYTES)[0]
    picture = shelf.read(file, at_least=THUMB_SIDE)
    image = Image.fromarray(picture.pixels)
    if place is not None:
        left, top, right, bottom = _corners(picture, place)
        # as wide as a pixel of the thumb
        width = max(1, round(max(image.size) / THUMB_SIDE))
        ImageDraw.Draw(image).rectangle((left, top, right - 1, bottom - 1), None, "red", width)
    return _bounded(image, THUMB_SIDE, THUMB_BYTES)[0]


def _corners(picture: Picture, box: Box) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a box in working pixels, cut to the picture."""
    x, y, w, h = box
    width, height = picture.size
    if not all(map(math.isfinite, box)) or w <= 0 or h <= 0:
        raise UsageError(f"`box` is x,y,w,h with w and h above 0. Received: {box}")
    if x >= width or y >= height or x + w <= 0 or y + h <= 0:
        raise UsageError(f"`box` must meet the picture, {width} x {height}. Received: {box}")
    rows, columns = picture.pixels.shape[:2]
    left = min(max(int(x / picture.scale_x), 0), columns - 1)
    top = min(max(int(y / picture.scale_y), 0), rows - 1)
    right = min(max(math.ceil((x + w) / picture.scale_x), left + 1), columns)
    bottom = min(max(math.ceil((y + h) / picture.scale_y), top + 1), rows)
    return left, top, right, bottom


def _bounded(image: Image.Image, side: int, most: int) -> tuple[bytes, tuple[int, int]]:
    """JPEG of an image within a side and a number of bytes, as good as that allows."""
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    while True:
        for quality in _QUALITIES:
            out = io.BytesIO()
            image.save(out, "JPEG", quality=quality)
            if out.tell() <= most:
                return out.getvalue(), image.size
        image = image.resize((max(1, image.width * 3 // 4), max(1, image.height * 3 // 4)))
