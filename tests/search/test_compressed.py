"""Guessing from bits: the counting is right, the guess unbiased, the neighbours kept."""

from __future__ import annotations

import numpy as np
import pytest

from needlepoint.search.codes import sign_words_of
from needlepoint.search.compressed import bit_probe, fit_decoder, guesses, penalties
from store_kit import unit


def rotated(rng: np.random.Generator, dim: int, decay: float) -> np.ndarray:
    turn = np.linalg.qr(rng.standard_normal((dim, dim)))[0]
    return ((np.arange(dim) + 1.0) ** -decay)[:, None] * turn


@pytest.mark.parametrize("planes", [1, 2, 4])
@pytest.mark.parametrize("dim", [64, 100, 512])
def test_penalties_count_what_differs(planes: int, dim: int) -> None:
    rng = np.random.default_rng(dim)
    x, weights = rng.standard_normal((300, dim)), rng.standard_normal(dim).astype(np.float32)
    ready = bit_probe(0.5, weights, planes)
    levels = np.minimum(np.rint(np.abs(weights) / ready.step), (1 << planes) - 1)
    differ = (x >= 0) != (weights >= 0)
    penalty = penalties(sign_words_of(x), ready)
    assert penalty.tolist() == (differ * levels).sum(axis=1).astype(int).tolist()
    signs = np.where(x >= 0, 1, -1) * np.sign(weights)
    expected = 0.5 + ready.step * (signs * levels).sum(axis=1)
    np.testing.assert_allclose(guesses(penalty, ready), expected, atol=1e-4)


def test_blocks_and_cores_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    words = sign_words_of(rng.standard_normal((1000, 128)))
    ready = bit_probe(0.0, rng.standard_normal(128).astype(np.float32), 2)
    whole = penalties(words, ready)
    monkeypatch.setattr("needlepoint.search.compressed._BLOCK", 7)
    for cores in (1, 2, 9):
        monkeypatch.setattr("needlepoint.search.cores._cores", lambda cores=cores: cores)
        assert (penalties(words, ready) == whole).all()


@pytest.mark.parametrize("decay", [0.0, 0.5])
@pytest.mark.parametrize("lean", [0.0, 0.8])
def test_guesses_are_unbiased_and_close(decay: float, lean: float) -> None:
    rng = np.random.default_rng(4)
    basis, mean = rotated(rng, 128, decay), unit(rng, 128)
    x = unit_rows(unit_rows(rng.standard_normal((6000, 128)) @ basis) + lean * mean)
    decoder = fit_decoder(x[:4000])
    for question in (x[5000], unit(rng, 128), mean):
        ready = bit_probe(*decoder.weigh(question), 4)
        error = guesses(penalties(sign_words_of(x[4000:] - decoder.shift), ready), ready)
        error -= x[4000:] @ question
        assert abs(error.mean()) < 0.01
        assert error.std() < 0.06


def unit_rows(x: np.ndarray) -> np.ndarray:
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def test_questions_of_another_modality_keep_their_neighbours() -> None:
    """Texts point where pictures do not vary; bare signs of a question lose most neighbours."""
    rng = np.random.default_rng(7)
    dim, count = 256, 6000
    basis = rotated(rng, dim, 0.3)
    basis[-2:] = 0
    pictures_mean, texts_mean = np.linalg.qr(rng.standard_normal((dim, 2)))[0].T
    free = np.eye(dim) - np.outer(pictures_mean, pictures_mean) - np.outer(texts_mean, texts_mean)
    inner = unit_rows(rng.standard_normal((count, dim)) @ basis @ free)
    x = unit_rows(inner + 0.75 * pictures_mean)
    texts = unit_rows(0.35 * inner[:40] + 0.25 * unit(rng, 40, dim) + 0.9 * texts_mean)
    decoder = fit_decoder(x[::2])
    fitted = bare = 0
    plain = sign_words_of(x)
    shifted = sign_words_of(x - decoder.shift)
    for text in texts:
        best = set(np.argsort(-(x @ text))[:10].tolist())
        ready = bit_probe(*decoder.weigh(text), 4)
        fitted += len(best & set(np.argsort(penalties(shifted, ready))[:300].tolist()))
        signs = bit_probe(0.0, np.where(text >= 0, 1, -1).astype(np.float32), 1)
        bare += len(best & set(np.argsort(penalties(plain, signs))[:300].tolist()))
    assert fitted / 400 > 0.95
    assert fitted > bare + 40


def test_few_or_no_vectors_still_give_a_decoder() -> None:
    for count in (0, 1, 3):
        decoder = fit_decoder(unit(np.random.default_rng(0), 5, 16)[:count])
        assert np.isfinite(decoder.matrix).all()
        assert np.isfinite(decoder.centre).all()
