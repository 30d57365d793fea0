"""Squares around objects, with their masks cut alike (MaO).

Shapes: R objects, S side of the square an encoder sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from needlepoint.parts import Floats
from needlepoint.picture import Pixels
from needlepoint.regions.masks import Mask, resize_mask

_Array = TypeVar("_Array", bound=npt.NDArray[np.generic])


@dataclass(frozen=True, slots=True)
class Square:
    """A square in whole pixels; it may reach beyond the picture, which is padded with zeros."""

    left: int
    top: int
    side: int

    def cut(self, array: _Array) -> _Array:
        """The square of pixels ``[H, W, ...]`` or of a mask ``[H, W]``: ``[side, side, ...]``."""
        height, width = array.shape[:2]
        made = np.zeros((self.side, self.side, *array.shape[2:]), array.dtype)
        top, left = max(self.top, 0), max(self.left, 0)
        bottom, right = min(self.top + self.side, height), min(self.left + self.side, width)
        inside = array[top:bottom, left:right]
        made[top - self.top : bottom - self.top, left - self.left : right - self.left] = inside
        return made  # type: ignore[return-value]


def square_around(box: Floats, width: int, height: int, min_side: int) -> Square:
    """The square to cut for an object (MaO, section 3.1).

    Its side is the longer side of the box, but at least ``min_side`` (the encoder's input, so
    that small objects are not enlarged and keep some of what is around them). It is centred on
    the box, shifted to lie inside the picture where it fits, and holds all of a side of the
    picture where it does not.

    Args:
        box: float32 ``[4]`` x, y, w, h in pixels.
        width, height: of the picture.
        min_side: pixels.

    Example:
        >>> square_around(np.float32([90, 10, 8, 4]), 100, 60, 20)
        Square(left=80, top=2, side=20)
    """
    x, y, w, h = (float(v) for v in box)
    side = max(int(np.ceil(max(w, h))), min_side)

    def start(centre: float, length: int) -> int:
        wanted = int(np.floor(centre - side / 2 + 0.5))
        return min(max(wanted, min(0, length - side)), max(0, length - side))

    return Square(start(x + w / 2, width), start(y + h / 2, height), side)


@dataclass(frozen=True, slots=True)
class ReleasedCrops:
    """How the released code prepares a picture and its masks (``smart_crop``).

    Everything is resized to ``size`` x ``size`` pixels first, so that small objects are cut from a
    small picture, the opposite of what the paper says. The margin is ``share`` of the longer side
    of the mask's box, or ``pixels`` where ``share`` is 0; the last row and column of the box are
    lost.
    """

    size: int
    filter: Image.Resampling
    share: float
    pixels: int

    def cut(self, picture: Pixels, masks: Sequence[Mask]) -> list[tuple[Pixels, Mask] | None]:
        """For each mask the crop uint8 ``[S, S, 3]`` and its mask; None for a mask without pixels.

        Args:
            picture: uint8 ``[H, W, 3]``.
            masks: R times bool ``[H, W]``.
        """
        small = self.resize(picture)
        return [self._one(small, resize_mask(mask, self.size, self.size)) for mask in masks]

    def resize(self, picture: Pixels) -> Pixels:
        """The whole picture squeezed to ``[S, S, 3]``."""
        image = Image.fromarray(picture)
        return np.asarray(image.resize((self.size, self.size), self.filter))

    def _one(self, small: Pixels, mask: Mask) -> tuple[Pixels, Mask] | None:
        if not mask.any():
            return None
        rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        top, bottom, left, right = int(rows[0]), int(rows[-1]), int(cols[0]), int(cols[-1])
        margin = int(self.share * max(bottom - top, right - left)) or self.pixels
        top, left = max(top - margin, 0), max(left - margin, 0)
        bottom = max(min(bottom + margin, self.size), top + 1)
        right = max(min(right + margin, self.size), left + 1)
        cut = mask[top:bottom, left:right]
        return self.resize(small[top:bottom, left:right]), resize_mask(cut, self.size, self.size)
