"""The official measures of composed questions, question by question.

Which measures a protocol has follows from its name before any bracket:

=================== =================================================================
protocol            measures
=================== =================================================================
``fashioniq/…``     R@10, R@50
``cirr/recall``     R@1, R@5, R@10, R@50
``cirr/subset``     Rs@1, Rs@2, Rs@3
``circo/…``         mAP@k and R@k for k = 5, 10, 25, 50; mAP@10 of each kind of change
``genecis/…``       R@1, R@2, R@3
``patterncom/…``    mAP over hits found; P@k and recall@k for k = 5, 10, 15, 20
``imagenet-r/…``    mAP by the trapezoid rule; P@k and recall@k for k = 10, 50
``minidn/…``        the same for k = 50, 100
``nico/…``          the same for k = 50, 100
``ltll/…``          the same for k = 5, 10
``edits/…``         R@1, R@5, R@10; mAP; R@1 strict
any other           R@1, R@5, R@10; mAP
=================== =================================================================

``R@k`` says whether the target is among the first k, or any relevant picture where none is named
the target; ``recall@k`` is the share of all relevant pictures there. ``P@k`` is the share of the
first k that is relevant; of the four sets of domains it is divided by min(k, relevant) instead,
and their questions without an answer count as 0, both as published.
All values are shares, not percent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from needlepoint.bench.metrics.precision import (
    average_precision,
    average_precision_at_k,
    average_precision_found,
    average_precision_trapezoid,
)
from needlepoint.bench.metrics.ranking import hit_at_k, hits_at_k, mean_defined, recall_at_k
from needlepoint.bench.protocol import Protocol, Question
from needlepoint.errors import UsageError

Values = dict[str, float]
Rule = Callable[[Question, Sequence[str]], Values]

FASHIONIQ = ("dress", "shirt", "toptee")
GENECIS = ("focus-attribute", "change-attribute", "focus-object", "change-object")
PATTERNCOM = ("color", "context", "density", "existence", "quantity", "shape")
"""The protocols over which these datasets state their mean."""

_CIRCO_CUTS = (5, 10, 25, 50)
_PATTERN_CUTS = (5, 10, 15, 20)


def composed_values(
    protocol: Protocol, rankings: Sequence[Sequence[str]]
) -> dict[str, npt.NDArray[np.float64]]:
    """Every measure of the protocol for every question.

    Args:
        protocol: Q questions.
        rankings: Q rankings of gallery ids, best first. They may be cut off after the first n;
            measures without a k take what is missing as never found. What the question leaves out
            (``junk``, and where it has a gallery of its own everything not ``among``) is taken out
            here too.

    Returns:
        float64 [Q] by measure, in 0 to 1; ``nan`` where the question does not count: it has no
        known answer, or is of another kind than the measure.

    Raises:
        UsageError: not Q rankings, an id that the gallery lacks, or one ranked twice.
    """
    if len(rankings) != len(protocol.questions):
        raise UsageError(
            f"rankings has {len(rankings)} entries; protocol {protocol.name} asks "
            f"{len(protocol.questions)} questions: give one ranking a question"
        )
    gallery = {item.id for item in protocol.gallery}
    rule = _rule(protocol.name)
    told: list[Values] = []
    for question, ranking in zip(protocol.questions, rankings, strict=True):
        if not gallery.issuperset(ranking):
            strange = sorted(set(ranking) - gallery)[:3]
            raise UsageError(
                f"rankings: the answer to question {question.id} holds {strange}, which the "
                f"gallery of {protocol.name} lacks"
            )
        told.append(rule(question, left_of(question, ranking)))
    names = dict.fromkeys(name for values in told for name in values)
    return {
        name: np.array([values.get(name, math.nan) for values in told], np.float64)
        for name in names
    }


def left_of(question: Question, ranking: Sequence[str]) -> Sequence[str]:
    """What of a ranking counts: not junk, and only what the question is among where it says so.

    Example:
        >>> left_of(Question("q", frozenset("c"), file="a", junk=frozenset("a")), ["a", "b", "c"])
        ['b', 'c']
    """
    among, junk = question.among, question.junk
    if not among and not junk:
        return ranking
    return [one for one in ranking if one not in junk and (not among or one in among)]


def composed_scores(protocol: Protocol, rankings: Sequence[Sequence[str]]) -> Values:
    """The measures of the protocol, each the mean over the questions that count for it.

    Args and errors are those of ``composed_values``; ``nan`` where no question counts.
    """
    values = composed_values(protocol, rankings)
    return {name: mean_defined(column.tolist())[0] for name, column in values.items()}


def composed_summary(scores: Mapping[str, Mapping[str, float]]) -> Values:
    """What a table states of a dataset in several protocols: the plain mean over them.

    FashionIQ adds ``mean``, of R@10 and R@50 over the categories. CIRR keeps its measures and adds
    ``mean R@5 Rs@1``.

    Args:
        scores: ``composed_scores`` by the name of the protocol, of one dataset read with the same
            options.

    Raises:
        UsageError: none; several datasets or several options, whose mean says nothing; or not all
            protocols of a dataset whose mean is stated over all (FashionIQ, CIRR, GeneCIS,
            PatternCom).

    Example:
        >>> composed_summary({"cirr/recall": {"R@5": 0.5}, "cirr/subset": {"Rs@1": 0.25}})
        {'R@5': 0.5, 'Rs@1': 0.25, 'mean R@5 Rs@1': 0.375}
    """
    kinds = {(name.split("/")[0], name.partition("[")[2]) for name in scores}
    if len(kinds) != 1:
        raise UsageError(
            "scores must be of one dataset under one set of options. Received: "
            f"{', '.join(scores) or 'none'}"
        )
    ((dataset, _),) = kinds
    tasks = {name.partition("[")[0] for name in scores}
    needed = _WHOLE.get(dataset, frozenset())
    if lacking := sorted(needed - tasks):
        raise UsageError(f"scores lacks {', '.join(lacking)}: the figure is stated over all")
    if dataset == "cirr":
        merged = {name: value for values in scores.values() for name, value in values.items()}
        return merged | {"mean R@5 Rs@1": (merged["R@5"] + merged["Rs@1"]) / 2}
    names = dict.fromkeys(name for values in scores.values() for name in values)
    columns = {n: [values.get(n, math.nan) for values in scores.values()] for n in names}
    told = {name: mean_defined(column)[0] for name, column in columns.items()}
    if dataset == "fashioniq":
        told["mean"] = (told["R@10"] + told["R@50"]) / 2
    return told


_WHOLE = {
    "fashioniq": frozenset(f"fashioniq/{one}" for one in FASHIONIQ),
    "cirr": frozenset({"cirr/recall", "cirr/subset"}),
    "genecis": frozenset(f"genecis/{one}" for one in GENECIS),
    "patterncom": frozenset(f"patterncom/{one}" for one in PATTERNCOM),
}


def _rule(name: str) -> Rule:
    task = name.partition("[")[0]
    dataset = task.partition("/")[0]
    return _RULES.get(task) or _RULES.get(dataset) or _any


def _recalls(
    cuts: Sequence[int], letter: str, question: Question, ranking: Sequence[str]
) -> Values:
    wanted = {question.target} if question.target else question.relevant
    return {f"{letter}@{k}": hit_at_k(ranking[:k], wanted, k) for k in cuts}


def _circo(question: Question, ranking: Sequence[str]) -> Values:
    right = question.relevant
    found = {f"mAP@{k}": average_precision_at_k(ranking[:k], right, k) for k in _CIRCO_CUTS}
    kinds = {f"mAP@10 {aspect}": found["mAP@10"] for aspect in question.aspects}
    return found | _recalls(_CIRCO_CUTS, "R", question, ranking) | kinds


def _patterns(question: Question, ranking: Sequence[str]) -> Values:
    right = question.relevant
    found = {"mAP": average_precision_found(ranking, right)}
    found |= {f"P@{k}": hits_at_k(ranking[:k], right, k) / k for k in _PATTERN_CUTS}
    return found | {f"recall@{k}": recall_at_k(ranking[:k], right, k) for k in _PATTERN_CUTS}


def _domains(cuts: Sequence[int], question: Question, ranking: Sequence[str]) -> Values:
    right = question.relevant
    if not right:
        return dict.fromkeys(
            ["mAP", *(f"{name}@{k}" for name in ("P", "recall") for k in cuts)], 0.0
        )
    found = {"mAP": average_precision_trapezoid(ranking, right)}
    found |= {f"P@{k}": hits_at_k(ranking[:k], right, k) / min(k, len(right)) for k in cuts}
    return found | {f"recall@{k}": recall_at_k(ranking[:k], right, k) for k in cuts}


def _edits(question: Question, ranking: Sequence[str]) -> Values:
    right, near = question.relevant, question.near
    found = {f"R@{k}": hit_at_k(ranking, right, k, junk=near) for k in (1, 5, 10)}
    found["mAP"] = average_precision(ranking, right, junk=near)
    return found | {"R@1 strict": hit_at_k(ranking[:1], right, 1)}


def _any(question: Question, ranking: Sequence[str]) -> Values:
    found = _recalls((1, 5, 10), "R", question, ranking)
    return found | {"mAP": average_precision(ranking, question.relevant)}


_RULES: dict[str, Rule] = {
    "fashioniq": partial(_recalls, (10, 50), "R"),
    "cirr/recall": partial(_recalls, (1, 5, 10, 50), "R"),
    "cirr/subset": partial(_recalls, (1, 2, 3), "Rs"),
    "circo": _circo,
    "genecis": partial(_recalls, (1, 2, 3), "R"),
    "patterncom": _patterns,
    "imagenet-r": partial(_domains, (10, 50)),
    "minidn": partial(_domains, (50, 100)),
    "nico": partial(_domains, (50, 100)),
    "ltll": partial(_domains, (5, 10)),
    "edits": _edits,
}
