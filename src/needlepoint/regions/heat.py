"""Where exactly: a question held against every window of one picture."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from needlepoint.errors import LibraryError
from needlepoint.parts import DenseFeatures, Floats
from needlepoint.picture import Box
from needlepoint.regions.dense import span_boxes, window_means, window_spans

_HEAD = struct.Struct("<4HffHH")


@dataclass(frozen=True, slots=True)
class Heat:
    """How well each place of a picture answers a question.

    ``values`` float32 ``[rows, cols]``: for each cell the best cosine of all windows that hold it.
    ``box`` is the best window, x, y, w, h in pixels of the upright picture, ``score`` its cosine.
    """

    values: Floats
    box: Box
    score: float
    width: int
    height: int

    def scaled(self, most: int) -> Floats:
        """The values from 0 to 1, float32, at most so many rows and columns.

        Where there are more, each block tells its hottest cell. All are 0 where none is hotter
        than another.
        """
        values = self.values
        for axis in (0, 1):
            size = values.shape[axis]
            if size > most:
                values = np.maximum.reduceat(values, np.arange(most) * size // most, axis=axis)
        low, high = float(values.min()), float(values.max())
        scaled: Floats = (values - np.float32(low)) / np.float32(max(high - low, 1e-9))
        return scaled


def heat(
    features: DenseFeatures,
    question: Floats,
    sizes: tuple[int, ...],
    *,
    project: Callable[[Floats], Floats] | None = None,
) -> Heat:
    """Hold a question against every window of a map.

    Args:
        features: a map; with ``lead`` where ``project`` is None.
        question: float32 ``[D]``, unit length.
        sizes: window sides in cells.
        project: turns means of cells float32 ``[N, C]`` into unit vectors ``[N, D]`` of the
            question's space; None where that is the space of ``lead``.
    """
    rows, cols = features.cells.shape[:2]
    spans = window_spans(rows, cols, sizes)
    if project is not None:
        windows = project(window_means(features.cells, spans))
    else:
        assert features.lead is not None
        windows = window_means(features.lead, spans)
        windows /= np.maximum(np.linalg.norm(windows, axis=1, keepdims=True), 1e-12)
    scores = windows @ question
    values = np.full((rows, cols), -1.0, np.float32)
    # Weak windows first, so that a cell ends with the best of those that hold it.
    for i in np.argsort(scores, kind="stable"):
        top, left, high, wide = spans[i]
        values[top : top + high, left : left + wide] = scores[i]
    best = int(np.argmax(scores))
    x, y, w, h = (float(v) for v in span_boxes(spans[best : best + 1], features)[0])
    return Heat(values, (x, y, w, h), float(scores[best]), features.width, features.height)


def pack_map(features: DenseFeatures) -> bytes:
    """The compressed map: one sign bit a number of ``lead``, behind a head with the geometry."""
    assert features.lead is not None
    rows, cols, dim = features.lead.shape
    head = _HEAD.pack(
        1, rows, cols, dim, features.step_x, features.step_y, features.width, features.height
    )
    return head + np.packbits(features.lead > 0, axis=-1).tobytes()


def unpack_map(data: bytes) -> DenseFeatures:
    """A map from ``pack_map``; its cells are the signs, scaled to unit length.

    Raises:
        LibraryError: the bytes are not a map of this version.
    """
    version, rows, cols, dim, step_x, step_y, width, height = _HEAD.unpack_from(data)
    bits: npt.NDArray[np.uint8] = np.frombuffer(data, np.uint8, offset=_HEAD.size)
    if version != 1 or bits.size != rows * cols * (-(-dim // 8)):
        raise LibraryError("a stored map cannot be read; index the picture again to renew it")
    signs = np.unpackbits(bits.reshape(rows, cols, -1), axis=-1, count=dim).astype(np.float32)
    lead = (signs * 2 - 1) / np.float32(np.sqrt(dim))
    return DenseFeatures(lead, step_x, step_y, width, height, lead)
