"""Crops through the encoder by themselves: one way of cutting for every method that re-encodes.

Shapes: N pictures, R regions, D dim.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from needlepoint.parts import Encoder, EncoderCard, Floats
from needlepoint.picture import Picture, Pixels
from needlepoint.regions.describe import Description

Propose = Callable[[Encoder, Sequence[Picture]], list[Floats]]
"""Boxes float32 ``[R, 4]`` (x, y, w, h in pixels of the upright original) of each of N pictures."""

MIN_SIDE = 32.0
"""Pixels of the original below which a side of a crop is too small to be encoded (LARE)."""

_BATCH = 64  # crops in one call of the encoder: 64 x 224 x 224 x 3 float32 are 39 MB


@dataclass(frozen=True)
class CropDescriber:
    """The whole picture and the crops that ``propose`` names, each through the encoder.

    A crop with a side below ``min_side`` pixels of the original is dropped with its box, so that
    vectors and boxes stay aligned. A crop is squeezed to the square the encoder sees (bicubic),
    as LARE does, so that nothing of it is cut away; ``squeeze`` False leaves it to an encoder that
    takes any shape.
    """

    recipe: str
    propose: Propose
    min_side: float = MIN_SIDE
    squeeze: bool = True

    def side(self, card: EncoderCard) -> int:
        """0: crops are cut from the full size."""
        return 0

    def describe(self, encoder: Encoder, pictures: Sequence[Picture]) -> list[list[Description]]:
        """See ``Describer``."""
        proposed = [
            self._kept(boxes, picture)
            for boxes, picture in zip(self.propose(encoder, pictures), pictures, strict=True)
        ]
        card = encoder.card
        squeeze = self.squeeze or card.resize != "dense"
        views: list[Pixels] = []
        for picture, boxes in zip(pictures, proposed, strict=True):
            views.append(picture.pixels)
            crops = [cut_box(picture, box) for box in boxes]
            views += [squeezed(crop, card.input_size) for crop in crops] if squeeze else crops
        vectors = encode_all(encoder, views)
        found, start = [], 0
        for boxes in proposed:
            stop = start + 1 + len(boxes)
            found.append(
                [
                    Description(space, rows[start], rows[start + 1 : stop], boxes)
                    for space, rows in vectors.items()
                ]
            )
            start = stop
        return found

    def _kept(self, boxes: Floats, picture: Picture) -> Floats:
        """Boxes cut to the picture, without those that are too small."""
        width, height = picture.size
        low = np.maximum(boxes[:, :2], 0)
        high = np.minimum(boxes[:, :2] + boxes[:, 2:], np.array([width, height], np.float32))
        inside = np.concatenate([low, high - low], axis=1).astype(np.float32)
        kept: Floats = inside[(inside[:, 2:] >= self.min_side).all(axis=1)]
        return kept


def cut_box(picture: Picture, box: Floats) -> Pixels:
    """The working pixels of a box float32 ``[4]`` in original pixels; at least one pixel."""
    x, y, w, h = (float(v) for v in box)
    rows, cols = picture.pixels.shape[:2]
    left = min(round(x / picture.scale_x), cols - 1)
    top = min(round(y / picture.scale_y), rows - 1)
    right = max(left + 1, round((x + w) / picture.scale_x))
    bottom = max(top + 1, round((y + h) / picture.scale_y))
    return np.ascontiguousarray(picture.pixels[top:bottom, left:right])


def squeezed(crop: Pixels, side: int) -> Pixels:
    """A crop as a square of ``side`` pixels (bicubic), whatever its shape."""
    return np.asarray(Image.fromarray(crop).resize((side, side), Image.Resampling.BICUBIC))


def encode_all(encoder: Encoder, views: Sequence[Pixels]) -> dict[str, Floats]:
    """Vectors float32 ``[N, D]`` of N pictures by space, in batches that fit in memory."""
    parts: dict[str, list[Floats]] = {space.name: [] for space in encoder.card.spaces}
    for start in range(0, len(views), _BATCH):
        features = encoder.image_features(views[start : start + _BATCH])
        parts[encoder.card.spaces[0].name].append(features.vector)
        for name, rows in features.others.items():
            parts[name].append(rows)
    return {
        space.name: np.concatenate(parts[space.name])
        if parts[space.name]
        else np.zeros((0, space.dim), np.float32)
        for space in encoder.card.spaces
    }


def boxes_array(boxes: Sequence[tuple[float, float, float, float]]) -> Floats:
    """Boxes as float32 ``[R, 4]``, also where there are none.

    Example:
        >>> boxes_array([]).shape
        (0, 4)
    """
    return np.array(boxes, np.float32).reshape(-1, 4)


def as_xywh(corners: npt.NDArray[np.int64]) -> Floats:
    """Boxes x1, y1, x2, y2 as x, y, w, h float32 ``[R, 4]``.

    Example:
        >>> as_xywh(np.array([[10, 20, 40, 60]])).tolist()
        [[10.0, 20.0, 30.0, 40.0]]
    """
    return np.concatenate((corners[:, :2], corners[:, 2:] - corners[:, :2]), 1).astype(np.float32)
