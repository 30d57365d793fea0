"""How a ranking is made, cleaned and cut: the shares and counts of the first k."""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Sequence

import numpy as np
import numpy.typing as npt

from needlepoint.errors import UsageError

FloatArray = npt.NDArray[np.float64]


def rank_by_score(scores: Sequence[float] | FloatArray, ids: Sequence[int]) -> list[int]:
    """Ids by score descending, then id ascending; a score of ``nan`` is refused.

    Args:
        scores: float [N], any sign.
        ids: N different integers.

    Example:
        >>> rank_by_score([-0.5, 0.2, 0.2], [7, 9, 3])
        [3, 9, 7]
    """
    values = np.asarray(scores, dtype=np.float64)
    keys = np.asarray(ids, dtype=np.int64)
    if values.ndim != 1 or values.shape != keys.shape:
        raise UsageError(
            f"scores has shape {values.shape} and ids {keys.shape}; both must be the same [N]"
        )
    if np.isnan(values).any():
        raise UsageError("scores holds nan; a missing score must be left out, not ranked")
    return [int(key) for key in keys[np.lexsort((keys, -values))]]


def recall_at_k(
    ranking: Sequence[Hashable],
    relevant: Collection[Hashable],
    k: int,
    *,
    junk: Collection[Hashable] = (),
) -> float:
    """Share of the relevant ids among the first ``k``.

    ``k`` larger than the ranking takes the whole ranking. With more than ``k`` relevant ids the
    value cannot reach 1; use ``hit_at_k`` for the retrieval convention "R@k".

    Returns:
        A number in 0 to 1; ``nan`` when nothing is relevant.

    Example:
        >>> recall_at_k(["a", "x", "b"], {"a", "b"}, 2)
        0.5
    """
    order, wanted = clean(ranking, relevant, junk)
    check_k(k)
    return len(wanted.intersection(order[:k])) / len(wanted) if wanted else math.nan


def hit_at_k(
    ranking: Sequence[Hashable],
    relevant: Collection[Hashable],
    k: int,
    *,
    junk: Collection[Hashable] = (),
) -> float:
    """1.0 when any relevant id is among the first ``k`` (the usual "R@k"), else 0.0; or ``nan``.

    Example:
        >>> hit_at_k(["x", "a"], {"a", "b"}, 1)
        0.0
    """
    order, wanted = clean(ranking, relevant, junk)
    check_k(k)
    return float(not wanted.isdisjoint(order[:k])) if wanted else math.nan


def hits_at_k(
    ranking: Sequence[Hashable],
    relevant: Collection[Hashable],
    k: int,
    *,
    junk: Collection[Hashable] = (),
) -> float:
    """How many relevant ids are among the first ``k``: a count, 0 to ``k``; or ``nan``.

    Divided by the number of relevant ids it is the "oracle" of ILIAS, ``recall_at_k``.

    Example:
        >>> hits_at_k(["x", "a", "b"], {"a", "b"}, 3)
        2.0
    """
    order, wanted = clean(ranking, relevant, junk)
    check_k(k)
    return float(len(wanted.intersection(order[:k]))) if wanted else math.nan


def inverse_negative_penalty(
    ranking: Sequence[Hashable],
    relevant: Collection[Hashable],
    *,
    junk: Collection[Hashable] = (),
) -> float:
    """Number of relevant ids over the rank of the last of them (Ye et al. 2021, arXiv 2001.04193).

    The mean over questions is mINP. A relevant id that a cut-off ranking does not hold has no
    rank: the value is then 0.0, never that of the hardest one found.

    Returns:
        A number in 0 to 1, 1.0 when all relevant ids come first; ``nan`` when nothing is relevant.

    Example:
        >>> inverse_negative_penalty(["a", "x", "y", "b"], {"a", "b"})
        0.5
    """
    order, wanted = clean(ranking, relevant, junk)
    if not wanted:
        return math.nan
    ranks = [rank for rank, item in enumerate(order, start=1) if item in wanted]
    return len(wanted) / ranks[-1] if len(ranks) == len(wanted) else 0.0


def mean_defined(values: Sequence[float]) -> tuple[float, int]:
    """Mean of the values that are not ``nan``, and how many were left out.

    Example:
        >>> mean_defined([1.0, float("nan"), 0.0])
        (0.5, 1)
    """
    array = np.asarray(values, dtype=np.float64)
    defined = array[~np.isnan(array)]
    mean = float(defined.mean()) if defined.size else math.nan
    return mean, int(array.size - defined.size)


def clean(
    ranking: Sequence[Hashable], relevant: Collection[Hashable], junk: Collection[Hashable]
) -> tuple[list[Hashable], set[Hashable]]:
    """The ranking and the relevant ids without junk; ``UsageError`` for an id ranked twice."""
    skipped = set(junk)
    order = [item for item in ranking if item not in skipped]
    if len(set(order)) != len(order):
        raise UsageError("ranking holds the same id twice; give each id one rank")
    return order, set(relevant) - skipped


def check_k(k: int) -> None:
    """``UsageError`` for a cut below one."""
    if k < 1:
        raise UsageError(f"k={k!r} must be at least 1")
