"""Cross-domain similarity local scaling (CSLS, Lample et al. 2018, section 2.2.3)."""

from __future__ import annotations

import numpy as np

from needlepoint.parts import Floats
from needlepoint.search.topk import check_k


def csls(scores: Floats, k: int = 10) -> Floats:
    """Scores with a penalty for hubs: ``C[q, i] = 2 F[q, i] - r_q - r_i``.

    ``r_q`` is the mean of the k largest scores of a question and changes no order of pictures;
    ``r_i`` is that of a picture over *all the questions given*. So the answer to one question
    depends on the other questions: a transductive step, for whole test sets only. No method of
    the library applies it; a figure made with it must say so.

    Args:
        scores: float32 ``[Q, G]``, Q questions and G pictures.
        k: how many; where there are fewer, all.

    Returns:
        float32 ``[Q, G]``; sums are in float64.

    Raises:
        UsageError: ``k`` is below 1.

    Example:
        >>> csls(np.float32([[0.5, 0.25], [0.5, 0.0]]), k=1)
        array([[ 0.  , -0.25],
               [ 0.  , -0.75]], dtype=float32)
    """
    k = check_k(k)
    if not scores.size:
        return scores.copy()
    wide = scores.astype(np.float64)
    penalised: Floats = (2 * wide - _top_mean(wide, k, 1) - _top_mean(wide, k, 0)).astype(
        np.float32
    )
    return penalised


def _top_mean(wide: np.ndarray[tuple[int, ...], np.dtype[np.float64]], k: int, axis: int) -> Floats:
    """Mean of the k largest along an axis, which is kept with length 1."""
    largest = np.flip(np.sort(wide, axis=axis), axis=axis)
    best: Floats = np.take(largest, np.arange(min(k, wide.shape[axis])), axis=axis)
    mean: Floats = best.mean(axis=axis, keepdims=True)
    return mean
