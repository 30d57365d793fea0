"""The best pictures under a fusion without looking at every region; the answer is the same.

Shapes: G pictures, R regions, D dim. Picture i owns the regions ``offsets[i]`` to
``offsets[i + 1]``. All vectors are of unit length.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from needlepoint.parts import Floats
from needlepoint.search.exact import Offsets, dots, segment_max, slack
from needlepoint.search.fusion import Fusion
from needlepoint.search.topk import top_k

_FIRST = 32  # pictures whose regions are looked at together at first; then twice as many each time


@dataclass(frozen=True, slots=True)
class Pruned:
    """Positions int64 ``[k]`` of the best pictures, best first, and their scores float32 ``[k]``.

    ``products`` counts the regions that were multiplied with the question.
    """

    positions: npt.NDArray[np.int64]
    scores: Floats
    products: int


def reach(wholes: Floats, regions: Floats, offsets: Offsets) -> Floats:
    """How far a picture's regions turn away from its whole vector, at most.

    One number a picture, made when it is indexed.

    Args:
        wholes: float32 ``[G, D]``.
        regions: float32 ``[R, D]``.
        offsets: int64 ``[G + 1]``.

    Returns:
        float32 ``[G]``, radians; rounded up, so that no rounding makes it too small. 0 where a
        picture has no region.

    Example:
        >>> reach(np.float32([[1, 0]]), np.float32([[0, 1]]), np.array([0, 1])).round(2)
        array([1.57], dtype=float32)
    """
    owner = np.repeat(np.arange(len(wholes)), np.diff(offsets))
    cosines = np.einsum("rd,rd->r", wholes[owner], regions, dtype=np.float64)
    safe = np.clip(cosines - slack(wholes.shape[1]), -1, 1)
    angles = np.nextafter(np.arccos(safe).astype(np.float32), np.float32(4))
    farthest = segment_max(angles[:, None], offsets)[:, 0]
    return np.maximum(farthest, np.float32(0))


def best_possible(whole: Floats, reach: Floats) -> Floats:
    """The highest cosine that any region of a picture can have with a question.

    A region lies within ``reach`` of the whole vector, and angles add up at most (triangle
    inequality on the sphere): ``cos(max(0, arccos(whole) - reach))``.

    Args:
        whole: float32 ``[G]``, cosines of the question with the whole pictures.
        reach: float32 ``[G]``, radians.

    Returns:
        float32 ``[G]``, not below ``whole``.
    """
    angle = np.arccos(np.clip(whole.astype(np.float64), -1, 1)) - reach
    bound: Floats = np.cos(np.maximum(angle, 0)).astype(np.float32)
    return bound


def best_pictures(
    question: Floats,
    wholes: Floats,
    regions: Floats,
    offsets: Offsets,
    reaches: Floats,
    fusion: Fusion,
    k: int,
) -> Pruned:
    """The k best pictures for a question, in the order and with the scores of full scoring.

    Every whole picture is scored. Regions are looked at by what a picture could still reach
    (``Fusion.at_most`` of ``best_possible``), until no other picture can reach the k-th score.

    Args:
        question: float32 ``[D]``.
        wholes: float32 ``[G, D]``.
        regions: float32 ``[R, D]``.
        offsets: int64 ``[G + 1]``.
        reaches: float32 ``[G]``, as ``reach`` gives them.
        fusion: how whole and region make a score.
        k: at least 1.
    """
    whole = dots(wholes, question[None])[:, 0]
    margin = np.float32(8 * slack(len(question)))
    counts = np.diff(offsets)
    bound = fusion.at_most(whole, best_possible(whole, reaches)) + margin
    # a picture that no region can change needs none looked at
    settled = (counts == 0) | fusion.settled(whole)
    bound = np.where(settled, whole, bound)
    scores = whole.copy()
    final = settled.copy()
    products, step = 0, _FIRST
    order = np.argsort(-bound, kind="stable")
    order = order[~settled[order]]
    while len(order):
        known = scores[final]
        if len(known) >= k:
            kth = np.partition(known, len(known) - k)[len(known) - k]
            order = order[bound[order] >= kth]
        some, order = order[:step], order[step:]
        rows = np.concatenate(
            [np.arange(offsets[i], offsets[i + 1]) for i in some] or [np.zeros(0, np.int64)]
        )
        own = np.concatenate(([0], counts[some].cumsum())).astype(np.int64)
        region = segment_max(dots(regions[rows], question[None]), own)[:, 0]
        scores[some] = fusion.combine(whole[some], region)
        final[some] = True
        products += len(rows)
        step *= 2
    known_at = np.flatnonzero(final)
    best = known_at[top_k(scores[known_at], known_at, k)]
    return Pruned(best, scores[best], products)
