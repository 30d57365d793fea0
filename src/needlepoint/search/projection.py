"""A collection on a plane: what is alike lies together (shapes: N pictures, D dim, L landmarks).

Up to :data:`LANDMARKS` pictures are laid out by t-SNE (exact, begun from their principal
components, so that the whole keeps its shape); of a larger collection so many are, and each
other picture is put among the landmarks it is nearest to. Time and memory grow with N only in the
second step.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from needlepoint.errors import UsageError
from needlepoint.parts import Floats

LANDMARKS = 1500
DIMS = 64
"""Principal components among which those that are no landmarks are compared with them."""

_PERPLEXITY = 30.0
_ROUNDS = 500
_EXAGGERATED = 125  # rounds in which what is alike is pulled together harder
_EXAGGERATION = 12.0
_NEAR = 8  # landmarks that a picture is put among
_BLOCK = 4096
_MARGIN = 0.02

Progress = Callable[[float], None]


def project(vectors: Floats, *, progress: Progress | None = None) -> Floats:
    """Places on a plane, float32 ``[N, 2]`` from 0 to 1, for unit vectors float32 ``[N, D]``.

    The same vectors in the same order give the same places; equal vectors lie in one place.

    Args:
        vectors: one row a picture.
        progress: called now and then with the share that is done, 0 to 1; may raise to stop.

    Raises:
        UsageError: not a table of finite numbers.

    Example:
        >>> places = project(np.eye(3, 8, dtype=np.float32))
        >>> places.shape, bool(((places >= 0) & (places <= 1)).all())
        ((3, 2), True)
    """
    if vectors.ndim != 2:
        raise UsageError(f"`vectors` must have shape [N, D]. Received: {vectors.shape}.")
    tell = progress or (lambda _: None)
    first, inverse = _distinct(vectors)
    if len(first) < 2:
        return np.full((len(vectors), 2), 0.5, np.float32)
    chosen = _landmarks(len(first))
    laid = _tsne(vectors[first[chosen]], lambda share: tell(0.8 * share))
    if len(chosen) == len(first):
        return _fit(laid)[inverse]
    small = _components(vectors, first)
    tell(0.85)
    places = _place(small, chosen, laid, lambda share: tell(0.85 + 0.15 * share))
    return _fit(places)[inverse]


def _distinct(vectors: Floats) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows that are the first of their kind, and for every row which of those it equals."""
    known: dict[bytes, int] = {}
    inverse = np.empty(len(vectors), np.int64)
    first: list[int] = []
    for row, vector in enumerate(vectors):
        if not np.isfinite(vector).all():
            raise UsageError(f"`vectors` must be finite. Received: {vector[:3]} … in row {row}.")
        key = blake2b(np.ascontiguousarray(vector).data, digest_size=16).digest()
        inverse[row] = known.setdefault(key, len(known))
        if len(known) > len(first):
            first.append(row)
    return np.array(first, np.int64), inverse


def _components(vectors: Floats, rows: npt.NDArray[np.int64]) -> Floats:
    """The rows along their principal components, float32 ``[n, d]``, the widest first."""
    mean = np.zeros(vectors.shape[1], np.float64)
    spread = np.zeros((vectors.shape[1], vectors.shape[1]), np.float64)
    blocks = [rows[start : start + _BLOCK] for start in range(0, len(rows), _BLOCK)]
    for block in blocks:
        some = vectors[block]
        mean += some.sum(axis=0, dtype=np.float64)
        spread += some.T @ some
    mean /= len(rows)
    spread = spread / len(rows) - np.outer(mean, mean)
    axes = np.linalg.eigh(spread)[1][:, ::-1][:, : min(DIMS, len(rows))]
    axes = axes.astype(np.float32)
    shift = mean.astype(np.float32) @ axes
    found: Floats = np.concatenate([vectors[block] @ axes - shift for block in blocks])
    return found


def _landmarks(count: int) -> npt.NDArray[np.int64]:
    if count <= LANDMARKS:
        return np.arange(count)
    return np.sort(np.random.default_rng(count).choice(count, LANDMARKS, replace=False))


def _squared(left: Floats, right: Floats) -> Floats:
    """Squared distances float32 ``[n, m]``."""
    found: Floats = left @ right.T
    found *= -2
    found += np.einsum("ij,ij->i", left, left)[:, None]
    found += np.einsum("ij,ij->i", right, right)[None]
    np.maximum(found, 0, out=found)
    return found


def _tsne(points: Floats, tell: Progress) -> Floats:
    """Places float32 ``[L, 2]`` of points ``[L, D]``.

    What differs in the last bit here ends elsewhere on the plane. Products of the matrix library
    do, with the number of cores; those of ``einsum`` do not.
    """
    count = len(points)
    centred = points - points.mean(axis=0)
    start = _widest(centred)
    if count < 4:
        return start
    square = np.einsum("ij,ij->i", centred, centred)
    between = np.einsum("ik,jk->ij", centred, centred)
    between = np.maximum(square[:, None] + square[None] - 2 * between, 0)
    near = _affinities(between, min(_PERPLEXITY, (count - 1) / 3))
    places = start / max(float(start[:, 0].std()), 1e-12) * np.float32(1e-4)
    rate = np.float32(max(count / _EXAGGERATION, 50.0))
    speed, gains = np.zeros_like(places), np.ones_like(places)
    near *= np.float32(_EXAGGERATION)
    for turn in range(_ROUNDS):
        if turn == _EXAGGERATED:
            near /= np.float32(_EXAGGERATION)
        if turn % 10 == 0:
            tell(turn / _ROUNDS)
        slope = _slope(places, near)
        same = np.sign(slope) == np.sign(speed)
        gains = np.maximum(np.where(same, gains * 0.8, gains + 0.2), 0.01)
        speed *= np.float32(0.5 if turn < _EXAGGERATED else 0.8)
        speed -= rate * gains * slope
        places += speed
        places -= places.mean(axis=0)
    return places


