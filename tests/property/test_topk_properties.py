"""The order of answers: by score, then id; a longer list begins with the shorter one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from needlepoint.errors import UsageError
from needlepoint.search.codes import encode
from needlepoint.search.exact import best_of, dots, scan, segment_max, slack
from needlepoint.search.topk import at_least_kth, fuse, top_k
from store_kit import unit

# few distinct values, so that ties are common; below zero too
scores = st.lists(st.sampled_from([-1.0, -0.25, 0.0, 0.25, 0.25000003, 1.0]), max_size=60)


@given(scores, st.integers(1, 80), st.randoms())
def test_top_k_is_the_sorted_list_cut(values: list[float], k: int, random: object) -> None:
    score = np.array(values, np.float32)
    ids = np.arange(len(values), dtype=np.int64) * 3 + 1
    random.shuffle(ids)  # type: ignore[attr-defined]
    expected = sorted(range(len(values)), key=lambda i: (-score[i], ids[i]))[:k]
    assert top_k(score, ids, k).tolist() == expected


@given(scores, st.integers(1, 40), st.integers(1, 40))
def test_a_longer_list_begins_with_the_shorter(values: list[float], j: int, k: int) -> None:
    score, ids = np.array(values, np.float32), np.arange(len(values), dtype=np.int64)
    small, large = sorted((j, k))
    assert top_k(score, ids, large)[:small].tolist() == top_k(score, ids, small).tolist()


@given(scores, st.integers(1, 40), st.floats(0, 0.5))
def test_the_margin_keeps_whatever_may_belong(values: list[float], k: int, margin: float) -> None:
    score = np.array(values, np.float32)
    kept = set(at_least_kth(score, k, margin).tolist())
    assert set(top_k(score, np.arange(len(score)), k).tolist()) <= kept


@pytest.mark.parametrize("k", [0, -3, True, 2.0, "5"])
def test_a_k_that_is_no_count_is_refused(k: object) -> None:
    with pytest.raises(UsageError, match="k must be"):
        top_k(np.zeros(3, np.float32), np.arange(3), k)  # type: ignore[arg-type]


@given(st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_fusing_is_the_weighted_sum(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    parts = rng.standard_normal((7, count)).astype(np.float32)
    weights, means = rng.standard_normal(count) + 3, rng.standard_normal(count)
    stds = rng.random(count) + 0.1
    expected = ((parts - means) / stds * weights).sum(axis=1) / np.abs(weights).sum()
    np.testing.assert_allclose(fuse(parts, weights, means, stds), expected, rtol=1e-5, atol=1e-6)


def test_one_plain_probe_keeps_its_cosine() -> None:
    parts = np.float32([[0.1], [-0.7], [0.30000001]])
    one = np.ones(1)
    assert fuse(parts, one, 0 * one, one).tobytes() == parts[:, 0].tobytes()


@pytest.mark.parametrize("bad", [(0.0, 0.0, 1.0), (1.0, np.nan, 1.0), (1.0, 0.0, 0.0)])
def test_weights_that_mean_nothing_are_refused(bad: tuple[float, float, float]) -> None:
    weight, mean, std = (np.array([x]) for x in bad)
    with pytest.raises(UsageError):
        fuse(np.zeros((1, 1), np.float32), weight, mean, std)


@given(st.sampled_from(["f16", "i8", "b4"]), st.integers(2, 90), st.integers(0, 2**32 - 1))
def test_a_scan_is_within_its_slack_of_the_canonical_score(codec: str, dim: int, seed: int) -> None:
    from needlepoint.search.codes import decode

    rng = np.random.default_rng(seed)
    codes, probes = encode(unit(rng, 9, dim), codec), unit(rng, 3, dim)
    canonical = dots(decode(codes, codec, dim), probes)
    assert np.abs(scan(codes, codec, probes) - canonical).max() <= slack(dim)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=12), st.integers(0, 2**32 - 1))
def test_segments_with_nothing_in_them_are_minus_infinity(counts: list[int], seed: int) -> None:
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    values = np.random.default_rng(seed).standard_normal((offsets[-1], 2)).astype(np.float32)
    best = segment_max(values, offsets)
    for i, count in enumerate(counts):
        rows = values[offsets[i] : offsets[i + 1]]
        expected = rows.max(axis=0) if count else np.full(2, -np.inf)
        assert best[i].tolist() == expected.tolist()


@given(st.integers(0, 6), st.integers(0, 2**32 - 1))
def test_canonical_scores_do_not_depend_on_company(regions: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    whole, rows, probes = unit(rng, 40), unit(rng, regions, 40), unit(rng, 3, 40)
    wholes, best, which = best_of(whole, rows, probes)
    for v in range(3):
        one = probes[v : v + 1]
        alone, region, there = best_of(whole, rows, one)
        assert (alone[0], region[0], there[0]) == (wholes[v], best[v], which[v])
        assert wholes[v] == dots(whole[None], one)[0, 0]
        every = [(dots(rows[r : r + 1], one)[0, 0], r) for r in range(regions)]
        assert best[v] == max((score for score, _ in every), default=-np.inf)
        assert which[v] == next((r for score, r in every if score == best[v]), -1)
