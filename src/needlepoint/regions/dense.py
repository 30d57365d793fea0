"""Dense regions: every window of one pass, and a few vectors that stand for all of them.

A fully convolutional (or patch) encoder gives a map of cells; the mean of any window of cells is
the vector of that window. All windows are pooled by one summed-area table, and ``R``
representatives are chosen by spherical k-means (Dhillon and Modha 2001) in which a window counts
the less the more others are like it; each carries the box of its nearest window.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from needlepoint.parts import DenseFeatures, Floats
from needlepoint.picture import Box

Spans = npt.NDArray[np.int32]
"""int32 ``[W, 4]``: first row, first column, rows, columns of each window, in cells."""

KMEANS_ROUNDS = 2
RARITY = 2.0
"""Power of the weight that rare windows get over common ones."""


def window_spans(rows: int, cols: int, sizes: tuple[int, ...]) -> Spans:
    """Windows of the given sizes (cells) inside a map, half a window apart.

    A size larger than a side is cut to that side, so that narrow maps keep their windows; a
    window is listed once. The last window of a row or column touches the border.

    Args:
        rows, cols: size of the map in cells.
        sizes: window sides in cells.

    Returns:
        int32 ``[W, 4]`` (row, column, rows, columns), ordered by size, row, column.

    Example:
        >>> window_spans(2, 3, (1, 2)).shape
        (8, 4)
    """

    def starts(length: int, size: int) -> npt.NDArray[np.int32]:
        last = length - size
        return np.unique(np.append(np.arange(0, last, max(1, size // 2)), last)).astype(np.int32)

    seen: dict[tuple[int, int], None] = {}
    for size in sizes:
        seen.setdefault((min(size, rows), min(size, cols)))
    blocks = []
    for high, wide in seen:
        r, c = np.meshgrid(starts(rows, high), starts(cols, wide), indexing="ij")
        block = np.empty((r.size, 4), np.int32)
        block[:, 0], block[:, 1], block[:, 2], block[:, 3] = r.ravel(), c.ravel(), high, wide
        blocks.append(block)
    return np.concatenate(blocks)


def window_means(cells: Floats, spans: Spans) -> Floats:
    """Mean of each window of a map: by a summed-area table, or one by one where they are few.

    Args:
        cells: float32 ``[rows, cols, C]``.
        spans: int32 ``[W, 4]``.

    Returns:
        float32 ``[W, C]``.
    """
    rows, cols, width = cells.shape
    if int((spans[:, 2] * spans[:, 3]).sum()) < rows * cols:
        means: Floats = np.empty((len(spans), width), np.float32)
        for i, (row, col, high, wide) in enumerate(spans.tolist()):
            means[i] = cells[row : row + high, col : col + wide].mean((0, 1))
        return means
    table = np.zeros((rows + 1, cols + 1, width), np.float32)
    # Centring keeps the running sums small, so float32 is enough for any map an encoder makes.
    middle = cells.mean((0, 1), dtype=np.float64).astype(np.float32)
    # Whole rows and columns at a time: np.cumsum walks along the axis, cell by cell.
    for row in range(rows):
        np.add(table[row, 1:], cells[row] - middle, out=table[row + 1, 1:])
    for col in range(1, cols):
        table[1:, col + 1] += table[1:, col]
    top, left = spans[:, 0], spans[:, 1]
    bottom, right = top + spans[:, 2], left + spans[:, 3]
    flat = table.reshape(-1, width)
    stride = cols + 1
    means = flat[bottom * stride + right]
    means -= flat[top * stride + right]
    means -= flat[bottom * stride + left]
    means += flat[top * stride + left]
    means /= (spans[:, 2] * spans[:, 3]).astype(np.float32)[:, None]
    means += middle
    return means


def shared_means(values: Floats, shares: Floats, spans: Spans) -> Floats:
    """Mean of each window of a map in which every head weighs cells by shares of its own.

    ``sum(share value) / sum(share)`` over the window, head by head: what attention would gather if
    the window were all there is. A head that pays a window nothing takes its plain mean.

    Args:
        values: float32 ``[rows, cols, K]``, H heads side by side.
        shares: float32 ``[rows, cols, H]``, not negative.
        spans: int32 ``[W, 4]``.

    Returns:
        float32 ``[W, K]``.
    """
    rows, cols, width = values.shape
    heads = shares.shape[2]
    split = values.reshape(rows, cols, heads, -1)
    weighted = (split * shares[..., None]).reshape(values.shape)
    means = np.empty((len(spans), heads, width // heads), np.float32)
    for high, wide in np.unique(spans[:, 2:], axis=0).tolist():
        chosen = (spans[:, 2] == high) & (spans[:, 3] == wide)
        at = spans[chosen, 0], spans[chosen, 1]
        sums = _box_sums(weighted, high, wide)[at].reshape(-1, heads, width // heads)
        paid = _box_sums(shares, high, wide)[at][..., None]
        if (nothing := paid <= 1e-30).any():
            plain = _box_sums(values, high, wide)[at].reshape(sums.shape) / (high * wide)
            sums, paid = np.where(nothing, plain, sums), np.where(nothing, 1, paid)
        means[chosen] = sums / paid
    return means.reshape(len(spans), width)


def _box_sums(cells: Floats, high: int, wide: int) -> Floats:
    """Sums of all windows of one size, float32 ``[rows - high + 1, cols - wide + 1, C]``.

    Added up and not subtracted from running sums: shares span many orders of magnitude.
    """
    rows, cols = cells.shape[0] - high + 1, cells.shape[1] - wide + 1
    tall = cells[:rows].copy()
    for shift in range(1, high):
        tall += cells[shift : shift + rows]
    sums = tall[:, :cols].copy()
    for shift in range(1, wide):
        sums += tall[:, shift : shift + cols]
    return sums


def span_boxes(spans: Spans, features: DenseFeatures) -> Floats:
    """Boxes of windows in pixels of the picture, clipped to it.

    Returns:
        float32 ``[W, 4]``: x, y, w, h.
    """
    x0 = np.minimum(spans[:, 1] * features.step_x, features.width)
    y0 = np.minimum(spans[:, 0] * features.step_y, features.height)
    x1 = np.minimum((spans[:, 1] + spans[:, 3]) * features.step_x, features.width)
    y1 = np.minimum((spans[:, 0] + spans[:, 2]) * features.step_y, features.height)
    return np.stack([x0, y0, x1 - x0, y1 - y0], axis=1).astype(np.float32)


def box_mean(cells: Floats, features: DenseFeatures, box: Box) -> Floats:
    """Mean of the cells under a box, each weighted by the share of it that the box covers.

    Args:
        cells: float32 ``[rows, cols, C]`` with the geometry of ``features``.
        features: the map the cells are from.
        box: x, y, w, h in the pixels the geometry is given in, at least partly inside.

    Returns:
        float32 ``[C]``.
    """
    x, y, w, h = box
    left = np.arange(cells.shape[1]) * features.step_x
    top = np.arange(cells.shape[0]) * features.step_y
    wide = np.minimum(left + features.step_x, x + w) - np.maximum(left, x)
    high = np.minimum(top + features.step_y, y + h) - np.maximum(top, y)
    share = np.clip(high, 0, None)[:, None] * np.clip(wide, 0, None)
    mean: Floats = np.einsum("rc,rcd->d", share / share.sum(), cells).astype(np.float32)
    return mean


@dataclass(frozen=True, slots=True)
class Representatives:
    """R unit vectors float32 ``[R, D]`` and, for each, the index of its nearest window ``[R]``."""

    vectors: Floats
    nearest: npt.NDArray[np.intp]


def representatives(
    windows: Floats, count: int, *, rounds: int = KMEANS_ROUNDS, rarity: float = RARITY
) -> Representatives:
    """Choose ``count`` vectors that stand for all windows: spherical k-means weighted by rarity.

    A small thing fills a handful of windows and its background hundreds. With equal weights the
    means are pulled towards backgrounds, and small things are blurred with what surrounds them.
    So a window weighs ``density ** -rarity``, its density being the mean of its positive cosines
    with the others. The start is farthest-first from the window nearest to the mean: the result is
    a function of the windows alone. Empty clusters are dropped.

    Args:
        windows: float32 ``[W, D]``, unit length.
        count: how many to choose, R; windows fewer than that are all kept.
        rounds: k-means rounds.
        rarity: 0 for plain spherical k-means.

    Returns:
        At most ``count`` representatives, the most populous first.
    """
    if len(windows) <= count:
        return Representatives(windows.copy(), np.arange(len(windows)))
    centres = windows[_farthest_first(windows, count)]
    weights = _rarity(windows) ** rarity
    for _ in range(rounds):
        labels = np.argmax(windows @ centres.T, axis=1)
        # One product with the membership matrix sums all clusters; quicker than sorting by label.
        member = (labels[:, None] == np.arange(len(centres))) * weights[:, None]
        sums = member.T @ windows
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = (sums / np.maximum(lengths, 1e-12))[lengths[:, 0] > 1e-9]
    similarity = windows @ centres.T
    nearest = np.argmax(similarity, axis=0)
    population = np.bincount(np.argmax(similarity, axis=1), minlength=len(centres))
    rank = np.lexsort((np.arange(len(centres)), -population))
    return Representatives(np.ascontiguousarray(centres[rank]), nearest[rank])


def _rarity(windows: Floats) -> Floats:
    """One over the mean positive cosine with the windows, scaled to a mean of 1.

    Every eighth window is enough where there are plenty. Of few, all are compared: a window that
    is like none of a small sample would outweigh all others together.
    """
    step = 8 if len(windows) >= 1024 else 1
    density = np.maximum(windows @ windows[::step].T, 0).mean(axis=1)
    rare: Floats = 1.0 / np.maximum(density, 1e-6)
    rare /= rare.mean()
    return rare


def _farthest_first(windows: Floats, count: int) -> npt.NDArray[np.intp]:
    """Indices of ``count`` windows, each the one least similar to all chosen before.

    Looks at every fourth window where there are plenty: neighbours are nearly equal, and what is
    looked at stays in the processor's cache.
    """
    step = 4 if len(windows) >= 16 * count else 1
    some = np.ascontiguousarray(windows[::step])
    chosen = np.empty(count, np.intp)
    chosen[0] = int(np.argmax(some @ some.mean(0)))
    closest = some @ some[chosen[0]]
    for i in range(1, count):
        chosen[i] = int(np.argmin(closest))
        np.maximum(closest, some @ some[chosen[i]], out=closest)
    return chosen * step
