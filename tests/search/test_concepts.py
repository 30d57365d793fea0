"""Special and general words of a text: weights, frequencies, texts without words."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from needlepoint.errors import UsageError
from needlepoint.search.concepts import (
    add_mean_word,
    calibrate,
    calibrate_released,
    common_words,
    released_frequency,
    share_of,
)

TEXTS = st.lists(st.lists(st.integers(0, 9), max_size=6), max_size=8)


def laid_out(texts, length=8):
    """Ids with start 90, end 91, padding 0; and the mask of words."""
    ids = np.zeros((len(texts), length), np.int64)
    words = np.zeros((len(texts), length), bool)
    for i, text in enumerate(texts):
        ids[i, : len(text) + 2] = [90, *text, 91]
        words[i, 1 : len(text) + 1] = True
    return ids, words


def made(count=4, length=8, width=6, seed=0):
    draw = np.random.default_rng(seed)
    vectors = draw.normal(size=(count, width)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    joint = draw.normal(size=(count, length, width)).astype(np.float32)
    attention = draw.random((count, length)).astype(np.float32) / length
    frequency = draw.random((count, length)).astype(np.float32)
    words = np.zeros((count, length), bool)
    for i in range(count):
        words[i, 1 : 2 + i] = True
    return vectors, joint, attention, frequency, words


@given(TEXTS, st.integers(1, 3))
def test_tables_equal_counting_by_hand(texts, batch):
    """Whatever the batches; start, end and padding are no words, though a word may be id 0."""
    parts = [laid_out(texts[i : i + batch]) for i in range(0, len(texts), batch)]
    documents = Counter(one for text in texts for one in set(text))
    counts = Counter(one for text in texts for one in text)
    for counting, told in (("documents", documents), ("counts", counts)):
        table = common_words(parts, counting)
        assert len(table) == (max(told) + 1 if told else 0)
        most = max(told.values(), default=1)
        for one, share in enumerate(table):
            part = told[one] / most
            if counting == "counts":
                part = np.log1p(told[one]) / np.log1p(most)
            assert share == pytest.approx(part, abs=1e-6)


def test_ids_beyond_the_table_were_never_seen():
    table = np.float32([0.5, 1.0])
    assert share_of(table, np.array([[0, 1, 2, 99]])).tolist() == [[0.5, 1.0, 0, 0]]
    assert share_of(np.zeros(0, np.float32), np.array([[0, 7]])).tolist() == [[0, 0]]


@given(st.integers(0, 20), st.floats(0.005, 1), st.floats(0, 2))
def test_weights_sum_to_one_on_words_alone(seed, temperature, lam):
    """7, 8."""
    vectors, joint, attention, frequency, words = made(seed=seed)
    words[2] = False
    got = calibrate(vectors, joint, attention, frequency, words, lam=lam, temperature=temperature)
    for weights in (got.special, got.general):
        assert (weights[~words] == 0).all()
        np.testing.assert_allclose(weights.sum(1), words.any(1), atol=1e-5)
    assert np.isfinite(got.vectors).all()
    np.testing.assert_allclose(np.linalg.norm(got.vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(got.vectors[2], vectors[2])
    assert (got.special_mean[2] == 0).all()


def test_no_weight_is_the_baseline_bit_for_bit():
    vectors, *rest = made()
    np.testing.assert_array_equal(calibrate(vectors, *rest, lam=0).vectors, vectors)
    assert np.abs(calibrate(vectors, *rest, lam=0.1).vectors - vectors).max() > 1e-3


def test_rare_words_are_special_and_common_ones_general():
    vectors, joint, attention, frequency, words = made()
    attention[:] = 0.1
    frequency[3, 1:5] = [0.0, 0.2, 0.9, 1.0]
    got = calibrate(vectors, joint, attention, frequency, words)
    assert np.argmax(got.special[3]) == 1
    assert np.argmax(got.general[3]) == 4
    assert (np.diff(got.special[3, 1:5]) < 0).all()
    assert (np.diff(got.general[3, 1:5]) > 0).all()


def test_one_word_is_special_and_general_at_once():
    """Then both means are the same and the vector stays where it was."""
    vectors, joint, attention, frequency, words = made()
    got = calibrate(vectors, joint, attention, frequency, words)
    np.testing.assert_allclose(got.vectors[0], vectors[0], atol=1e-6)


def test_texts_are_independent_of_each_other():
    """6."""
    together = calibrate(*made()).vectors
    parts = made()
    for i in range(4):
        alone = calibrate(*(part[i : i + 1] for part in parts)).vectors[0]
        np.testing.assert_allclose(together[i], alone, atol=1e-7)


def test_extreme_attention_overflows_nothing():
    vectors, joint, attention, frequency, words = made()
    got = calibrate(vectors, joint, attention * 1e4, frequency, words, temperature=1e-3)
    assert np.isfinite(got.vectors).all()
    np.testing.assert_allclose(got.special.sum(1), 1, atol=1e-5)


def test_released_frequency_is_scaled_by_what_is_scored():
    corpus = np.array([0, 0, 0, 0, 1, 2, 2])
    got = released_frequency(np.array([[1, 2, 9]]), corpus)
    np.testing.assert_allclose(got, [[0.5, 1, 1]], atol=1e-6)  # 9 counts as 2; 2 is the largest
    both = released_frequency(np.array([[1, 2, 9], [0, 0, 0]]), corpus)
    np.testing.assert_allclose(both[0], [0.25, 0.5, 0.5], atol=1e-6)
    batch = released_frequency(np.array([[3, 0, 0], [4, 3, 0]]))
    np.testing.assert_allclose(batch, [[2 / 3, 1, 1], [1 / 3, 2 / 3, 1]], atol=1e-6)


def test_released_weights_reach_into_the_padding():
    vectors, joint, attention, frequency, _ = made()
    ends = np.array([2, 3, 4, 7])
    got = calibrate_released(vectors, joint, attention, frequency, ends)
    np.testing.assert_allclose(got.special.sum(1), 1, atol=1e-5)
    for i, end in enumerate(ends):
        behind = got.general[i, end + 1 :]
        assert (behind == behind[:1]).all()  # score 0 each
        assert (behind > 0).all()
    with pytest.raises(UsageError, match="width 5 to vectors of dim 6"):
        calibrate_released(vectors, joint[:, :, :5], attention, frequency, ends)


def test_the_control_adds_the_plain_mean_of_words():
    vectors, joint, _, _, words = made()
    words[1] = False
    got = add_mean_word(vectors, joint, words, 0.5)
    np.testing.assert_array_equal(got[1], vectors[1])
    tokens = joint[3] / np.linalg.norm(joint[3], axis=1, keepdims=True)
    mean = tokens[words[3]].mean(0)
    wanted = vectors[3] + 0.5 * mean / np.linalg.norm(mean)
    np.testing.assert_allclose(got[3], wanted / np.linalg.norm(wanted), atol=1e-6)