def _widest(centred: Floats) -> Floats:
    """Coordinates float32 ``[L, 2]`` along the two axes in which points spread most."""
    spread = np.einsum("ij,ik->jk", centred, centred).astype(np.float64)
    dim = len(spread)
    axes = np.random.default_rng(0).standard_normal((dim, 2))
    if dim == 1:
        axes[:, 1] = 0
    for _ in range(60):  # by then the plane stands nearly still; that it is one plane is enough
        axes = np.einsum("ij,jk->ik", spread, axes)
        axes[:, 0] /= max(float(np.sqrt((axes[:, 0] ** 2).sum())), 1e-12)
        axes[:, 1] -= (axes[:, 0] * axes[:, 1]).sum() * axes[:, 0]
        axes[:, 1] /= max(float(np.sqrt((axes[:, 1] ** 2).sum())), 1e-12)
    found: Floats = np.einsum("ij,jk->ik", centred, axes.astype(np.float32))
    return found


def _slope(places: Floats, near: Floats) -> Floats:
    """The gradient float32 ``[L, 2]``: over all j the sum of ``4 (p - q) t (y_i - y_j)``.

    Here t falls with the distance on the plane, and q is its share of the whole.
    """
    across, down = np.ascontiguousarray(places.T)
    table = np.subtract.outer(across, across)
    np.square(table, out=table)
    table += np.subtract.outer(down, down) ** 2
    table += 1
    np.reciprocal(table, out=table)  # Student's t of one degree of freedom
    np.fill_diagonal(table, 0)
    pull = near * table
    total = np.float32(1 / max(float(table.sum(dtype=np.float64)), 1e-12))
    np.square(table, out=table)
    table *= total
    pull -= table
    towards = np.stack([np.einsum("ij,j->i", pull, across), np.einsum("ij,j->i", pull, down)], 1)
    slope: Floats = 4 * (pull.sum(axis=1)[:, None] * places - towards)
    return slope


def _affinities(square: Floats, perplexity: float) -> Floats:
    """How near each pair is, float32 ``[L, L]``, symmetric, of sum 1; widths by perplexity."""
    count = len(square)
    np.fill_diagonal(square, np.inf)
    wanted = np.log(perplexity)
    # scaled by the nearest, so that the exponents are of an order that floats like
    square = square - square.min(axis=1, keepdims=True)
    finite = np.where(np.isfinite(square), square, 0)
    scale = np.maximum(finite.mean(axis=1), 1e-12)
    low, high = np.full(count, 1e-3) / scale, np.full(count, 1e6) / scale
    for _ in range(40):
        middle = np.sqrt(low * high)
        weights = np.exp(-square * middle[:, None].astype(np.float32))
        total = weights.sum(axis=1)
        entropy = np.log(total) + middle * (finite * weights).sum(axis=1) / total
        wide = entropy > wanted
        low, high = np.where(wide, middle, low), np.where(wide, high, middle)
    weights = np.exp(-square * np.sqrt(low * high)[:, None].astype(np.float32))
    weights /= weights.sum(axis=1, keepdims=True)
    both: Floats = (weights + weights.T) / np.float32(2 * count)
    return both


def _place(points: Floats, chosen: npt.NDArray[np.int64], laid: Floats, tell: Progress) -> Floats:
    """Places float32 ``[n, 2]``: the landmarks' own, and for others the middle of those near."""
    places = np.empty((len(points), 2), np.float32)
    marks = points[chosen]
    for start in range(0, len(points), _BLOCK):
        block = slice(start, start + _BLOCK)
        square = _squared(points[block], marks)
        near = np.argpartition(square, _NEAR, axis=1)[:, : _NEAR + 1]
        places[block] = _middle(np.take_along_axis(square, near, axis=1), laid[near])
        tell(start / len(points))
    places[chosen] = laid
    return places


def _middle(square: Floats, around: Floats) -> Floats:
    """Middle ``[n, 2]`` of places ``[n, K, 2]``, nearer ones (squared distances) counting more.

    Landmarks that lie elsewhere on the plane than the nearest are left out: between two groups
    there is nothing.
    """
    order = np.argsort(square, axis=1, kind="stable")
    square = np.take_along_axis(square, order, axis=1)
    around = np.take_along_axis(around, order[:, :, None], axis=1)
    weights = np.maximum(square[:, -1:] - square, 0) + np.float32(1e-12)
    away = np.linalg.norm(around - around[:, :1], axis=2)
    weights[away > 3 * np.median(away, axis=1, keepdims=True)] = 0
    weights[:, 0] = np.maximum(weights[:, 0], np.float32(1e-12))
    middle: Floats = (weights[:, :, None] * around).sum(axis=1) / weights.sum(axis=1)[:, None]
    return middle


def _fit(places: Floats) -> Floats:
    """The same within 0 and 1, stretched alike both ways, with a margin."""
    low, high = places.min(axis=0), places.max(axis=0)
    size = max(float((high - low).max()), 1e-12)
    fitted = (places - (low + high) / 2) / np.float32(size) * np.float32(1 - 2 * _MARGIN) + 0.5
    clipped: Floats = np.clip(fitted, 0, 1).astype(np.float32)
    return clipped
