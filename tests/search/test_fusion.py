"""Fusion of whole and region scores: LARE's equation 4, and bounds that pruning may trust."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from needlepoint.errors import UsageError
from needlepoint.search.fusion import BEST, WHOLE, Fusion

cosine = st.floats(-1, 1, width=32)
tau = st.floats(-1, 1, width=32)


def one(fusion: Fusion, whole: float, region: float) -> float:
    return float(fusion.combine(np.float32([[whole]]), np.float32([[region]]))[0, 0])


def stated(whole: float, region: float, tau: float) -> float:
    """The rule, one pair at a time."""
    if whole >= tau or region <= whole:
        return whole
    gap = region - whole
    return whole + (2 * gap * gap if gap <= 0.25 else gap / 2)


@given(cosine, cosine, tau)
def test_the_gate_follows_the_rule(whole, region, tau):
    assert one(Fusion("gated", tau), whole, region) == pytest.approx(
        stated(whole, region, tau), abs=2e-6
    )


@given(cosine, tau, st.sampled_from(["whole", "best", "regions", "gated"]))
def test_without_regions_the_whole_score_is_untouched(whole, tau, kind):
    assert one(Fusion(kind, tau), whole, -np.inf) == np.float32(whole)


@given(cosine, cosine)
def test_a_gate_that_never_opens_is_the_baseline_bit_for_bit(whole, region):
    assert one(Fusion("gated", -np.inf), whole, region) == np.float32(whole)


@given(cosine, cosine, tau)
def test_between_whole_and_region(whole, region, tau):
    fused = one(Fusion("gated", tau), whole, region)
    assert np.float32(whole) <= fused <= max(np.float32(whole), np.float32(region)) + 1e-6


def test_the_jump_at_tau():
    assert one(Fusion("gated"), 0.2499, 0.6) == pytest.approx(0.425, abs=1e-4)
    assert one(Fusion("gated"), 0.25, 0.6) == 0.25


@given(cosine, cosine, cosine, tau, st.sampled_from(["whole", "best", "regions", "gated"]))
def test_the_bound_holds(whole, region, more, tau, kind):
    fusion = Fusion(kind, tau)
    bound = fusion.at_most(np.float32([[whole]]), np.float32(max(region, more)))[0, 0]
    assert one(fusion, whole, region) <= bound + 1e-6


@given(st.lists(st.tuples(cosine, cosine), min_size=1, max_size=9), tau)
def test_a_matrix_is_its_pairs(pairs, tau):
    whole, region = (np.float32([[pair[i] for pair in pairs]]) for i in (0, 1))
    fused = Fusion("gated", tau).combine(whole, region)[0]
    assert fused.tolist() == [one(Fusion("gated", tau), *pair) for pair in pairs]


def test_best_and_whole():
    assert one(BEST, 0.1, 0.3) == np.float32(0.3)
    assert one(WHOLE, 0.1, 0.3) == np.float32(0.1)


@given(cosine, cosine)
def test_regions_alone_leave_the_whole_out(whole, region):
    assert one(Fusion("regions"), whole, region) == np.float32(region)
    assert not Fusion("regions").settled(np.float32([1.0]))[0]


def test_what_no_region_can_change():
    whole = np.float32([0.1, 0.3, 1.0])
    assert BEST.settled(whole).tolist() == [False, False, True]
    assert WHOLE.settled(whole).all()
    assert Fusion("gated", 0.25).settled(whole).tolist() == [False, True, True]


def test_an_unknown_kind_is_told():
    with pytest.raises(UsageError, match="Allowed: whole, best, regions, gated"):
        Fusion("max")
