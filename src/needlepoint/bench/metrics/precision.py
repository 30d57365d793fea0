"""The average precisions in use, each under its own name; they must never be mixed in a table."""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Sequence

import numpy as np

from needlepoint.bench.metrics.ranking import FloatArray, check_k, clean
from needlepoint.errors import UsageError


def average_precision(
    ranking: Sequence[Hashable],
    relevant: Collection[Hashable],
    *,
    junk: Collection[Hashable] = (),
) -> float:
    """Mean, over all relevant ids, of the precision at the rank where each is found.

    A relevant id that a cut-off ranking does not hold adds zero: the sum is divided by the number
    of all relevant ids, not of those found. (Non-interpolated average precision, Buckley and
    Voorhees 2000.)

    Returns:
        A number in 0 to 1; ``nan`` when nothing is relevant.

    Example:
        >>> average_precision(["a", "x", "b"], {"a", "b"})
        0.8333333333333333
    """
    order, wanted = clean(ranking, relevant, junk)
    if not wanted:
        return math.nan
    return math.fsum(_precisions(order, wanted)) / len(wanted)


def average_precision_found(
    ranking: Sequence[Hashable],
    relevant: Collection[Hashable],
    *,
    junk: Collection[Hashable] = (),
) -> float:
    """Mean precision at the hits, over the hits *found* only.

    A relevant id that a cut-off ranking does not hold costs nothing, so a shorter ranking can
    score more; on complete rankings this is ``average_precision``. Some published code computes
    this one (the multi-object attention retrieval's, RSCIR's); it is here to compare with them.

    Returns:
        A number in 0 to 1; 0.0 when nothing relevant was found; ``nan`` when nothing is relevant.

    Example:
        >>> average_precision_found(["a", "x"], {"a", "b"})
        1.0
    """
    order, wanted = clean(ranking, relevant, junk)
    if not wanted:
        return math.nan
    precisions = _precisions(order, wanted)
    return math.fsum(precisions) / len(precisions) if precisions else 0.0


def average_precision_trapezoid(
    ranking: Sequence[Hashable],
    relevant: Collection[Hashable],
    *,
    junk: Collection[Hashable] = (),
) -> float:
    """Area under the precision-recall line by the trapezoid rule, junk removed first.

    The j-th hit (from 0) at place p (from 0) adds the mean of the precision before it, ``j / p``
    (1 at p = 0), and with it, ``(j + 1) / (p + 1)``; the sum is divided by the number of all
    relevant ids, so that those never reached add zero. (Philbin et al. 2007; revisited Oxford and
    Paris, Radenović et al. 2018, arXiv 1803.11285.)

    Returns:
        A number in 0 to 1; ``nan`` when nothing is relevant.

    Example:
        >>> average_precision_trapezoid(["x", "a"], {"a"})
        0.25
    """
    order, wanted = clean(ranking, relevant, junk)
    if not wanted:
        return math.nan
    places = [place for place, item in enumerate(order) if item in wanted]
    steps = [
        (j / place if place else 1.0) + (j + 1) / (place + 1) for j, place in enumerate(places)
    ]
    return math.fsum(steps) / 2 / len(wanted)


def average_precision_at_k(
    ranking: Sequence[Hashable],
    relevant: Collection[Hashable],
    k: int,
    *,
    junk: Collection[Hashable] = (),
) -> float:
    """Sum of the precisions at the hits among the first ``k``, over min(``k``, relevant).

    Best is 1.0 also with more than ``k`` relevant ids. (AP@k of CIRCO, Baldrati et al. 2023,
    arXiv 2303.15247.)

    Returns:
        A number in 0 to 1; ``nan`` when nothing is relevant.

    Example:
        >>> average_precision_at_k(["a", "x", "b"], {"a", "b"}, 2)
        0.5
    """
    order, wanted = clean(ranking, relevant, junk)
    check_k(k)
    if not wanted:
        return math.nan
    return math.fsum(_precisions(order[:k], wanted)) / min(k, len(wanted))


def average_precision_ties(
    ranking: Sequence[Hashable],
    scores: Sequence[float] | FloatArray,
    relevant: Collection[Hashable],
    k: int,
    *,
    junk: Collection[Hashable] = (),
) -> float:
    """AP@k that takes ids of one score as found together, as ILIAS computes it.

    Of the first ``k``, every hit counts with the precision at the *end* of its group of equal
    scores; the sum is divided by min(``k``, relevant). ILIAS (Kordopatis-Zilos et al. 2025, arXiv
    2502.11748) words it as the step-wise average precision of the list times
    ``hits / min(k, relevant)``, which is the same. Without equal scores it is
    ``average_precision_at_k``; the order inside a group does not matter, but for the group that
    ``k`` cuts, of which the first stay.

    Args:
        ranking: n ids, best first.
        scores: float [n], the score of each, never rising, any sign.
        relevant: ids that answer.
        k: how many ranks count, after junk is removed.
        junk: ids taken out of everything.

    Returns:
        A number in 0 to 1; ``nan`` when nothing is relevant.

    Example:
        >>> average_precision_ties(["a", "x"], [0.5, 0.5], {"a"}, 10)
        0.5
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.shape != (len(ranking),) or np.isnan(values).any() or (np.diff(values) > 0).any():
        raise UsageError(
            f"scores has shape {values.shape} for {len(ranking)} ids; one number per id is needed, "
            "none nan, from the best down"
        )
    order, wanted = clean(ranking, relevant, junk)
    check_k(k)
    if not wanted:
        return math.nan
    skipped = set(junk)
    kept = [value for item, value in zip(ranking, values, strict=True) if item not in skipped][:k]
    hits = np.cumsum([item in wanted for item in order[:k]], dtype=np.int64)
    ends = [i for i in range(len(kept)) if i + 1 == len(kept) or kept[i + 1] < kept[i]]
    new = np.diff([0, *(hits[i] for i in ends)])
    total = math.fsum(n * hits[i] / (i + 1) for n, i in zip(new, ends, strict=True))
    return float(total / min(k, len(wanted)))


def expected_average_precision(relevant: int, total: int) -> float:
    """Expected average precision of a random order, for a chance line (exact).

    Args:
        relevant: number of relevant ids, at least 1.
        total: number of ids ranked, at least ``relevant``.

    Example:
        >>> expected_average_precision(1, 2)
        0.75
    """
    if not 1 <= relevant <= total:
        raise UsageError(f"relevant={relevant} must be from 1 to total={total}")
    if total == 1:
        return 1.0
    ranks = np.arange(1, total + 1, dtype=np.float64)
    other = (relevant - 1) / (total - 1)
    return float(np.mean((1 + (ranks - 1) * other) / ranks))


def _precisions(order: Sequence[Hashable], wanted: Collection[Hashable]) -> list[float]:
    """The precision at every hit, in order."""
    ranks = [rank for rank, item in enumerate(order, start=1) if item in wanted]
    return [found / rank for found, rank in enumerate(ranks, start=1)]
