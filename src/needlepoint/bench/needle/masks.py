"""Masks written as run lengths, the way COCO files do (column by column, compressed to text).

``regions.masks.read_segmentation`` reads them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

BoolArray = npt.NDArray[np.bool_]
Box = tuple[int, int, int, int]


def encode(mask: BoolArray) -> str:
    """A mask [H, W] as COCO's compressed run lengths.

    Example:
        >>> encode(np.array([[False, True], [False, True]]))
        '22'
    """
    flat = np.concatenate([[False], mask.ravel(order="F")])
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    counts = np.diff(np.concatenate([[0], changes, [mask.size]])).tolist()
    return _packed(counts)


def encode_at(solid: BoolArray, corner: tuple[int, int], size: tuple[int, int]) -> str:
    """As ``encode``, of a mask [h, w] that lies in an empty one.

    Args:
        solid: the piece.
        corner: its left and top pixel.
        size: width and height of the whole mask.

    Example:
        >>> encode_at(np.array([[True]]), (1, 0), (2, 2))
        '211'
    """
    (left, top), (width, height) = corner, size
    strip = np.zeros((height, solid.shape[1]), dtype=np.bool_)
    strip[top : top + solid.shape[0]] = solid
    flat = np.concatenate([[False], strip.ravel(order="F"), [False]])
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + left * height
    ends = [] if len(changes) and changes[-1] == width * height else [width * height]
    return _packed(np.diff(np.concatenate([[0], changes, ends])).astype(int).tolist())


def box_of(mask: BoolArray) -> Box:
    """Box ``(x, y, w, h)`` around the true pixels of a mask [H, W] that has some."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    x, y = int(columns[0]), int(rows[0])
    return x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1


def _packed(counts: list[int]) -> str:
    # From the fourth number on the difference to the last but one is written; five bits a letter,
    # the sixth says that more follow.
    letters = []
    for place, count in enumerate(counts):
        value = count - counts[place - 2] if place > 2 else count
        more = True
        while more:
            bits = value & 0x1F
            value >>= 5
            more = value != (-1 if bits & 0x10 else 0)
            letters.append(chr((bits | 0x20 if more else bits) + 48))
    return "".join(letters)
