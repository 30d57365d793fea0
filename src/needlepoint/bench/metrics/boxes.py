"""Boxes ``(x, y, w, h)`` against true boxes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from needlepoint.errors import UsageError
from needlepoint.picture import Box


def iou(first: Box, second: Box) -> float:
    """Intersection over union of two boxes ``(x, y, w, h)``; 0.0 when either is empty.

    Example:
        >>> iou((0, 0, 2, 2), (1, 0, 2, 2))
        0.3333333333333333
    """
    for box in (first, second):
        _check_box(box)
    width = min(first[0] + first[2], second[0] + second[2]) - max(first[0], second[0])
    height = min(first[1] + first[3], second[1] + second[3]) - max(first[1], second[1])
    if width <= 0 or height <= 0:
        return 0.0
    inner = width * height
    outer = first[2] * first[3] + second[2] * second[3] - inner
    return min(1.0, inner / outer) if outer > 0 else 0.0


def centre_inside(box: Box, target: Box) -> bool:
    """Whether the centre of ``box`` lies in ``target`` (edges count), both ``(x, y, w, h)``.

    Example:
        >>> centre_inside((4, 4, 2, 2), (0, 0, 5, 5))
        True
    """
    for each in (box, target):
        _check_box(each)
    x, y = box[0] + box[2] / 2, box[1] + box[3] / 2
    return target[0] <= x <= target[0] + target[2] and target[1] <= y <= target[1] + target[3]


def box_hit_rate(
    boxes: Sequence[Box | None],
    targets: Sequence[Sequence[Box]],
    *,
    least_iou: float | None = None,
) -> float:
    """Share of answers whose box finds one of the object's true boxes.

    Args:
        boxes: one box per answer; ``None`` (the whole picture) is a miss.
        targets: for each answer the true boxes in that picture.
        least_iou: ``None``: the box's centre must lie in a true box (edges count); a number in
            0 (exclusive) to 1: intersection over union with a true box must reach it.

    Returns:
        A number in 0 to 1 over the answers with at least one true box; ``nan`` when there is none.

    Example:
        >>> box_hit_rate([(0, 0, 2, 2)], [[(0, 0, 4, 4)]], least_iou=0.5)
        0.0
    """
    if len(boxes) != len(targets):
        raise UsageError(f"boxes has {len(boxes)} entries and targets {len(targets)}")
    if least_iou is not None and not 0 < least_iou <= 1:
        raise UsageError(f"least_iou={least_iou!r} must be above 0 and at most 1")

    def found(box: Box, target: Box) -> bool:
        if least_iou is None:
            return centre_inside(box, target)
        return iou(box, target) >= least_iou

    hits = [
        box is not None and any(found(box, target) for target in true)
        for box, true in zip(boxes, targets, strict=True)
        if true
    ]
    return sum(hits) / len(hits) if hits else math.nan


def _check_box(box: Box) -> None:
    if len(box) != 4 or not all(map(math.isfinite, box)) or box[2] < 0 or box[3] < 0:
        raise UsageError(f"box={box!r} must be (x, y, w, h) with w and h not negative")
