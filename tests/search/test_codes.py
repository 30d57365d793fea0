"""Codecs: what a vector loses, and that it loses it alone."""

from __future__ import annotations

import numpy as np
import pytest

from needlepoint.errors import UsageError
from needlepoint.search.codes import code_bytes, decode, encode, sign_words, sign_words_of
from store_kit import unit

CODECS = ("f16", "i8", "b4")


def gaussian(count: int, dim: int, seed: int = 0) -> np.ndarray:
    return unit(np.random.default_rng(seed), count, dim)


@pytest.mark.parametrize(("codec", "least"), [("f16", 0.999999), ("i8", 0.9998), ("b4", 0.994)])
@pytest.mark.parametrize("dim", [512, 384, 65])
def test_decoded_vectors_point_where_they_did(codec: str, least: float, dim: int) -> None:
    vectors = gaussian(200, dim)
    cosines = (decode(encode(vectors, codec), codec, dim) * vectors).sum(axis=1)
    assert cosines.mean() > least
    assert cosines.min() > 1 - 3 * (1 - least) - 1e-6


@pytest.mark.parametrize("codec", CODECS)
def test_decoded_vectors_have_unit_length_even_when_far_from_gaussian(codec: str) -> None:
    vectors = np.eye(64, dtype=np.float32)[:10]
    vectors = np.concatenate([vectors, -vectors, np.full((1, 64), 0.125, np.float32)])
    length = np.linalg.norm(decode(encode(vectors, codec), codec, 64), axis=1)
    np.testing.assert_allclose(length, 1, atol=1e-6)


@pytest.mark.parametrize("codec", CODECS)
def test_a_row_does_not_depend_on_its_batch(codec: str) -> None:
    vectors = gaussian(333, 130)
    codes = encode(vectors, codec)
    back = decode(codes, codec, 130)
    for row in (0, 1, 17, 332):
        assert encode(vectors[row : row + 1], codec).tobytes() == codes[row].tobytes()
        assert decode(codes[row : row + 1], codec, 130).tobytes() == back[row].tobytes()


@pytest.mark.parametrize("codec", ["i8", "b4"])
def test_encoding_what_was_decoded_changes_nothing(codec: str) -> None:
    codes = encode(gaussian(300, 256), codec)
    assert encode(decode(codes, codec, 256), codec).tobytes() == codes.tobytes()


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("dim", [1, 2, 7, 63, 64, 65])
def test_bytes_are_as_promised_and_no_rows_are_fine(codec: str, dim: int) -> None:
    vectors = gaussian(3, dim)
    assert encode(vectors, codec).shape == (3, code_bytes(codec, dim))
    none = encode(vectors[:0], codec)
    assert none.shape == (0, code_bytes(codec, dim))
    assert decode(none, codec, dim).shape == (0, dim)
    assert sign_words(none, codec, dim).shape == (-(-dim // 64), 0)


def test_four_bits_use_the_levels_of_max() -> None:
    # all sixteen levels in turn; the mean square error of the quantiser is known: 0.009497
    x = np.random.default_rng(1).standard_normal((2000, 500)).astype(np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    cosine = (decode(encode(x, "b4"), "b4", 500) * x).sum(axis=1).mean()
    assert cosine == pytest.approx(np.sqrt(1 - 0.009497), abs=2e-4)


@pytest.mark.parametrize("dim", [64, 65, 100, 512])
def test_signs_of_four_bits_are_those_of_the_numbers(dim: int) -> None:
    codes = encode(gaussian(50, dim), "b4")
    assert (sign_words(codes, "b4", dim) == sign_words_of(decode(codes, "b4", dim))).all()


@pytest.mark.parametrize("codec", CODECS)
def test_signs_are_taken_after_the_shift(codec: str) -> None:
    vectors = gaussian(40, 70)
    shift = gaussian(1, 70, 9)[0] / 4
    codes = encode(vectors, codec)
    words = sign_words(codes, codec, 70, shift)
    numbers = decode(codes, codec, 70) - shift
    for row in range(40):
        for d in (0, 1, 63, 64, 69):
            bit = int(words[d // 64, row]) >> (d % 64) & 1
            assert bit == (numbers[row, d] >= 0)
    assert (words[1] >> np.uint64(6) == 0).all()


def test_what_cannot_be_encoded_is_named() -> None:
    with pytest.raises(UsageError, match="b5"):
        encode(gaussian(1, 4), "b5")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"\[N, D\]"):
        encode(gaussian(1, 4)[0], "b4")
    with pytest.raises(UsageError, match="dim"):
        code_bytes("b4", 0)
