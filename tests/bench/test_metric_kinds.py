"""The average precisions, nDCG, mINP and counts against slow references from their definitions."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from needlepoint.bench import metrics
from needlepoint.errors import UsageError

ids = st.lists(st.integers(0, 30), unique=True, max_size=20)
some = st.sets(st.integers(0, 30), max_size=10)
cuts = st.integers(1, 40)

KINDS = {
    "plain": lambda order, wanted, k, junk: metrics.average_precision(order, wanted, junk=junk),
    "found": lambda order, wanted, k, junk: metrics.average_precision_found(
        order, wanted, junk=junk
    ),
    "trapezoid": lambda order, wanted, k, junk: metrics.average_precision_trapezoid(
        order, wanted, junk=junk
    ),
    "at_k": lambda order, wanted, k, junk: metrics.average_precision_at_k(
        order, wanted, k, junk=junk
    ),
    "ties": lambda order, wanted, k, junk: metrics.average_precision_ties(
        order, -np.arange(len(order), dtype=float), wanted, k, junk=junk
    ),
    "ndcg": lambda order, wanted, k, junk: metrics.ndcg(order, wanted, k, junk=junk),
    "inp": lambda order, wanted, k, junk: metrics.inverse_negative_penalty(
        order, wanted, junk=junk
    ),
    "recall": lambda order, wanted, k, junk: metrics.recall_at_k(order, wanted, k, junk=junk),
    "hit": lambda order, wanted, k, junk: metrics.hit_at_k(order, wanted, k, junk=junk),
}
MONOTONE = sorted(set(KINDS) - {"found"})
every = pytest.mark.parametrize("kind", sorted(KINDS))


@every
@given(ids, some, some, cuts)
def test_values_lie_in_0_to_1_or_are_undefined(kind, order, wanted, junk, k):
    value = KINDS[kind](order, wanted, k, junk)
    if wanted - junk:
        assert 0 <= value <= 1 + 1e-12
    else:
        assert math.isnan(value)


@every
@given(ids, some, st.sets(st.integers(31, 40), max_size=5), cuts, st.randoms())
def test_junk_put_anywhere_changes_nothing(kind, order, wanted, junk, k, shuffler):
    longer = list(order)
    for item in sorted(junk):
        longer.insert(shuffler.randint(0, len(longer)), item)
    before = KINDS[kind](order, wanted, k, ())
    after = KINDS[kind](longer, wanted | junk, k, junk)
    assert after == pytest.approx(before, nan_ok=True)


@pytest.mark.parametrize("kind", MONOTONE)
@given(ids.filter(lambda order: len(order) > 1), some.filter(bool), cuts, st.data())
def test_moving_a_relevant_id_up_never_hurts(kind, order, wanted, k, data):
    place = data.draw(st.integers(1, len(order) - 1))
    if order[place] not in wanted:
        return
    better = list(order)
    better[place - 1], better[place] = better[place], better[place - 1]
    assert KINDS[kind](better, wanted, k, ()) >= KINDS[kind](order, wanted, k, ()) - 1e-12


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"recall"}))
@given(ids, some.filter(bool), cuts)
def test_relevant_first_is_best(kind, order, wanted, k):
    perfect = sorted(wanted) + [item for item in order if item not in wanted]
    assert KINDS[kind](perfect, wanted, k, ()) == pytest.approx(1.0)


@every
@given(some.filter(bool), cuts)
def test_an_empty_ranking_scores_nothing(kind, wanted, k):
    assert KINDS[kind]([], wanted, k, ()) == 0.0


@pytest.mark.parametrize("kind", ["at_k", "ties", "ndcg", "recall", "hit"])
@given(ids, some.filter(bool))
def test_a_cut_beyond_the_ranking_takes_all_of_it(kind, order, wanted):
    k = max(len(order), len(wanted))
    assert KINDS[kind](order, wanted, k + 100, ()) == KINDS[kind](order, wanted, max(k, 1), ())


@given(ids, some.filter(bool))
def test_on_complete_rankings_four_of_the_precisions_agree(order, wanted):
    complete = order + sorted(wanted - set(order))
    plain = metrics.average_precision(complete, wanted)
    scores = np.linspace(1, -1, len(complete))
    assert metrics.average_precision_found(complete, wanted) == pytest.approx(plain)
    assert metrics.average_precision_at_k(complete, wanted, len(complete)) == pytest.approx(plain)
    tied = metrics.average_precision_ties(complete, scores, wanted, len(complete))
    assert tied == pytest.approx(plain)
    assert metrics.average_precision_trapezoid(complete, wanted) <= plain + 1e-12


@given(ids, some)
def test_found_precision_ignores_what_was_not_found(order, wanted):
    value = metrics.average_precision_found(order, wanted)
    seen = wanted.intersection(order)
    if seen:
        assert value == pytest.approx(metrics.average_precision(order, seen))
    elif wanted:
        assert value == 0.0


@given(ids, some)
def test_the_trapezoid_is_the_area_under_the_line_through_its_points(order, wanted):
    """Recall after each rank on one axis, precision on the other, starting from (0, 1)."""
    if not wanted:
        return
    area, before_recall, before_precision, hits = 0.0, 0.0, 1.0, 0
    for rank, item in enumerate(order, start=1):
        hits += item in wanted
        recall, precision = hits / len(wanted), hits / rank
        area += (recall - before_recall) * (before_precision + precision) / 2
        before_recall, before_precision = recall, precision
    assert metrics.average_precision_trapezoid(order, wanted) == pytest.approx(area)


@given(ids, some.filter(bool), cuts)
def test_precision_at_k_is_the_sum_over_ranks(order, wanted, k):
    total = 0.0
    for i in range(1, min(k, len(order)) + 1):
        if order[i - 1] in wanted:
            total += sum(item in wanted for item in order[:i]) / i
    expected = total / min(k, len(wanted))
    assert metrics.average_precision_at_k(order, wanted, k) == pytest.approx(expected)


@given(ids, st.lists(st.integers(-2, 2), min_size=20, max_size=20), some.filter(bool), cuts)
def test_tied_precision_steps_through_the_thresholds(order, values, wanted, k):
    """Sum over thresholds of (recall gained) x precision, times hits / min(k, relevant)."""
    scores = np.sort(values[: len(order)])[::-1].astype(float)
    top, kept = order[:k], scores[:k]
    labels = np.array([item in wanted for item in top])
    stepped, recall = 0.0, 0.0
    for threshold in sorted(set(kept), reverse=True):
        taken = labels[kept >= threshold]
        now = taken.sum() / labels.sum() if labels.any() else 0.0
        stepped += (now - recall) * taken.mean()
        recall = now
    expected = stepped * labels.sum() / min(k, len(wanted))
    value = metrics.average_precision_ties(order, scores, wanted, k)
    assert value == pytest.approx(expected)


@given(st.permutations(range(6)), st.sets(st.integers(0, 5), min_size=1))
def test_the_order_inside_a_tie_does_not_matter(order, wanted):
    first = metrics.average_precision_ties(range(6), [1, 1, 1, 0, 0, 0], wanted, 6)
    inside = sorted(order, key=lambda item: item >= 3)
    assert metrics.average_precision_ties(inside, [1, 1, 1, 0, 0, 0], wanted, 6) == first


def test_known_values_of_the_precisions():
    order, wanted = list("axbcd"), set("abz")
    assert metrics.average_precision(order, wanted) == pytest.approx((1 + 2 / 3) / 3)
    assert metrics.average_precision_found(order, wanted) == pytest.approx((1 + 2 / 3) / 2)
    trapezoid = (1 + 1 + 1 / 2 + 2 / 3) / 2 / 3
    assert metrics.average_precision_trapezoid(order, wanted) == pytest.approx(trapezoid)
    assert metrics.average_precision_at_k(order, wanted, 2) == pytest.approx(1 / 2)
    tied = metrics.average_precision_ties(order, [5, 1, 1, 0, 0], wanted, 5)
    assert tied == pytest.approx((1 + 2 / 3) / 3)
    assert metrics.average_precision_ties(order, [1, 1, 1, 0, 0], wanted, 5) == pytest.approx(4 / 9)


def test_scores_must_fall_and_fit():
    for scores in ([0.0, 1.0], [1.0], [1.0, math.nan]):
        with pytest.raises(UsageError, match="scores has shape"):
            metrics.average_precision_ties(["a", "b"], scores, {"a"}, 2)


grades = st.dictionaries(st.integers(0, 30), st.integers(0, 3), max_size=8)


@given(ids, grades, st.one_of(st.none(), cuts), st.booleans())
def test_ndcg_equals_the_definition(order, grade, k, exponential):
    def gain(item):
        return 2 ** grade.get(item, 0) - 1 if exponential else grade.get(item, 0)

    length = len(order) if k is None else k
    dcg = sum(gain(item) / np.log2(i + 2) for i, item in enumerate(order[:length]))
    everything = sorted((gain(item) for item in grade), reverse=True)
    ideal = sum(g / np.log2(i + 2) for i, g in enumerate(everything[:k]))
    expected = dcg / ideal if ideal else math.nan
    value = metrics.ndcg(order, grade, k, exponential=exponential)
    assert value == pytest.approx(expected, nan_ok=True)


def test_ndcg_of_the_best_order_is_the_largest():
    grade = {"a": 3, "b": 2, "c": 0, "d": 1}
    values = {order: metrics.ndcg(order, grade) for order in permutations("abcd")}
    assert max(values, key=values.get) == ("a", "b", "d", "c")
    assert values["a", "b", "d", "c"] == pytest.approx(1.0)


def test_grades_below_zero_are_refused():
    for bad in (-1, math.nan, math.inf):
        with pytest.raises(UsageError, match="grades are 0 or more"):
            metrics.ndcg(["a"], {"a": bad})
    with pytest.raises(UsageError, match="k=0"):
        metrics.ndcg(["a"], {"a"}, 0)


@given(ids, some.filter(bool))
def test_the_penalty_looks_at_the_hardest(order, wanted):
    value = metrics.inverse_negative_penalty(order, wanted)
    if wanted <= set(order):
        hardest = max(order.index(item) + 1 for item in wanted)
        assert value == len(wanted) / hardest
    else:
        assert value == 0.0


@given(ids, some, cuts)
def test_hits_are_counted(order, wanted, k):
    value = metrics.hits_at_k(order, wanted, k)
    if not wanted:
        assert math.isnan(value)
        return
    assert value == sum(item in wanted for item in order[:k])
    assert metrics.hit_at_k(order, wanted, k) == float(value > 0)
    assert metrics.recall_at_k(order, wanted, k) == value / len(wanted)


def test_scores_below_zero_rank_like_any_others():
    ranking = metrics.rank_by_score([-3.0, -1.0, -2.0, -1.0], [0, 1, 2, 3])
    assert ranking == [1, 3, 2, 0]
    assert metrics.average_precision(ranking, {2}) == pytest.approx(1 / 3)


def test_box_hits_by_overlap():
    found = [(0, 0, 2, 2), (0, 0, 4, 3), None]
    true = [[(0, 0, 4, 4)], [(0, 0, 4, 4)], [(0, 0, 1, 1)]]
    assert metrics.box_hit_rate(found, true) == pytest.approx(2 / 3)
    assert metrics.box_hit_rate(found, true, least_iou=0.5) == pytest.approx(1 / 3)
    assert metrics.box_hit_rate(found, true, least_iou=0.75) == pytest.approx(1 / 3)
    assert metrics.box_hit_rate(found, true, least_iou=0.76) == 0.0
    with pytest.raises(UsageError, match="least_iou"):
        metrics.box_hit_rate(found, true, least_iou=0.0)
