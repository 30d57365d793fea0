"""Where the objects of a picture are: grids of windows and annotations.

``methods/objects.py`` opens every kind of source by one line of text. Shapes: N pictures, R
objects, h and w sides of the working pixels.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, Protocol

import numpy as np

from needlepoint.errors import UsageError
from needlepoint.parts import Encoder, Floats
from needlepoint.picture import Picture
from needlepoint.regions.describe import grid_boxes
from needlepoint.regions.masks import Mask, read_segmentation, resize_mask


@dataclass(frozen=True, slots=True)
class Objects:
    """R objects of one picture.

    ``boxes`` float32 ``[R, 4]`` x, y, w, h in pixels of the upright original; ``scores`` float32
    ``[R]``, in the same order; ``masks`` R times bool ``[h, w]`` in working pixels, None where
    only boxes are known.
    """

    boxes: Floats
    scores: Floats
    masks: list[Mask] | None = None

    def __post_init__(self) -> None:
        counts = {len(self.boxes), len(self.scores)}
        counts |= set() if self.masks is None else {len(self.masks)}
        if self.boxes.ndim != 2 or self.boxes.shape[1] != 4 or len(counts) > 1:
            raise UsageError(
                f"objects: boxes {self.boxes.shape}, scores {self.scores.shape} and "
                f"{'no' if self.masks is None else len(self.masks)} masks; boxes must be [R, 4] "
                "and all must be as many"
            )

    @classmethod
    def none(cls) -> Objects:
        """No object at all."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))


class ObjectSource(Protocol):
    """Says which objects a picture shows. Nothing it returns depends on the other pictures."""

    @property
    def name(self) -> str:
        """The text that opens this source again."""
        ...

    def find(self, encoder: Encoder, pictures: Sequence[Picture]) -> list[Objects]:
        """The objects of each of N pictures.

        Raises:
            UsageError: the encoder lacks what this source needs, or a picture is not known to it.
        """
        ...


@dataclass(frozen=True, slots=True)
class WindowObjects:
    """``windows:N``: a grid of N half-overlapping windows, each with score 1, without masks."""

    count: int

    @property
    def name(self) -> str:
        """See ``ObjectSource``."""
        return f"windows:{self.count}"

    def find(self, encoder: Encoder, pictures: Sequence[Picture]) -> list[Objects]:
        """See ``ObjectSource``."""
        found = []
        for picture in pictures:
            boxes = np.array(grid_boxes(*picture.size, self.count), np.float32)
            found.append(Objects(boxes, np.ones(len(boxes), np.float32)))
        return found


@dataclass(frozen=True, slots=True)
class _Known:
    """What an annotation file says of one picture."""

    file: str
    width: int
    height: int
    boxes: list[list[float]] = field(default_factory=list)
    segments: list[Any] = field(default_factory=list)
    layered: bool = False


@dataclass(frozen=True, slots=True)
class AnnotatedObjects:
    """``annotations:FILE``: COCO's JSON, or the ``truth.json`` of a generated set.

    A picture is known by its file name, and by more of its path where the file lists that name
    more than once. COCO's crowds (``iscrowd``) are no objects. In a generated set what stands in
    front is taken out of the masks behind it.
    """

    path: str
    known: dict[str, list[_Known]]

    @classmethod
    def read(cls, path: str) -> AnnotatedObjects:
        """Read an annotation file.

        Raises:
            UsageError: no such file, no JSON, or neither of the two forms.
        """
        try:
            told = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(
                f"objects annotations:{path}: the file cannot be read as JSON ({error}). Give "
                "COCO's instances_*.json or the truth.json of a generated set."
            ) from error
        if isinstance(told, dict) and {"images", "annotations"} <= told.keys():
            rows = _coco(told)
        elif isinstance(told, dict) and "pictures" in told:
            rows = [_scene(row) for row in told["pictures"]]
        else:
            raise UsageError(
                f"objects annotations:{path}: neither COCO (images, annotations) nor the "
                "truth.json of a generated set (pictures)."
            )
        known: dict[str, list[_Known]] = {}
        for row in rows:
            known.setdefault(PurePath(row.file).name, []).append(row)
        return cls(path, known)

    @property
    def name(self) -> str:
        """See ``ObjectSource``."""
        return f"annotations:{self.path}"

    def find(self, encoder: Encoder, pictures: Sequence[Picture]) -> list[Objects]:
        """See ``ObjectSource``."""
        return [self._objects(picture) for picture in pictures]

    def _objects(self, picture: Picture) -> Objects:
        row = self._row(picture)
        if not row.boxes:
            return Objects.none()
        width, height = picture.size
        if (row.width, row.height) != (width, height):
            raise UsageError(
                f"objects {self.name}: {row.file} is {row.width} x {row.height} pixels there, but "
                f"{picture.source} has {width} x {height}. Boxes must belong to these pictures."
            )
        boxes = np.array(row.boxes, np.float32)
        return Objects(boxes, np.ones(len(boxes), np.float32), _masks(row, picture))

    def _row(self, picture: Picture) -> _Known:
        path = PurePath(picture.source)
        rows = self.known.get(path.name, [])
        if len(rows) > 1:
            rows = [row for row in rows if path.parts[-len(_parts(row)) :] == _parts(row)]
        if len(rows) != 1:
            raise UsageError(
                f"objects {self.name}: picture {picture.source!r} is listed {len(rows)} times "
                "there. Every picture must be listed once, also one without objects."
            )
        return rows[0]


def _parts(row: _Known) -> tuple[str, ...]:
    return PurePath(row.file).parts


def _coco(told: dict[str, Any]) -> list[_Known]:
    rows = {
        image["id"]: _Known(image["file_name"], image["width"], image["height"])
        for image in told["images"]
    }
    for one in told["annotations"]:
        if one.get("iscrowd", 0) or one["image_id"] not in rows:
            continue
        row = rows[one["image_id"]]
        row.boxes.append([float(v) for v in one["bbox"]])
        row.segments.append(one.get("segmentation"))
    return list(rows.values())


def _scene(told: dict[str, Any]) -> _Known:
    row = _Known(told["file"], told["width"], told["height"], layered=True)
    for one in told["objects"]:
        row.boxes.append([float(v) for v in one["box"]])
        row.segments.append(one.get("mask"))
    return row


def _masks(row: _Known, picture: Picture) -> list[Mask] | None:
    """Masks in working pixels; an object without one gets its box, all without one give None."""
    read = [read_segmentation(one, row.width, row.height) for one in row.segments]
    if all(mask is None for mask in read):
        return None
    masks = [
        box_mask(np.array(box, np.float32), row.width, row.height) if mask is None else mask
        for mask, box in zip(read, row.boxes, strict=True)
    ]
    if row.layered:
        front = np.zeros((row.height, row.width), np.bool_)
        for place in range(len(masks) - 1, -1, -1):
            seen = masks[place] & ~front
            front |= masks[place]
            masks[place] = seen
    rows, cols = picture.pixels.shape[:2]
    return [resize_mask(mask, cols, rows) for mask in masks]


def box_mask(box: Floats, width: int, height: int) -> Mask:
    """The pixels of ``[height, width]`` whose centres lie in a box x, y, w, h.

    Example:
        >>> box_mask(np.float32([1, 0, 2, 1]), 4, 2).astype(int).tolist()
        [[0, 1, 1, 0], [0, 0, 0, 0]]
    """
    x, y, w, h = (float(v) for v in box)
    cols, rows = np.arange(width) + 0.5, np.arange(height) + 0.5
    inside: Mask = ((rows >= y) & (rows < y + h))[:, None] & ((cols >= x) & (cols < x + w))
    return inside
