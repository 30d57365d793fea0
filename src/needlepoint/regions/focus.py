"""What a picture to ask with is about: a piece of it, or the thing on its plain background."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from needlepoint.errors import UsageError
from needlepoint.picture import Box, Picture, Pixels

PLAIN_SHARE = 0.9
"""A background is plain when this share of the border is near one colour."""
PLAIN_NEAR = 24
"""Largest difference of a channel (of 255) that still counts as near."""


def cut(picture: Picture, box: Box) -> Pixels:
    """The pixels of a box given in pixels of the upright original.

    Raises:
        UsageError: the box lies outside the picture.
    """
    width, height = picture.size
    x, y, w, h = box
    x0, y0 = max(0.0, x), max(0.0, y)
    x1, y1 = min(float(width), x + w), min(float(height), y + h)
    if x1 - x0 < 1 or y1 - y0 < 1:
        raise UsageError(
            f"`xywh` is {x:g},{y:g},{w:g},{h:g}, but the picture is {width} x {height} pixels. "
            "Give a box of at least one pixel inside it."
        )
    rows, cols = picture.pixels.shape[:2]
    left = min(int(x0 / picture.scale_x), cols - 1)
    top = min(int(y0 / picture.scale_y), rows - 1)
    right = max(left + 1, round(x1 / picture.scale_x))
    bottom = max(top + 1, round(y1 / picture.scale_y))
    return np.ascontiguousarray(picture.pixels[top:bottom, left:right])


def focus(picture: Picture) -> Pixels:
    """The picture cut to the thing it shows, where its background is transparent or plain.

    A cut-out on white asks for the thing, not for white around it. A picture with a real
    background is returned whole.
    """
    if "alpha_box" in picture.extra:
        return cut(picture, picture.extra["alpha_box"])
    thing = thing_on_plain(picture.pixels)
    if thing is None:
        return picture.pixels
    top, left, bottom, right = thing
    return np.ascontiguousarray(picture.pixels[top:bottom, left:right])


def thing_on_plain(pixels: Pixels) -> tuple[int, int, int, int] | None:
    """Rows and columns (top, left, bottom, right) of what stands on a plain background, or None."""
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]).astype(np.int16)
    colour = np.median(border, axis=0)
    near = np.abs(border - colour).max(axis=1) <= PLAIN_NEAR
    if near.mean() < PLAIN_SHARE:
        return None
    thing: npt.NDArray[np.bool_] = (
        np.abs(pixels.astype(np.int16) - colour.astype(np.int16)).max(axis=2) > PLAIN_NEAR
    )
    # A line must hold more than a stray pixel: JPEG leaves specks on plain grounds.
    rows = np.flatnonzero(thing.sum(axis=1) > max(1, pixels.shape[1] // 200))
    cols = np.flatnonzero(thing.sum(axis=0) > max(1, pixels.shape[0] // 200))
    if len(rows) < 8 or len(cols) < 8:
        return None
    return int(rows[0]), int(cols[0]), int(rows[-1]) + 1, int(cols[-1]) + 1
