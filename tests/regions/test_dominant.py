"""Dominant patches and the vector moved away from them: masks, ties and empty contexts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from needlepoint.errors import UsageError
from needlepoint.regions.dominant import (
    Layers,
    add_mean,
    dominant_patches,
    enhance,
    enhance_released,
    weighted_means,
)

SHARES = st.floats(0, 1, width=32)


def made(patches, width=6, seed=0):
    draw = np.random.default_rng(seed)
    vectors = draw.normal(size=(3, width)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    tokens = draw.normal(size=(3, patches, width)).astype(np.float32)
    return vectors, tokens, draw.random((3, patches)).astype(np.float32)


@given(arrays(np.float32, st.integers(1, 60), elements=SHARES), st.floats(0, 100))
def test_the_mask_is_what_reaches_the_interpolated_quantile(row, percentile):
    """3: at least one patch, at least the upper share of them, ties included."""
    threshold, mask = dominant_patches(row[None], percentile)
    ordered = sorted(float(v) for v in row)
    place = percentile / 100 * (len(row) - 1)
    low = math.floor(place)
    wanted = ordered[low]
    if place > low:
        wanted += (place - low) * (ordered[low + 1] - ordered[low])
    assert threshold[0] == pytest.approx(wanted, abs=1e-9)
    assert (mask[0] == (row.astype(np.float64) >= threshold[0])).all()
    assert mask.any()
    above = len(row) - math.ceil(place - 1e-9)  # order statistics at or above the quantile
    assert mask.sum() >= max(1, above - 1)
    assert mask[0][row == row.max()].all()


@given(arrays(np.float32, (1, 20), elements=SHARES, unique=True))
def test_a_tenth_is_dominant_where_nothing_ties(rows):
    _, mask = dominant_patches(rows)
    assert mask.sum() == 2


@pytest.mark.parametrize("patches", [1, 5, 196])
def test_uniform_attention_leaves_no_context(patches):
    """8: every patch is dominant and the vector stays, bit for bit, also under suppression."""
    vectors, tokens, _ = made(patches)
    flat = np.full((3, patches), np.float32(1 / 7))
    _, mask = dominant_patches(flat)
    assert mask.all()
    np.testing.assert_array_equal(enhance(vectors, tokens, flat, rho_d=0.5), vectors)


def test_mostly_zero_attention_leaves_no_context():
    vectors, tokens, shares = made(40)
    shares[:, 3:] = 0
    threshold, mask = dominant_patches(shares)
    assert (threshold == 0).all()
    assert mask.all()
    np.testing.assert_array_equal(enhance(vectors, tokens, shares), vectors)


def test_a_flat_top_may_exceed_a_tenth():
    row = np.float32([[0.1] * 5 + [0.5] * 5])
    assert dominant_patches(row)[1].sum() == 5


def test_a_picture_without_context_does_not_touch_its_neighbours():
    vectors, tokens, shares = made(20)
    shares[1] = 0.05
    together = enhance(vectors, tokens, shares)
    np.testing.assert_array_equal(together[1], vectors[1])
    for i in (0, 2):
        alone = enhance(vectors[i : i + 1], tokens[i : i + 1], shares[i : i + 1])
        np.testing.assert_allclose(together[i], alone[0], atol=1e-7)
        assert np.abs(together[i] - vectors[i]).max() > 1e-3


@given(st.integers(1, 30), st.floats(0, 1), st.floats(0, 1), st.integers(0, 5))
def test_vectors_stay_unit_and_finite(patches, rho, rho_d, seed):
    vectors, tokens, shares = made(patches, seed=seed)
    got = enhance(vectors, tokens, shares, rho=rho, rho_d=rho_d)
    assert np.isfinite(got).all()
    np.testing.assert_allclose(np.linalg.norm(got, axis=1), 1, atol=1e-5)
    assert got.dtype == np.float32


def test_no_weight_is_the_baseline_bit_for_bit():
    vectors, tokens, shares = made(30)
    np.testing.assert_array_equal(enhance(vectors, tokens, shares, rho=0), vectors)
    assert np.abs(enhance(vectors, tokens, shares, rho=0, rho_d=0.1) - vectors).max() > 1e-3


def test_suppression_turns_away_from_the_dominant_patches():
    vectors, tokens, shares = made(30)
    _, mask = dominant_patches(shares)
    away = weighted_means(tokens, np.where(mask, shares, 0))
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    before = (enhance(vectors, tokens, shares) * away).sum(1)
    after = (enhance(vectors, tokens, shares, rho_d=0.3) * away).sum(1)
    assert (after < before).all()


def test_weighted_means_of_nothing_are_nothing():
    tokens = np.ones((1, 4, 2), np.float32)
    assert weighted_means(tokens, np.zeros((1, 4), np.float32)).tolist() == [[0, 0]]
    assert weighted_means(tokens, np.full((1, 4), 0.1, np.float32))[0] == pytest.approx([1, 1])


def test_released_code_adds_the_bias_where_there_is_no_context():
    """The authors' behaviour under uniform attention, unlike the default's."""
    vectors, tokens, _ = made(10)
    layers = Layers.untrained(6, 6, seed=0)
    got = enhance_released(vectors, tokens, np.full((3, 10), 0.1, np.float32), layers)
    assert (got.context == 0).all()
    np.testing.assert_array_equal(got.projected, np.tile(layers.context_bias, (3, 1)))
    assert np.abs(got.vectors - vectors).max() > 1e-3


def test_untrained_layers_are_drawn_by_seed_alone():
    one, same = (Layers.untrained(8, 4, seed=3) for _ in range(2))
    for name in Layers.__slots__:
        np.testing.assert_array_equal(getattr(one, name), getattr(same, name))
        assert getattr(one, name).dtype == np.float32
    assert np.abs(one.context).max() <= 8**-0.5
    assert np.abs(one.gate).max() <= 8**-0.5  # 2E = 8 inputs
    assert np.abs(one.gate - Layers.untrained(8, 4, seed=4).gate).max() > 0.1
    with pytest.raises(UsageError, match=r"context is \[4, 8\]; .* needs \[4, 9\]"):
        one.check(9, 4)


def test_the_control_adds_the_plain_mean():
    vectors, tokens, _ = made(7)
    got = add_mean(vectors, tokens, 0.5)
    mean = tokens.mean(1)
    mean /= np.linalg.norm(mean, axis=1, keepdims=True)
    wanted = vectors + 0.5 * mean
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    np.testing.assert_allclose(got, wanted, atol=1e-6)
