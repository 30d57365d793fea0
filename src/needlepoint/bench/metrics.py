"""Measures of a ranked answer, as pure functions.

Vocabulary, the same in every function:

- a *ranking* is a sequence of ids, best first, without repetitions (``UsageError`` otherwise); it
  may be complete or cut off after the first n;
- *relevant* is the set of ids that answer the question. Ids in it that the ranking never reaches
  count as never found;
- *junk* is the set of ids that count neither for nor against (for instance the picture the
  question was cut from). They are taken out of the ranking before anything is counted, and out of
  ``relevant`` as well;
- a question with nothing relevant (after junk) has no defined score: functions return ``nan``, and
  ``mean_defined`` leaves those out and says how many they were;
- the order of equal scores is the ranking's business: ``rank_by_score`` puts the lower id first,
  whatever the sign of the scores.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from needlepoint.errors import UsageError

Box = tuple[float, float, float, float]
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """An estimate with the ends of its confidence interval."""

    estimate: float
    low: float
    high: float
    level: float


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
    order, wanted = _clean(ranking, relevant, junk)
    if not wanted:
        return math.nan
    found, total = 0, 0.0
    for rank, item in enumerate(order, start=1):
        if item in wanted:
            found += 1
            total += found / rank
    return total / len(wanted)


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
    order, wanted = _clean(ranking, relevant, junk)
    _check_k(k)
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
    order, wanted = _clean(ranking, relevant, junk)
    _check_k(k)
    return float(not wanted.isdisjoint(order[:k])) if wanted else math.nan


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


def iou(first: Box, second: Box) -> float:
    """Intersection over union of two boxes ``(x, y, w, h)``; 0.0 when either is empty.

    Example:
        >>> iou((0, 0, 2, 2), (1, 0, 2, 2))
        0.3333333333333333
    """
    for box in (first, second):
        _check_box(box)
    width = min(first[0] + first[2], second[0] + second[2]) - max(first[0], second[0])
    height = min(first[1] + first[3], second[1] + second[3]) - max(first[1], second[1])
    if width <= 0 or height <= 0:
        return 0.0
    inner = width * height
    outer = first[2] * first[3] + second[2] * second[3] - inner
    return min(1.0, inner / outer) if outer > 0 else 0.0


def centre_inside(box: Box, target: Box) -> bool:
    """Whether the centre of ``box`` lies in ``target`` (edges count), both ``(x, y, w, h)``.

    Example:
        >>> centre_inside((4, 4, 2, 2), (0, 0, 5, 5))
        True
    """
    for each in (box, target):
        _check_box(each)
    x, y = box[0] + box[2] / 2, box[1] + box[3] / 2
    return target[0] <= x <= target[0] + target[2] and target[1] <= y <= target[1] + target[3]


def box_hit_rate(boxes: Sequence[Box | None], targets: Sequence[Sequence[Box]]) -> float:
    """Share of answers whose box has its centre in one of the object's true boxes.

    Args:
        boxes: one box per answer; ``None`` (the whole picture) is a miss.
        targets: for each answer the true boxes in that picture.

    Returns:
        A number in 0 to 1 over the answers with at least one true box; ``nan`` when there is none.
    """
    if len(boxes) != len(targets):
        raise UsageError(f"boxes has {len(boxes)} entries and targets {len(targets)}")
    hits = [
        box is not None and any(centre_inside(box, target) for target in true)
        for box, true in zip(boxes, targets, strict=True)
        if true
    ]
    return sum(hits) / len(hits) if hits else math.nan


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


def bootstrap_interval(
    values: Sequence[float] | FloatArray,
    *,
    groups: Sequence[Hashable] | None = None,
    level: float = 0.95,
    rounds: int = 2000,
    seed: int = 0,
    statistic: Callable[[FloatArray], FloatArray] | None = None,
) -> Interval:
    """Percentile bootstrap of a statistic over questions (Efron 1979).

    Args:
        values: float [Q], one per question, without ``nan``.
        groups: what each question asks about; questions of one group are drawn together, so that
            several questions about one object do not pass for independent ones.
        level: share of the distribution between the ends, in 0 to 1 (exclusive).
        rounds: number of resamples.
        seed: the same seed gives the same interval.
        statistic: maps [R, Q] to [R], row by row; the mean when ``None``. Not with ``groups``.

    Returns:
        The statistic of the values and the ends of its interval. One value gives an interval of
        width zero.

    Example:
        >>> bootstrap_interval([1.0, 1.0, 1.0]).low
        1.0
    """
    sample = _defined(values, "values")
    if not 0 < level < 1:
        raise UsageError(f"level={level!r} is outside 0 to 1")
    if groups is not None and statistic is not None:
        raise UsageError("statistic and groups cannot be given together; leave one out")
    sums, sizes = _grouped(sample, groups)
    rng = np.random.default_rng(seed)
    if statistic is None:
        estimate = float(sample.mean())
        drawn = _resampled_means(sums, sizes, rng, rounds)
    else:
        estimate = float(statistic(sample[None, :])[0])
        drawn = statistic(sample[rng.integers(0, len(sample), size=(rounds, len(sample)))])
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(estimate, float(low), float(high), level)


def paired_bootstrap(
    first: Sequence[float] | FloatArray,
    second: Sequence[float] | FloatArray,
    *,
    groups: Sequence[Hashable] | None = None,
    rounds: int = 10_000,
    seed: int = 0,
) -> tuple[float, float]:
    """Whether two systems differ on the same questions.

    The differences, shifted to a mean of zero, are resampled; the p-value is the share of
    resampled means at least as far from zero as the observed one, counting the observed one itself
    (Efron and Tibshirani 1993, chapter 16).

    Args:
        first: float [Q], the score of each question under one system.
        second: float [Q], the same questions under the other.
        groups: as in ``bootstrap_interval``.
        rounds: number of resamples.
        seed: the same seed gives the same p-value.

    Returns:
        Mean difference (first minus second) and the two-sided p-value in 0 to 1.

    Example:
        >>> paired_bootstrap([0.5, 0.5], [0.5, 0.5])
        (0.0, 1.0)
    """
    a, b = _defined(first, "first"), _defined(second, "second")
    if a.shape != b.shape:
        raise UsageError(f"first has {a.size} scores and second {b.size}; pair them")
    difference = a - b
    observed = float(difference.mean())
    sums, sizes = _grouped(difference - observed, groups)
    drawn = _resampled_means(sums, sizes, np.random.default_rng(seed), rounds)
    extreme = int((np.abs(drawn) >= abs(observed) - 1e-15).sum())
    return observed, (extreme + 1) / (rounds + 1)


def _clean(
    ranking: Sequence[Hashable], relevant: Collection[Hashable], junk: Collection[Hashable]
) -> tuple[list[Hashable], set[Hashable]]:
    skipped = set(junk)
    order = [item for item in ranking if item not in skipped]
    if len(set(order)) != len(order):
        raise UsageError("ranking holds the same id twice; give each id one rank")
    return order, set(relevant) - skipped


def _check_k(k: int) -> None:
    if k < 1:
        raise UsageError(f"k={k!r} must be at least 1")


def _check_box(box: Box) -> None:
    if len(box) != 4 or not all(map(math.isfinite, box)) or box[2] < 0 or box[3] < 0:
        raise UsageError(f"box={box!r} must be (x, y, w, h) with w and h not negative")


def _defined(values: Sequence[float] | FloatArray, name: str) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not array.size or not np.isfinite(array).all():
        raise UsageError(
            f"{name} must be at least one finite number per question (drop nan first); "
            f"got shape {array.shape}"
        )
    return array


def _grouped(
    values: FloatArray, groups: Sequence[Hashable] | None
) -> tuple[FloatArray, FloatArray]:
    if groups is None:
        return values, np.ones_like(values)
    if len(groups) != values.size:
        raise UsageError(f"groups has {len(groups)} entries for {values.size} questions")
    index = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    place = np.array([index[group] for group in groups])
    return np.bincount(place, values).astype(np.float64), np.bincount(place).astype(np.float64)


def _resampled_means(
    sums: FloatArray, sizes: FloatArray, rng: np.random.Generator, rounds: int
) -> FloatArray:
    means = np.empty(rounds)
    for start in range(0, rounds, 500):
        rows = min(500, rounds - start)
        drawn = rng.integers(0, len(sums), size=(rows, len(sums)))
        means[start : start + rows] = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    return means
