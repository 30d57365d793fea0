"""Nearest words: which tokens count as words, by the marks of each kind of tokenizer."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from needlepoint.errors import UsageError
from needlepoint.methods.nearest_words import nearest_tokens, told_words, vocabulary

TABLE = np.array(
    [[1, 0, 0], [0, 1, 0], [0, 0, 1], [3, 3, 0], [9, 0, 0], [-1, 0, 0], [0, 0, 0]], np.float32
)


class Encoder:
    """Tokens by name, their embeddings from a table; one of open_clip's or of transformers'."""

    card = None

    def __init__(self, tokens: list[str], *, wrapped: bool = True) -> None:
        self.table = TABLE
        ids = {token: number for number, token in enumerate(tokens)}
        inner = SimpleNamespace(get_vocab=lambda: ids)
        held = SimpleNamespace(tokenizer=inner) if wrapped else SimpleNamespace(encoder=ids)
        self.tokenize = SimpleNamespace(tokenizer=held)

    def token_embeddings(self, ids: np.ndarray) -> np.ndarray:
        return self.table[ids]


@pytest.mark.parametrize("wrapped", [True, False])
@pytest.mark.parametrize(
    "tokens",
    [
        ["dog</w>", "red</w>", "do", "cat</w>", "a</w>", "ro2</w>", "<|end|>"],
        ["▁dog", "▁red", "og", "▁cat", "▁a", "▁Dog", "</s>"],
        ["dog", "red", "##og", "cat", "a", "[UNK]", "[PAD]"],
    ],
)
def test_words_are_whole_lower_case_and_longer_than_a_letter(tokens, wrapped):
    words, ids = vocabulary(Encoder(tokens, wrapped=wrapped))
    assert (words, ids.tolist()) == (["dog", "red", "cat"], [0, 1, 3])


WORDS = Encoder(["dog", "red", "blue", "orange", "hound", "anti", "nil"])


def test_nearest_first_by_cosine_and_ties_as_in_the_vocabulary():
    (found,) = nearest_tokens(WORDS, np.array([[2.0, 0.1, 0.0]]), k=3)
    assert [word for word, _ in found] == ["dog", "hound", "orange"]
    length = np.hypot(2, 0.1)
    np.testing.assert_allclose(
        [cosine for _, cosine in found], [2 / length, 2 / length, 2.1 / length / 2**0.5], rtol=1e-6
    )
    first, last = nearest_tokens(WORDS, np.array([[0, 0, 1.0], [-1.0, 0, 0]]), k=99)
    assert (first[0], last[0], len(first)) == (("blue", 1.0), ("anti", 1.0), 7)


def test_a_vocabulary_larger_than_a_block_is_searched_whole(monkeypatch):
    monkeypatch.setattr("needlepoint.methods.nearest_words._ROWS", 2)
    whole = nearest_tokens(WORDS, np.eye(3), k=7)
    monkeypatch.undo()
    assert nearest_tokens(WORDS, np.eye(3), k=7) == whole


def test_a_line_for_the_reader():
    line = told_words(nearest_tokens(WORDS, np.array([[1.0, 0, 0], [0, 0, 2.0]]), k=2))
    assert line == ("nearest words", "dog 1.00, hound 1.00; blue 1.00, dog 0.00")


def test_no_words_and_no_vectors():
    assert nearest_tokens(Encoder(["##a", "##b", "1", "2", "3", "4", "5"]), np.eye(3)) == [[]] * 3
    assert nearest_tokens(WORDS, np.empty((0, 3))) == []


@pytest.mark.parametrize("shape", [(3,), (1, 2), (1, 1, 3)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(UsageError, match=r"vectors: must be \[N, 3\]"):
        nearest_tokens(WORDS, np.zeros(shape))
