"""The best k, always in the same order (shapes: N pictures, V probes)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from needlepoint.errors import UsageError
from needlepoint.parts import Floats

Ids = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]
Curve = Literal["linear", "gaussian"]


def check_k(k: int) -> int:
    """``k`` itself, when it is a whole number above 0.

    Raises:
        UsageError: anything else.
    """
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
        raise UsageError(f"k must be a whole number of at least 1, got {k!r}")
    return int(k)


def top_k(score: Floats, ids: Ids, k: int) -> npt.NDArray[np.intp]:
    """Positions of the k best, by score (highest first) and then by id (lowest first).

    ``score`` float32 ``[N]``, ``ids`` int64 ``[N]``, unique. Fewer than k come back when there
    are fewer. The first j of the k best are the j best.

    >>> top_k(np.float32([1, 3, 3, 2]), np.array([7, 9, 8, 1]), 3).tolist()
    [2, 1, 3]
    """
    keep = at_least_kth(score, check_k(k), 0.0)
    order = np.lexsort((ids[keep], -score[keep]))
    return keep[order[:k]]


def at_least_kth(score: Floats, k: int, margin: float) -> npt.NDArray[np.intp]:
    """Positions, ascending, of every score within ``margin`` of the k-th best or above it."""
    if len(score) <= k:
        return np.arange(len(score), dtype=np.intp)
    kth = np.partition(score, len(score) - k)[len(score) - k]
    return np.flatnonzero(score >= kth - np.float32(margin))


def fuse(
    parts: Floats,
    weights: Doubles,
    means: Doubles,
    stds: Doubles,
    curves: Sequence[Curve] | None = None,
) -> Floats:
    """One score float32 ``[N]`` from those of several probes, float32 ``[N, V]``.

    ``sum_v weight_v * c_v((parts_v - mean_v) / std_v)``, divided by ``sum_v |weight_v|``. The curve
    ``c`` is the standard normal distribution function where it is ``gaussian`` (WeiCom, IGARSS
    2024), else the identity. A single linear probe of positive weight with mean 0 and std 1 keeps
    its cosine.

    Raises:
        UsageError: weights that are all zero, a std not above 0, or a number that is not finite.
    """
    total = float(np.abs(weights).sum(dtype=np.float64))
    if not np.isfinite(weights).all() or total == 0:
        raise UsageError(f"weights must be finite and not all 0, got {weights.tolist()}")
    if not (np.isfinite(means).all() and np.isfinite(stds).all() and (stds > 0).all()):
        raise UsageError(
            f"mean must be finite and std above 0, got means {means.tolist()}, stds {stds.tolist()}"
        )
    fused = np.zeros(len(parts), np.float64)
    for v in range(parts.shape[1]):  # one probe after the other: the order of the sum is fixed
        part = parts[:, v].astype(np.float64)
        standard = (part - float(means[v])) / float(stds[v])
        if curves is not None and curves[v] == "gaussian":
            standard = gaussian_cdf(standard)
        fused += float(weights[v]) / total * standard
    return fused.astype(np.float32)


_erf = np.frompyfunc(math.erf, 1, 1)


def gaussian_cdf(standard: Doubles) -> Doubles:
    """Share of a normal distribution below standardised scores float64 ``[N]``, in 0 to 1.

    Example:
        >>> gaussian_cdf(np.array([0.0])).tolist()
        [0.5]
    """
    below = np.asarray(_erf(standard / math.sqrt(2.0)), np.float64)
    found: Doubles = 0.5 * (1.0 + below)
    return found
