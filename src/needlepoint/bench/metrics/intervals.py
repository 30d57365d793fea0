"""Confidence intervals and paired tests over questions, by bootstrap."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from needlepoint.errors import UsageError

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """An estimate with the ends of its confidence interval."""

    estimate: float
    low: float
    high: float
    level: float


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
