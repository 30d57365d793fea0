"""Measures of a conversation, whose target has a rank in every round, as pure functions.

Shapes: Q conversations, R rounds, the first of which (round 0) is the opening question; G pictures.
Ranks count from 1. *Hits* count a conversation from the first round in which its target was among
the first k, as a user who has seen it is done; *recall* looks at each round alone, and may fall.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

from needlepoint.bench.metrics.ranking import check_k
from needlepoint.errors import UsageError

Ranks = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]


def target_ranks(
    scores: npt.ArrayLike, gallery: Sequence[Hashable], targets: Sequence[Hashable]
) -> Ranks:
    """The rank of each conversation's target, int64 ``[Q]``, equal scores in gallery order.

    Args:
        scores: float ``[Q, G]``, without ``nan``.
        gallery: G different ids.
        targets: Q ids.

    Raises:
        UsageError: a target that the gallery lacks, which would make the task another one; shapes
            that do not fit; a score that is ``nan``.

    Example:
        >>> target_ranks([[0.1, 0.9, 0.9]], ["a", "b", "c"], ["c"])
        array([2])
    """
    values = np.asarray(scores, dtype=np.float64)
    places = {name: place for place, name in enumerate(gallery)}
    if values.shape != (len(targets), len(gallery)) or len(places) != len(gallery):
        raise UsageError(
            f"scores has shape {values.shape}; it must be ({len(targets)}, {len(places)}): one row "
            "a target, one column a different id of the gallery"
        )
    if np.isnan(values).any():
        raise UsageError("scores holds nan; a missing score must be left out, not ranked")
    if lacking := [target for target in targets if target not in places]:
        raise UsageError(
            f"targets holds {lacking[:3]!r}, which the gallery of {len(gallery)} lacks; add the "
            "pictures or leave these conversations out of every round"
        )
    at = np.array([places[target] for target in targets], np.int64)
    own = values[np.arange(len(at)), at][:, None]
    before = (values == own) & (np.arange(len(gallery)) < at[:, None])
    found: Ranks = 1 + (values > own).sum(axis=1) + before.sum(axis=1)
    return found


def round_hits(ranks: npt.ArrayLike, k: int) -> Flags:
    """Whether the target was among the first ``k`` in this round or an earlier one.

    The column means are "Hits@k" of Levy et al. (2023, arXiv 2305.20062).

    Args:
        ranks: int ``[Q, R]``, from 1.
        k: at least 1.

    Returns:
        bool ``[Q, R]``; a row never falls.

    Example:
        >>> round_hits([[12, 3, 40]], 10)
        array([[False,  True,  True]])
    """
    return np.logical_or.accumulate(round_recall(ranks, k), axis=1)


def round_recall(ranks: npt.ArrayLike, k: int) -> Flags:
    """Whether the target is among the first ``k`` in this round alone; as ``round_hits``.

    Example:
        >>> round_recall([[12, 3, 40]], 10)
        array([[False,  True, False]])
    """
    check_k(k)
    return _ranks(ranks) <= k


def reciprocal_ranks(ranks: npt.ArrayLike) -> FloatArray:
    """One over the rank in each round, float64 ``[Q, R]``; the column means are MRR.

    Example:
        >>> reciprocal_ranks([[4, 1]])
        array([[0.25, 1.  ]])
    """
    found: FloatArray = 1.0 / _ranks(ranks)
    return found


def best_rank_integral(ranks: npt.ArrayLike) -> FloatArray:
    """The area under the logarithm of the best rank so far, of each conversation; lower is better.

    With ``p_t`` the best rank up to round t of T + 1 rounds, it is the mean over t < T of
    ``(ln p_t + ln p_{t+1}) / 2`` (Lee et al. 2024, arXiv 2406.03411). The mean over conversations
    is BRI. It is 0 where the target is first from the start.

    Args:
        ranks: int ``[Q, R]``, from 1; at least two rounds.

    Returns:
        float64 ``[Q]``.

    Example:
        >>> best_rank_integral([[1, 5, 9], [4, 1, 1]]).round(4).tolist()
        [0.0, 0.3466]
    """
    best = np.log(np.minimum.accumulate(_ranks(ranks), axis=1))
    if best.shape[1] < 2:
        raise UsageError(f"ranks has {best.shape[1]} round; an integral over rounds needs two")
    area: FloatArray = ((best[:, :-1] + best[:, 1:]) / 2).mean(axis=1)
    return area


def _ranks(ranks: npt.ArrayLike) -> Ranks:
    values = np.asarray(ranks)
    if values.ndim != 2 or not values.size or not np.issubdtype(values.dtype, np.integer):
        raise UsageError(
            f"ranks has shape {values.shape} of {values.dtype}; it must be integers, one row a "
            "conversation, one column a round"
        )
    if (values < 1).any():
        raise UsageError(f"ranks holds {values.min()}; ranks count from 1")
    return values.astype(np.int64)
