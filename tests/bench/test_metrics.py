"""Metrics against slow references written from the definitions, and their edge cases."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from needlepoint.bench import metrics
from needlepoint.errors import UsageError

ids = st.lists(st.integers(0, 40), unique=True, max_size=25)
some = st.sets(st.integers(0, 40), max_size=12)
numbers = st.floats(0, 1, allow_nan=False)
boxes = st.tuples(
    st.integers(-20, 20), st.integers(-20, 20), st.integers(0, 15), st.integers(0, 15)
)


def slow_average_precision(ranking, relevant, junk):
    ranking = [item for item in ranking if item not in junk]
    relevant = {item for item in relevant if item not in junk}
    if not relevant:
        return math.nan
    total = 0.0
    for item in relevant:
        if item in ranking:
            rank = ranking.index(item) + 1
            total += len([other for other in ranking[:rank] if other in relevant]) / rank
    return total / len(relevant)


@given(ids, some, some)
def test_average_precision_equals_the_definition(ranking, relevant, junk):
    fast = metrics.average_precision(ranking, relevant, junk=junk)
    slow = slow_average_precision(ranking, relevant, junk)
    assert fast == pytest.approx(slow, nan_ok=True)


@given(ids, some, some, st.integers(1, 60))
def test_recall_and_hit_equal_the_definition(ranking, relevant, junk, k):
    kept = [item for item in ranking if item not in junk][:k]
    wanted = relevant - junk
    recall = metrics.recall_at_k(ranking, relevant, k, junk=junk)
    hit = metrics.hit_at_k(ranking, relevant, k, junk=junk)
    if not wanted:
        assert math.isnan(recall)
        assert math.isnan(hit)
    else:
        assert recall == sum(item in kept for item in wanted) / len(wanted)
        assert hit == (1.0 if any(item in kept for item in wanted) else 0.0)


@given(ids, some)
def test_average_precision_is_bounded_and_best_when_relevant_come_first(ranking, relevant):
    value = metrics.average_precision(ranking, relevant)
    if relevant:
        assert 0 <= value <= 1
        perfect = sorted(relevant) + [item for item in ranking if item not in relevant]
        assert metrics.average_precision(perfect, relevant) == pytest.approx(1.0)


@given(ids.filter(lambda items: len(items) > 1), some, st.data())
def test_moving_a_relevant_id_up_never_hurts(ranking, relevant, data):
    place = data.draw(st.integers(1, len(ranking) - 1))
    if ranking[place] not in relevant:
        return
    better = list(ranking)
    better[place - 1], better[place] = better[place], better[place - 1]
    before = metrics.average_precision(ranking, relevant)
    assert metrics.average_precision(better, relevant) >= before - 1e-12


@given(ids, some, st.integers(0, 25))
def test_a_cut_ranking_never_scores_more(ranking, relevant, length):
    if relevant:
        whole = metrics.average_precision(ranking, relevant)
        assert metrics.average_precision(ranking[:length], relevant) <= whole + 1e-12


def test_known_values():
    assert metrics.average_precision(list("abcd"), {"a", "c", "z"}) == pytest.approx(5 / 9)
    assert metrics.average_precision([], {"a"}) == 0.0
    assert math.isnan(metrics.average_precision(["a"], set()))
    assert metrics.average_precision(list("jab"), {"a"}, junk={"j"}) == 1.0
    assert metrics.recall_at_k(list("ab"), {"a", "b"}, 10) == 1.0


def test_an_id_ranked_twice_and_k_of_zero_are_refused():
    with pytest.raises(UsageError, match="same id twice"):
        metrics.average_precision(["a", "a"], {"a"})
    with pytest.raises(UsageError, match="k=0"):
        metrics.recall_at_k(["a"], {"a"}, 0)


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_ties_go_to_the_lower_id_whatever_the_order(scores, shuffler):
    pairs = list(enumerate(scores))
    shuffler.shuffle(pairs)
    ranking = metrics.rank_by_score([score for _, score in pairs], [key for key, _ in pairs])
    assert ranking == sorted(range(len(scores)), key=lambda key: (-scores[key], key))


def test_nan_scores_are_refused():
    with pytest.raises(UsageError, match="nan"):
        metrics.rank_by_score([0.1, math.nan], [1, 2])


@pytest.mark.parametrize(("relevant", "total"), [(1, 1), (1, 4), (2, 5), (3, 5), (5, 5)])
def test_chance_equals_the_mean_over_all_orders(relevant, total):
    wanted = set(range(relevant))
    values = [metrics.average_precision(order, wanted) for order in permutations(range(total))]
    assert metrics.expected_average_precision(relevant, total) == pytest.approx(np.mean(values))


@given(boxes, boxes)
def test_iou_equals_counting_unit_squares(first, second):
    def squares(box):
        x, y, w, h = box
        return {(a, b) for a in range(x, x + w) for b in range(y, y + h)}

    one, two = squares(first), squares(second)
    expected = len(one & two) / len(one | two) if one | two else 0.0
    assert metrics.iou(first, second) == pytest.approx(expected)
    assert metrics.iou(first, second) == metrics.iou(second, first)


def test_boxes_that_are_no_boxes_are_refused():
    with pytest.raises(UsageError, match="not negative"):
        metrics.iou((0, 0, -1, 2), (0, 0, 1, 1))
    with pytest.raises(UsageError, match="not negative"):
        metrics.centre_inside((0, 0, math.nan, 2), (0, 0, 1, 1))


def test_box_hits_count_only_answers_with_a_true_box():
    found = [(0, 0, 2, 2), (9, 9, 2, 2), None, (0, 0, 1, 1)]
    true = [[(5, 5, 1, 1), (1, 1, 1, 1)], [(0, 0, 4, 4)], [(0, 0, 1, 1)], []]
    assert metrics.box_hit_rate(found, true) == pytest.approx(1 / 3)
    assert math.isnan(metrics.box_hit_rate([None], [[]]))


def test_mean_defined_of_nothing_is_nan():
    assert math.isnan(metrics.mean_defined([])[0])
    assert metrics.mean_defined([math.nan])[1] == 1


@settings(max_examples=25)
@given(st.lists(numbers, min_size=1, max_size=30), st.integers(0, 5))
def test_intervals_hold_the_estimate_in_range_and_repeat(values, seed):
    first = metrics.bootstrap_interval(values, rounds=200, seed=seed)
    assert first == metrics.bootstrap_interval(values, rounds=200, seed=seed)
    assert min(values) - 1e-9 <= first.low <= first.high <= max(values) + 1e-9
    assert first.estimate == pytest.approx(np.mean(values))


def test_the_interval_has_the_width_theory_gives():
    values = np.random.default_rng(0).normal(size=400)
    interval = metrics.bootstrap_interval(values, rounds=4000)
    width = interval.high - interval.low
    assert width == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)


def test_questions_of_one_object_are_drawn_together():
    values = np.repeat(np.random.default_rng(1).random(20), 10)
    alone = metrics.bootstrap_interval(values)
    together = metrics.bootstrap_interval(values, groups=list(np.repeat(range(20), 10)))
    assert together.high - together.low > 2 * (alone.high - alone.low)
    assert together.estimate == pytest.approx(alone.estimate)


def test_a_statistic_of_ones_own():
    interval = metrics.bootstrap_interval(
        [0.0, 1.0, 2.0], statistic=lambda rows: np.median(rows, axis=1)
    )
    assert interval.estimate == 1.0


def test_the_paired_test_finds_a_difference_and_no_difference():
    rng = np.random.default_rng(3)
    first = rng.random(200)
    noise = rng.normal(0, 0.05, 200)
    assert metrics.paired_bootstrap(first + 0.05 + noise, first)[1] < 0.001
    assert metrics.paired_bootstrap(first + noise - noise.mean(), first)[1] > 0.9
    there, back = (
        metrics.paired_bootstrap(first + noise, first),
        metrics.paired_bootstrap(first, first + noise),
    )
    assert there[0] == pytest.approx(-back[0])


def test_under_no_difference_p_values_are_spread_evenly():
    rng = np.random.default_rng(5)
    values = [
        metrics.paired_bootstrap(rng.random(60), rng.random(60), rounds=400, seed=run)[1]
        for run in range(150)
    ]
    assert 0.01 <= np.mean(np.array(values) < 0.1) <= 0.2


def test_what_cannot_be_resampled_is_refused():
    with pytest.raises(UsageError, match="nan"):
        metrics.bootstrap_interval([1.0, math.nan])
    with pytest.raises(UsageError, match="pair"):
        metrics.paired_bootstrap([1.0], [1.0, 2.0])
    with pytest.raises(UsageError, match="level"):
        metrics.bootstrap_interval([1.0], level=1.0)
    with pytest.raises(UsageError, match="groups"):
        metrics.bootstrap_interval([1.0], groups=["a", "b"])
