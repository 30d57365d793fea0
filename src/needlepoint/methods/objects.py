"""Opens a source of objects by one line of text, and finds them with models from outside."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from needlepoint.errors import UsageError
from needlepoint.outside.detector import Detector, OwlDetector
from needlepoint.outside.segmenter import SamSegmenter, Segmenter
from needlepoint.parts import Encoder
from needlepoint.picture import Picture
from needlepoint.regions.attention import suppress
from needlepoint.regions.ncut import CutObjects
from needlepoint.regions.objects import AnnotatedObjects, Objects, ObjectSource, WindowObjects
from needlepoint.regions.recipe import Recipe

ALLOWED = (
    "windows:N (N = 4, 9, 16 …), ncut, ncut:N (N masks at most), annotations:FILE, owlv2:FOLDER, "
    "owlv2:FOLDER+sam:FOLDER"
)

THRESHOLD = 0.2
"""Objectness above which a box counts (MaO's released code)."""
OVERLAP = 0.4
"""Largest intersection over union of two boxes (MaO's released code)."""


@dataclass(frozen=True)
class DetectedObjects:
    """Boxes of a detector that hardly overlap, best first, and masks where a segmenter is given.

    Corners become whole pixels towards zero, as released. Scores belong to the boxes that are
    kept; the released code hands back those of all boxes.
    """

    name: str
    detector: Detector
    segmenter: Segmenter | None = None

    def find(self, encoder: Encoder, pictures: Sequence[Picture]) -> list[Objects]:
        """See ``ObjectSource``."""
        return [self._one(picture) for picture in pictures]

    def _one(self, picture: Picture) -> Objects:
        pixels = picture.pixels
        rows, cols = pixels.shape[:2]
        found = self.detector.detect(pixels)
        corners = np.clip(found.boxes.astype(np.int64), 0, [cols, rows, cols, rows])
        real = (found.scores > THRESHOLD) & (corners[:, 2:] > corners[:, :2]).all(axis=1)
        corners, scores = corners[real], found.scores[real]
        kept = suppress(corners, scores, OVERLAP, len(corners))
        corners, scores = corners[kept], scores[kept]
        masks = None
        if self.segmenter is not None:
            masks = self.segmenter.segment(pixels, corners.astype(np.float32))
        boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
        scale = np.array([picture.scale_x, picture.scale_y] * 2)
        return Objects((boxes * scale).astype(np.float32), scores, masks)


def open_objects(text: str) -> ObjectSource:
    """The source that a text names.

    Args:
        text: ``windows:9``; ``ncut`` (masks found in the encoder's own map); ``annotations:FILE``
            (COCO's JSON or the ``truth.json`` of a generated set); ``owlv2:FOLDER``, with
            ``+sam:FOLDER`` for masks.

    Raises:
        UsageError: another kind, or a file that cannot be read.
        ModelUnavailable: files of a detector or segmenter are missing.

    Example:
        >>> open_objects("windows:9").name, open_objects("ncut").name
        ('windows:9', 'ncut')
    """
    kind, _, rest = text.strip().partition(":")
    if kind == "windows":
        return WindowObjects(Recipe.parse(text).count)
    if kind == "annotations" and rest:
        return AnnotatedObjects.read(rest)
    if kind == "ncut" and re.fullmatch(r"[1-9]\d?|", rest):
        return CutObjects(int(rest)) if rest else CutObjects()
    if kind == "owlv2" and rest:
        detector, _, segmenter = rest.partition("+sam:")
        masks = SamSegmenter(segmenter) if segmenter else None
        return DetectedObjects(text.strip(), OwlDetector(detector), masks)
    raise UsageError(f"objects is {text!r}. Allowed: {ALLOWED}.")
