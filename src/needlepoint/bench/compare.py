"""Whether two runs differ: the same questions, paired."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from needlepoint.bench.metrics import Interval, bootstrap_interval, paired_bootstrap
from needlepoint.bench.results import Run, load_key, load_run, run_files
from needlepoint.bench.scoring import Answer
from needlepoint.errors import UsageError

MEASURES = ("R@1", "R@5", "R@10", "mAP")
"""Measures with one value a question, which can be paired."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Second minus first over ``questions`` shared questions in ``groups`` groups.

    ``better`` and ``worse`` count the questions on which the second run scores higher and lower;
    ``p`` is two-sided, by bootstrap over groups, for no difference at all.
    """

    measure: str
    first: float
    second: float
    difference: Interval
    p: float
    better: int
    worse: int
    questions: int
    groups: int


def compare(first: Run, second: Run, *, seed: int = 0) -> list[Difference]:
    """The measures of two runs on the questions both were asked.

    Args:
        first, second: runs on the same revision of the same protocol.
        seed: of the bootstrap.

    Raises:
        UsageError: the runs do not belong together.
    """
    for name in ("protocol", "split", "revision", "data"):
        if first.key[name] != second.key[name]:
            raise UsageError(
                f"the runs differ in {name}: {first.key[name]!r} and {second.key[name]!r}. "
                "Compare runs on the same data."
            )
    ours = {one.id: one for one in first.answers}
    theirs = {one.id: one for one in second.answers}
    shared = [name for name in ours if name in theirs]
    if not shared:
        raise UsageError("the runs share no question. Run both with the same --limit-questions.")
    found = []
    for measure in MEASURES:
        pairs = [(_value(ours[n], measure), _value(theirs[n], measure)) for n in shared]
        kept = [i for i, pair in enumerate(pairs) if not any(map(math.isnan, pair))]
        if not kept:
            continue
        groups = [ours[shared[i]].group for i in kept]
        before, after = [pairs[i][0] for i in kept], [pairs[i][1] for i in kept]
        gains = [b - a for a, b in zip(before, after, strict=True)]
        found.append(
            Difference(
                measure,
                sum(before) / len(kept),
                sum(after) / len(kept),
                bootstrap_interval(gains, groups=groups, seed=seed),
                paired_bootstrap(after, before, groups=groups, seed=seed)[1],
                sum(gain > 0 for gain in gains),
                sum(gain < 0 for gain in gains),
                len(kept),
                len(set(groups)),
            )
        )
    return found


def holm(values: Sequence[float]) -> list[float]:
    """P-values of several comparisons, raised so that 0.05 holds for all of them together.

    Holm's step-down procedure (1979): the i-th smallest of n is multiplied by n - i + 1, never
    below the one before it, at most 1.

    Example:
        >>> holm([0.04, 0.01, 0.5])
        [0.08, 0.03, 0.5]
    """
    raised = [0.0] * len(values)
    least = 0.0
    for rank, i in enumerate(sorted(range(len(values)), key=lambda i: values[i])):
        least = max(least, min(1.0, values[i] * (len(values) - rank)))
        raised[i] = least
    return raised


def rivals(first: Run, folder: Path) -> list[Run]:
    """All other runs in a folder on the same data with the same encoder, by file name."""
    found = []
    for path in run_files(folder):
        key = load_key(path)
        same = ("protocol", "split", "revision", "data", "fingerprint", "seed", "limit")
        if key != first.key and all(key[name] == first.key[name] for name in same):
            found.append(load_run(path))
    return found


def _value(answer: Answer, measure: str) -> float:
    if measure == "mAP":
        return answer.average_precision()
    return answer.hit_at(int(measure[2:]))
