"""Masks as annotation files write them: run lengths (COCO, column by column) and polygons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from needlepoint.errors import UsageError

Mask = npt.NDArray[np.bool_]
"""bool ``[H, W]``, True on the object."""


def read_segmentation(told: Any, width: int, height: int) -> Mask | None:
    """A COCO ``segmentation`` as a mask ``[height, width]``; None where it holds none.

    Args:
        told: a list of polygons ``[x, y, x, y, ...]``, a dictionary with ``counts`` (a list, or
            COCO's compressed text) and ``size`` (height, width), or the compressed text alone.
        width, height: pixels of the annotated picture.

    Raises:
        UsageError: run lengths that do not add up to the picture, or a size that is not its.

    Example:
        >>> read_segmentation({"counts": [2, 2], "size": [2, 2]}, 2, 2).tolist()
        [[False, True], [False, True]]
    """
    if not told:
        return None
    if isinstance(told, list):
        return draw_polygons(told, width, height)
    if isinstance(told, dict):
        rows, cols = (int(side) for side in told.get("size", (height, width)))
        if (cols, rows) != (width, height):
            raise UsageError(
                f"a mask of {cols} x {rows} pixels belongs to a picture of {width} x {height}; "
                "masks must have the size of their picture"
            )
        told = told["counts"]
    runs = unpack_runs(told) if isinstance(told, str) else [int(run) for run in told]
    if sum(runs) != width * height or min(runs) < 0:
        raise UsageError(
            f"the run lengths of a mask add up to {sum(runs)} pixels, but its picture has "
            f"{width} x {height}; they must cover it exactly, column by column"
        )
    values = np.arange(len(runs)) % 2 == 1
    return np.ascontiguousarray(np.repeat(values, runs).reshape((height, width), order="F"))


def draw_polygons(polygons: Sequence[Sequence[float]], width: int, height: int) -> Mask:
    """Polygons, each ``x, y, x, y, ...`` in pixels, filled into one mask ``[height, width]``."""
    canvas = Image.new("1", (width, height))
    pen = ImageDraw.Draw(canvas)
    for polygon in polygons:
        corners = list(zip(polygon[::2], polygon[1::2], strict=False))
        if len(corners) >= 3:
            pen.polygon(corners, fill=1)
    return np.array(canvas, dtype=np.bool_)


def unpack_runs(text: str) -> list[int]:
    """Run lengths of COCO's compressed text: five bits a letter, the sixth says more follow.

    From the fourth number on, what is written is the difference to the last but one.

    Example:
        >>> unpack_runs("22")
        [2, 2]
    """
    runs: list[int] = []
    value = shift = 0
    for letter in text:
        bits = ord(letter) - 48
        value |= (bits & 0x1F) << shift
        shift += 5
        if not bits & 0x20:
            if bits & 0x10:
                value -= 1 << shift
            runs.append(value + runs[-2] if len(runs) > 2 else value)
            value = shift = 0
    return runs


def resize_mask(mask: Mask, width: int, height: int) -> Mask:
    """The mask at another size, nearest neighbour, centres of pixels on centres.

    Example:
        >>> resize_mask(np.array([[True, False]]), 4, 1).tolist()
        [[True, True, False, False]]
    """
    if mask.shape == (height, width):
        return mask
    rows = ((np.arange(height) + 0.5) * (mask.shape[0] / height)).astype(np.int64)
    cols = ((np.arange(width) + 0.5) * (mask.shape[1] / width)).astype(np.int64)
    return np.ascontiguousarray(mask[rows[:, None], cols])
