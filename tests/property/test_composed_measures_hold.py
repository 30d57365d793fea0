"""What holds of the measures of composed questions for every ranking."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from needlepoint.bench.metrics import composed_scores, composed_values
from needlepoint.bench.protocol import Item, Protocol, Question

NAMES = tuple(f"p{n}" for n in range(24))
TASKS = (
    "fashioniq/dress[gallery=split]",
    "cirr/recall",
    "cirr/subset",
    "circo/changes[gallery=unlabeled]",
    "genecis/change-object",
    "patterncom/shape",
    "nico/rock-to-water",
    "own/task",
)

tasks = st.sampled_from(TASKS)
orders = st.permutations(NAMES)
some = st.frozensets(st.sampled_from(NAMES), min_size=1, max_size=8)
wide = settings(max_examples=40, deadline=None)


def asked(task, *questions):
    gallery = tuple(Item(name, f"{name}.jpg") for name in NAMES)
    return Protocol(task, "val", ".", gallery, questions)


def question(relevant, **told):
    target = min(relevant) if relevant else ""
    return Question("q", relevant, file="r.jpg", changes=("in red",), target=target, **told)


@wide
@given(tasks, orders, some)
def test_values_are_shares(task, order, relevant):
    for column in composed_values(asked(task, question(relevant)), [order]).values():
        assert 0 <= column[0] <= 1


@wide
@given(tasks, orders, some)
def test_all_right_ones_first_is_best(task, order, relevant):
    """But for precision at k, which cannot reach 1 with fewer right ones, and recall at k."""
    best = [min(relevant), *sorted(relevant - {min(relevant)})]
    best += [name for name in order if name not in relevant]
    protocol = asked(task, question(relevant))
    for name, value in composed_scores(protocol, [best]).items():
        assert value >= composed_scores(protocol, [order])[name]
        if name.startswith(("R@", "Rs@", "mAP")):
            assert value == 1


@wide
@given(tasks, orders, some, st.integers(0, 30))
def test_what_is_cut_off_never_helps(task, order, relevant, length):
    """But for the mean over hits found, which knows nothing of those it lacks."""
    protocol = asked(task, question(relevant))
    whole, cut = (composed_scores(protocol, [one]) for one in (order, order[:length]))
    for name in whole:
        if (task, name) != ("patterncom/shape", "mAP"):
            assert cut[name] <= whole[name] + 1e-12


@wide
@given(tasks, orders, some, some)
def test_junk_anywhere_changes_nothing(task, order, relevant, junk):
    one = question(relevant - junk, junk=junk)
    without = [name for name in order if name not in junk]
    protocol = asked(task, one)
    first, last = [*sorted(junk), *without], [*without, *sorted(junk)]
    told = [composed_scores(protocol, [ranking]) for ranking in (order, first, last, without)]
    for other in told[1:]:
        np.testing.assert_equal(other, told[0])


@wide
@given(tasks, orders, some, some)
def test_a_gallery_of_its_own_is_all_that_is_ranked(task, order, relevant, others):
    among = relevant | others
    protocol = asked(task, question(relevant, among=among))
    outside = [name for name in order if name not in among]
    inside = [name for name in order if name in among]
    assert composed_scores(protocol, [outside + inside]) == composed_scores(protocol, [inside])


@wide
@given(tasks, orders, some, st.randoms())
def test_questions_are_independent_and_their_order_does_not_matter(task, order, relevant, random):
    others = [replace(question(frozenset({name})), id=name) for name in order[:5]]
    questions = [question(relevant), *others]
    rankings = [order, *(random.sample(NAMES, len(NAMES)) for _ in others)]
    whole = composed_values(asked(task, *questions), rankings)
    turned = composed_values(asked(task, *questions[::-1]), rankings[::-1])
    alone = composed_values(asked(task, questions[0]), rankings[:1])
    for name, column in whole.items():
        np.testing.assert_array_equal(turned[name][::-1], column)
        assert alone[name][0] == column[0]


@wide
@given(tasks, orders)
def test_nothing_ranked_finds_nothing(task, order):
    for value in composed_scores(asked(task, question(frozenset(order[:3]))), [[]]).values():
        assert value == 0
