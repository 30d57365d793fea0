"""Zones and draws: partitions, shifts, orders, blocks."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from needlepoint.train.negatives import (
    AMBIGUOUS,
    EASY,
    MID,
    NEVER,
    Block,
    Bounds,
    Choice,
    gaps_of,
    make_pools,
    stable_keys,
    zones_of,
)

#: sixteenths, so that shifts are exact and ties common
SIXTEENTHS = st.integers(-16, 16).map(lambda n: n / 16)
RULES = st.sampled_from(["trns", "random", "hardest", "qure"])


@st.composite
def blocks(draw):
    rows, columns = draw(st.integers(1, 5)), draw(st.integers(1, 12))
    scores = draw(arrays(np.float32, (rows, columns), elements=SIXTEENTHS))
    targets = np.array(draw(st.lists(st.integers(0, columns - 1), min_size=rows, max_size=rows)))
    eligible = draw(arrays(bool, (rows, columns)))
    eligible[np.arange(rows), targets] = False
    return Block(scores, targets, eligible, stable_keys([f"q{n}" for n in range(rows)]))


@st.composite
def bounds(draw):
    low, high = sorted(draw(st.tuples(SIXTEENTHS, SIXTEENTHS)))
    if draw(st.booleans()):
        return Bounds(low, high)
    return Bounds(abs(low) / 2, 0.5 + abs(high) / 2, "quantile")


def keys_of(block):
    return stable_keys([f"c{n}" for n in range(block.scores.shape[1])])


@given(blocks(), bounds())
@settings(max_examples=80, deadline=None)
def test_zones_partition_the_candidates(block, ends):
    gaps = gaps_of(block.scores, block.targets)
    zones = zones_of(gaps, block.eligible, ends)
    low, high = ends.of(gaps, block.eligible)
    assert ((zones == NEVER) == ~block.eligible).all()
    for zone, where in ((AMBIGUOUS, gaps < low), (EASY, gaps > high), (MID, None)):
        inside = (gaps >= low) & (gaps <= high) if where is None else where
        assert ((zones == zone) == (inside & block.eligible)).all()


@given(blocks(), bounds(), arrays(np.float32, 5, elements=SIXTEENTHS))
@settings(max_examples=80, deadline=None)
def test_a_constant_added_to_a_questions_scores_changes_no_zone(block, ends, shifts):
    moved = block.scores + shifts[: len(block.scores), None]
    before, after = (gaps_of(scores, block.targets) for scores in (block.scores, moved))
    assert (before == after).all()
    assert (zones_of(before, block.eligible, ends) == zones_of(after, block.eligible, ends)).all()


@given(blocks(), bounds(), RULES, st.integers(0, 99))
@settings(max_examples=150, deadline=None)
def test_what_is_sampled_is_eligible_and_in_its_zone_unless_flagged(block, ends, rule, seed):
    choice = Choice(rule, ends, hardest=3, cap=4)
    pools = make_pools([block], choice, keys_of(block), seed=seed)
    gaps = gaps_of(block.scores, block.targets)
    low, high = ends.of(gaps, block.eligible)
    for row in range(len(block.scores)):
        members = pools.members[row]
        assert len(set(members.tolist())) == len(members) <= 4
        assert block.eligible[row, members].all()
        assert (len(members) > 0) == block.eligible[row].any()
        if rule == "trns" and not pools.fallback[row]:
            assert (gaps[row, members] >= low[row]).all()
            assert (gaps[row, members] <= high[row]).all()


@given(blocks(), bounds(), RULES, st.integers(0, 99), st.randoms())
@settings(max_examples=100, deadline=None)
def test_neither_the_order_of_the_gallery_nor_the_size_of_blocks_matters(
    block, ends, rule, seed, random
):
    choice, keys = Choice(rule, ends, hardest=2, cap=3), keys_of(block)
    whole = make_pools([block], choice, keys, seed=seed)
    order = np.array(random.sample(range(len(keys)), len(keys)))
    turned = [
        Block(
            block.scores[[row]][:, order],
            np.flatnonzero(order == block.targets[row]),
            block.eligible[[row]][:, order],
            block.keys[[row]],
        )
        for row in range(len(block.scores))
    ]
    again = make_pools(turned, choice, keys[order], seed=seed)
    for row in range(len(block.scores)):
        assert order[again.members[row]].tolist() == whole.members[row].tolist()
    assert again.fallback.tolist() == whole.fallback.tolist()
