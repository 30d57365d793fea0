"""Measures of composed questions against the slow reference, on drawn questions and rankings."""

from __future__ import annotations

import math

import numpy as np
import pytest
from slow_composed import measures

from needlepoint.bench.metrics import composed_scores, composed_values
from needlepoint.bench.protocol import Item, Protocol, Question

TASKS = (
    "fashioniq/dress",
    "cirr/recall",
    "cirr/subset",
    "genecis/focus-object",
    "circo/changes",
    "patterncom/color",
    "ltll/today-to-archive",
    "edits/dev",
    "own/colour",
)
KINDS = ("addition", "negation", "viewpoint")


def drawn(task, seed, size=70, count=25):
    """Questions of every sort, some without an answer, and rankings that may be cut off."""
    rng = np.random.default_rng(seed)
    names = [f"p{n}" for n in range(size)]
    questions, rankings = [], []
    for number in range(count):
        order = rng.permutation(names).tolist()
        junk = set(order[:1]) if number % 2 else set()
        right = [n for n in order[1 : 1 + int(rng.integers(0, 15))] if n not in junk]
        target = right[0] if right and number % 3 else ""
        among = {*order[: int(rng.integers(20, size))]} if number % 4 == 0 else set()
        near = [n for n in order[20:23] if not among or n in among]
        questions.append(
            Question(
                id=str(number),
                relevant=frozenset(right),
                file="r.jpg",
                changes=("in red",),
                junk=frozenset(junk),
                target=target,
                among=frozenset(among),
                near=frozenset(near),
                aspects=tuple(KINDS[: int(rng.integers(0, 4))]),
            )
        )
        rankings.append(rng.permutation(names).tolist()[: int(rng.integers(9, size + 1))])
    gallery = tuple(Item(name, f"{name}.jpg") for name in names)
    return Protocol(task, "val", ".", gallery, tuple(questions)), rankings


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("seed", range(3))
def test_every_question_has_the_value_of_the_reference(task, seed):
    protocol, rankings = drawn(task, seed)
    found = composed_values(protocol, rankings)
    for number, (question, ranking) in enumerate(zip(protocol.questions, rankings, strict=True)):
        if question.relevant:
            slow = measures(task, question, ranking)
        else:
            nothing = 0.0 if task.startswith("ltll") else math.nan
            slow = dict.fromkeys(found, nothing)
        told = {name: column[number] for name, column in found.items()}
        expected = {name: slow.get(name, math.nan) for name in found}
        assert told == pytest.approx(expected, nan_ok=True, abs=1e-12)


@pytest.mark.parametrize("task", TASKS)
def test_scores_are_the_means_of_questions_that_count(task):
    protocol, rankings = drawn(task, 9)
    slow: dict[str, list[float]] = {}
    for question, ranking in zip(protocol.questions, rankings, strict=True):
        if question.relevant:
            for name, value in measures(task, question, ranking).items():
                slow.setdefault(name, []).append(value)
        elif task.startswith("ltll"):
            for name in composed_scores(protocol, rankings):
                slow.setdefault(name, []).append(0.0)
    means = {name: sum(values) / len(values) for name, values in slow.items()}
    assert composed_scores(protocol, rankings) == pytest.approx(means, abs=1e-12)
