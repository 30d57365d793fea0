"""Negatives chosen by their gap: what each rule takes, what it never does, and how it is drawn."""

from __future__ import annotations

import numpy as np
import pytest

from needlepoint.errors import UsageError
from needlepoint.train.negatives import (
    Block,
    Bounds,
    Choice,
    Pools,
    make_pools,
    stable_keys,
)
from needlepoint.train.ragged import Lists


def pools(scores, choice, *, target=0, barred=(), seed=0):
    """Sets of one question; its target is a column of the scores."""
    row = np.array([scores], np.float32)
    eligible = np.ones(row.shape, bool)
    eligible[0, [target, *barred]] = False
    block = Block(row, np.array([target]), eligible, stable_keys(["q"]))
    return make_pools([block], choice, stable_keys([str(n) for n in range(len(scores))]), seed=seed)


def taken(found):
    return sorted(found.members[0].tolist())


def test_the_middle_zone_has_both_its_ends_inside():
    scores = [0.75, 0.8, 0.75, 0.6875, 0.625, 0.5, 0.25, 0.1875]
    found = pools(scores, Choice("trns", Bounds(0.125, 0.5)))
    assert taken(found) == [4, 5, 6]
    assert found.gaps[np.argsort(found.members[0])].tolist() == [0.125, 0.25, 0.5]
    assert not found.fallback.any()
    assert taken(pools(scores, Choice("trns", Bounds(0.125, 0.5)), barred=(5,))) == [4, 6]


def test_bounds_may_be_shares_of_a_questions_own_gaps():
    scores = [1.0, 0.9, 0.8, 0.7, 0.6, 0.5]
    assert taken(pools(scores, Choice("trns", Bounds(0.25, 0.75, "quantile")))) == [2, 3, 4]
    lower = [1.0, 0.99, 0.98, 0.97, 0.96, 0.95]
    assert taken(pools(lower, Choice("trns", Bounds(0.25, 0.75, "quantile")))) == [2, 3, 4]


def test_an_empty_zone_falls_back_to_the_nearest_gap_and_says_so():
    outranked = pools([0.1, 0.5, 0.9, 0.3], Choice("trns"))
    assert taken(outranked) == [3]
    assert outranked.fallback.all()
    alone = pools([0.5, 0.4], Choice("trns"), barred=(1,))
    assert taken(alone) == []
    assert alone.fallback.all()


def test_the_hardest_are_the_best_scored_whether_above_or_below_the_target():
    scores = [0.5, 0.9, 0.1, 0.4, 0.6, 0.3]
    assert taken(pools(scores, Choice("hardest", hardest=3))) == [1, 3, 4]
    assert taken(pools(scores, Choice("hardest", hardest=3), barred=(4,))) == [1, 3, 5]
    assert len(taken(pools([0.5, 0.2, 0.2, 0.2], Choice("hardest", hardest=2)))) == 2
    assert taken(pools([0.5, 0.2], Choice("hardest", hardest=9))) == [1]


def test_qures_rule_takes_what_lies_between_the_two_steepest_drops():
    #         target  drop 0.02 ...   0.2          0.02  0.02  0.3
    scores = [0.9, 0.88, 0.86, 0.66, 0.64, 0.62, 0.32, 0.3]
    assert taken(pools(scores, Choice("qure"))) == [3, 4, 5]
    # above the target there are no drops to look at
    assert taken(pools([*scores, 0.95, 0.99], Choice("qure"))) == [3, 4, 5]
    # the second steepest is next to the steepest: the third is taken
    close = [0.9, 0.88, 0.68, 0.38, 0.36, 0.26, 0.25]
    assert taken(pools(close, Choice("qure"))) == [3, 4]


def test_qures_rule_needs_two_drops_apart():
    few = pools([0.9, 0.8, 0.5], Choice("qure"))
    assert taken(few) == [1, 2]
    assert few.fallback.all()
    none = pools([0.1, 0.8, 0.5], Choice("qure"))
    assert taken(none) == [2]
    assert none.fallback.all()


def test_a_cap_thins_out_at_random_and_by_the_seed():
    scores = np.linspace(0.9, 0.1, 60)
    whole = set(taken(pools(scores, Choice("random", cap=100))))
    drawn = [taken(pools(scores, Choice("random", cap=10), seed=seed)) for seed in (0, 0, 1)]
    assert whole == set(range(1, 60))
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(drawn[0]) == 10


def test_members_are_drawn_evenly():
    scores = np.full(21, 0.5)
    first = [pools(scores, Choice("random"), seed=seed).members[0][0] for seed in range(2000)]
    counts = np.bincount(first, minlength=21)[1:]
    assert counts.min() > 60  # 100 are expected of each; below 60 by chance once in 10 000
    assert counts.max() < 145


def test_nothing_comes_twice_before_all_have_come():
    found = Pools(Lists.of([[7, 8, 9], [], [5]]), np.zeros(4), np.zeros(3, bool))
    rows, given = found.draw(np.array([0, 2, 1]), 2, 0)
    assert given.tolist() == [[True, True], [True, False], [False, False]]
    assert rows[given].tolist() == [7, 8, 5]
    assert [found.draw(np.array([0]), 2, turn)[0][0].tolist() for turn in (1, 2, 3)] == [
        [9, 7],
        [8, 9],
        [7, 8],
    ]
    assert found.draw(np.array([0]), 5, 0)[1][0].tolist() == [True, True, True, False, False]


def test_sets_come_back_from_disk(tmp_path):
    found = pools([0.5, 0.4, 0.3, 0.45], Choice("trns"))
    found.save(tmp_path / "sets.npz")
    again = Pools.load(tmp_path / "sets.npz")
    assert taken(again) == taken(found)
    assert again.gaps.tolist() == found.gaps.tolist()
    assert [path.name for path in tmp_path.iterdir()] == ["sets.npz"]


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Bounds(0.3, 0.1), "low must not be above high"),
        (lambda: Bounds(0.1, 1.1, "quantile"), "quantiles are 0 to 1"),
        (lambda: Bounds(by="rank"), "gap or quantile"),
        (lambda: Choice("easiest"), "trns, random, hardest, qure"),
        (lambda: Choice(cap=0), "cap: must be at least 1"),
    ],
)
def test_what_makes_no_sense_is_refused(make, told):
    with pytest.raises(UsageError, match=told):
        make()
