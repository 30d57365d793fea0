"""Where an encoder looks least: inverse attention maps and the windows proposed from them.

LARE (arXiv 2606.18885). Shapes: N pictures, H heads, P patches, S side of the map in pixels, W
windows. The numbers are those of the released code; see ``docs/methods/lare.md`` for where the
paper says less.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from needlepoint.parts import EncoderCard, Floats

Ints = npt.NDArray[np.int64]
Geometry = Literal["corrected", "released"]

EPS = 1e-8


def inverse_map(received: Floats, grid: tuple[int, int], side: int, heads: int = 4) -> Floats:
    """One minus the mean received attention of the most uneven heads (LARE, eq. 1 and 2).

    Args:
        received: float32 ``[N, H, P]``, sum over query patches of the attention each patch gets.
        grid: rows and columns of the P patches.
        side: S, pixels of the map's side; a grid that is not square is stretched.
        heads: how many heads count: those of largest population variance after min-max. Among
            equal ones the later head counts.

    Returns:
        float32 ``[N, S, S]`` within 0 and 1; 1 everywhere where attention is flat. Neither the
        order of the heads nor the other pictures change a number, unless variances are equal.

    Example:
        >>> inverse_map(np.full((1, 2, 4), 0.5, np.float32), (2, 2), 3)[0, 0]
        array([1., 1., 1.], dtype=float32)
    """
    low, high = received.min(axis=2, keepdims=True), received.max(axis=2, keepdims=True)
    scaled = (received - low) / (high - low + np.float32(EPS))
    spread = scaled.var(axis=2, dtype=np.float64)
    kept = np.argsort(spread, axis=1, kind="stable")[:, -heads:]
    mean = np.take_along_axis(scaled, kept[:, :, None], axis=1).mean(axis=1)
    stretched = resize_maps(mean.reshape(-1, *grid), side)
    inverse: Floats = np.clip(np.float32(1) - stretched, np.float32(0), np.float32(1))
    return inverse


def resize_maps(maps: Floats, side: int) -> Floats:
    """Bilinear, half-pixel centres, no anti-aliasing, clamped edges: OpenCV's ``INTER_LINEAR``.

    Args:
        maps: float32 ``[N, rows, cols]``.
        side: S, pixels.

    Returns:
        float32 ``[N, S, S]``; across first, then down, so a number depends on its own map alone.

    Example:
        >>> resize_maps(np.float32([[[0, 1]]]), 4)[0, 0]
        array([0.  , 0.25, 0.75, 1.  ], dtype=float32)
    """
    left, right, share = _neighbours(maps.shape[2], side)
    across = maps[:, :, left] * (1 - share) + maps[:, :, right] * share
    above, below, share = _neighbours(maps.shape[1], side)
    share = share[:, None]
    down: Floats = (across[:, above] * (1 - share) + across[:, below] * share).astype(np.float32)
    return down


def _neighbours(length: int, side: int) -> tuple[Ints, Ints, Floats]:
    """For each of S places, the two cells around it and the share of the second."""
    place = np.clip((np.arange(side) + 0.5) * (length / side) - 0.5, 0, length - 1)
    first = np.floor(place).astype(np.int64)
    return first, np.minimum(first + 1, length - 1), (place - first).astype(np.float32)


def window_places(side: int, window: int = 64, stride: int = 32) -> Ints:
    """Left and top of every window, int64 ``[W, 2]`` in map pixels, in raster order.

    Example:
        >>> [len(window_places(side)) for side in (32, 224, 336, 384)]
        [0, 36, 81, 121]
    """
    starts = np.arange(0, side - window + 1, stride, dtype=np.int64)
    y, x = np.meshgrid(starts, starts, indexing="ij")
    return np.stack((x.ravel(), y.ravel()), axis=1)


def window_scores(maps: Floats, window: int = 64, stride: int = 32) -> Floats:
    """Mean of a map in every window, by one summed-area table of tiles.

    Args:
        maps: float32 ``[N, S, S]``.
        window, stride: map pixels.

    Returns:
        float32 ``[N, W]``, windows as in ``window_places``; sums are in float64.
    """
    count, side = maps.shape[:2]
    tile = math.gcd(window, stride)
    tiles = side // tile
    if side < window:
        return np.zeros((count, 0), np.float32)
    table = np.zeros((count, tiles + 1, tiles + 1))
    square = maps[:, : tiles * tile, : tiles * tile].astype(np.float64)
    # Down first: whole rows are added, and in the same order whatever N is.
    sums = square.reshape(count, tiles, tile, -1).sum(axis=2)
    sums = sums.reshape(count, tiles, tiles, tile).sum(axis=3)
    table[:, 1:, 1:] = sums.cumsum(axis=1).cumsum(axis=2)
    wide, step = window // tile, stride // tile
    ends, starts = table[:, wide::step], table[:, : tiles + 1 - wide : step]
    total = ends[:, :, wide::step] - ends[:, :, : tiles + 1 - wide : step]
    total -= starts[:, :, wide::step] - starts[:, :, : tiles + 1 - wide : step]
    return (total / window**2).astype(np.float32).reshape(count, -1)


@dataclass(frozen=True, slots=True)
class Area:
    """The part of the original picture that a map describes, in its pixels; may reach beyond."""

    left: float
    top: float
    width: float
    height: float


def seen_area(card: EncoderCard, width: int, height: int, geometry: Geometry) -> Area:
    """What of a picture of this size the encoder sees.

    ``released`` says the whole picture, whatever the encoder cut away: right for ``squash`` and
    ``dense`` (whose map covers the picture and is stretched to a square), displaced and squeezed
    for a centre crop. ``corrected`` undoes the card's resize rule, to the pixel as
    ``Preprocess`` rounds; ``longest-pad`` gives an area larger than the picture.

    Example:
        >>> from needlepoint.encoders.builtin.encoder import builtin_card
        >>> seen_area(builtin_card(), 640, 480, "corrected")
        Area(left=0.0, top=0.0, width=640.0, height=480.0)
    """
    size, rule = card.input_size, card.resize
    if geometry == "released" or rule not in ("shortest-crop", "longest-pad"):
        return Area(0.0, 0.0, float(width), float(height))
    if rule == "longest-pad":
        scale = size / max(width, height)
        cols, rows = round(width * scale), round(height * scale)
    else:
        short = int(card.extra.get("shortest", 0)) or size
        tall = width <= height
        cols = short if tall else int(short * width / height)
        rows = int(short * height / width) if tall else short
    floor = card.extra.get("rounding") == "floor"
    left, top = (((s - size) // 2) if floor else round((s - size) / 2) for s in (cols, rows))
    across, down = width / cols, height / rows
    return Area(left * across, top * down, size * across, size * down)


def picture_boxes(
    places: Ints, window: int, side: int, area: Area, width: int, height: int
) -> Ints:
    """Windows as boxes x1, y1, x2, y2, int64 ``[W, 4]``, in pixels of the original picture.

    Corners are floored and clipped to the picture; where the area is the whole picture they are
    ``floor(x * width / S)``.
    """
    corners = np.concatenate((places, places + window), axis=1).astype(np.float64)
    start = np.array([area.left, area.top] * 2)
    extent = np.array([area.width, area.height] * 2)
    boxes = np.floor(start + corners * extent / side).astype(np.int64)
    limit = np.array([width, height] * 2)
    clipped: Ints = np.clip(boxes, 0, limit)
    return clipped


def suppress(boxes: Ints, scores: Floats, iou: float, count: int) -> Ints:
    """Greedy non-maximum suppression: indices int64 of at most ``count`` boxes, best first.

    A box is kept when its intersection over union with every kept box is at most ``iou``; among
    equal scores the earlier box comes first.

    Args:
        boxes: int64 ``[W, 4]``, x1, y1, x2, y2, each of at least one pixel.
        scores: float32 ``[W]``.
    """
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    waiting: Ints = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while len(waiting) and len(kept) < count:
        first, waiting = int(waiting[0]), waiting[1:]
        kept.append(first)
        low = np.maximum(boxes[waiting, :2], boxes[first, :2])
        high = np.minimum(boxes[waiting, 2:], boxes[first, 2:])
        common = np.maximum(high - low, 0).prod(axis=1)
        overlap = np.asarray(common / (areas[waiting] + areas[first] - common))
        waiting = waiting[overlap <= iou]
    return np.array(kept, np.int64)


@dataclass(frozen=True, slots=True)
class Proposals:
    """Boxes int64 ``[K, 4]`` x1, y1, x2, y2 in original pixels, best first; scores ``[K]``.

    ``large`` bool ``[K]`` tells which are encoded: both sides reach the smallest crop. The
    released code returns all K boxes beside the vectors of the large ones only.
    """

    boxes: Ints
    scores: Floats
    large: npt.NDArray[np.bool_]


def propose(
    boxes: Ints,
    scores: Floats,
    *,
    count: int = 5,
    iou: float = 0.3,
    smallest: int = 32,
    sides_first: bool = False,
) -> Proposals:
    """The boxes of highest score that hardly overlap.

    Args:
        boxes: int64 ``[W, 4]``, as ``picture_boxes`` gives them.
        scores: float32 ``[W]``.
        count: N, how many at most.
        iou: largest overlap of two boxes.
        smallest: pixels. Boxes of less than its square are no candidates.
        sides_first: also drop boxes with one side below ``smallest`` before suppression, so that
            none takes the place of a larger one; the released code drops them afterwards.
    """
    sizes = boxes[:, 2:] - boxes[:, :2]
    fits = np.asarray((sizes >= smallest).all(axis=1))
    candidates = np.flatnonzero(fits if sides_first else sizes.prod(axis=1) >= smallest**2)
    kept = candidates[suppress(boxes[candidates], scores[candidates], iou, count)]
    return Proposals(boxes[kept], scores[kept], fits[kept])
