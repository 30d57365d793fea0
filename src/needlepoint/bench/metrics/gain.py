"""Normalised discounted cumulative gain."""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Mapping, Sequence

from needlepoint.bench.metrics.ranking import check_k, clean
from needlepoint.errors import UsageError


def ndcg(
    ranking: Sequence[Hashable],
    relevant: Collection[Hashable] | Mapping[Hashable, float],
    k: int | None = None,
    *,
    junk: Collection[Hashable] = (),
    exponential: bool = False,
) -> float:
    """Normalised discounted cumulative gain (Järvelin and Kekäläinen 2002).

    The id at rank r (from 1) adds ``gain / log2(r + 1)``. The ideal ranking takes the highest
    grades of *all* relevant ids, also of those the ranking never reaches, so that a ranking cut
    off early pays for what it lacks.

    Args:
        ranking: ids, best first.
        relevant: ids (each of grade 1), or a mapping from id to grade, 0 or more.
        k: only the first ``k`` ranks count, in the ideal too; ``None``: all.
        junk: ids taken out of everything.
        exponential: gain ``2**grade - 1`` (Burges et al. 2005) instead of the grade itself. With
            grades of 0 and 1 both are the same.

    Returns:
        A number in 0 to 1; ``nan`` when no id has a grade above 0.

    Example:
        >>> ndcg(["x", "a"], {"a"})
        0.6309297535714575
        >>> round(ndcg(["b", "a"], {"a": 3, "b": 1}, exponential=True), 4)
        0.7098
    """
    grades = dict(relevant) if isinstance(relevant, Mapping) else dict.fromkeys(relevant, 1.0)
    if strange := [grade for grade in grades.values() if not 0 <= grade < math.inf]:
        raise UsageError(f"relevant holds the grade {strange[0]!r}; grades are 0 or more")
    if k is not None:
        check_k(k)
    order, wanted = clean(ranking, grades, junk)
    gains = {i: 2.0 ** grades[i] - 1 if exponential else float(grades[i]) for i in wanted}
    best = sorted(gains.values(), reverse=True)
    ideal = _discounted(best[:k])
    return _discounted([gains.get(i, 0.0) for i in order[:k]]) / ideal if ideal > 0 else math.nan


def _discounted(gains: Sequence[float]) -> float:
    return math.fsum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))
