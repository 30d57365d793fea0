"""Which words of a model's own vocabulary a pseudo-word comes nearest to.

Shapes: N pseudo-words, C token width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from needlepoint.errors import UsageError
from needlepoint.parts import EncoderCard, Floats

_ROWS = 8192
"""Token embeddings held at a time: a vocabulary of 256,000 would widen into a gigabyte."""


class InjectsWords(Protocol):
    """An encoder whose texts may hold pseudo-words (``inject`` on its card)."""

    card: EncoderCard
    tokenize: Any

    def token_embeddings(self, ids: npt.NDArray[np.int64]) -> Floats:
        """Embeddings float32 ``[N, L, C]`` of token ids int64 ``[N, L]``."""
        ...


def nearest_tokens(
    encoder: InjectsWords, vectors: Floats, k: int = 5
) -> list[list[tuple[str, float]]]:
    """The words nearest to each pseudo-word, by cosine of the token embeddings, best first.

    Only tokens that are a whole word of two or more lower-case letters take part: pieces of words
    tell a reader nothing. Words of equal cosine come in the order of the vocabulary.

    Args:
        encoder: whose vocabulary it is.
        vectors: float ``[N, C]``.
        k: how many words each; fewer where the vocabulary has fewer.

    Raises:
        UsageError: ``vectors`` are not of the width of the encoder's tokens.

    Example:
        >>> nearest_tokens(encoder, word_vectors, k=2)  # doctest: +SKIP
        [[('bicycle', 0.81), ('bike', 0.77)]]
    """
    words, ids = vocabulary(encoder)
    width = encoder.token_embeddings(np.zeros((1, 1), np.int64)).shape[2]
    if vectors.ndim != 2 or vectors.shape[1] != width:
        raise UsageError(
            f"vectors: must be [N, {width}], one row a pseudo-word, received {list(vectors.shape)}"
        )
    if not words:  # a vocabulary of pieces only
        return [[] for _ in vectors]
    asked = _unit(np.asarray(vectors, np.float32))
    cosines = np.concatenate(
        [
            asked @ _unit(encoder.token_embeddings(ids[None, start : start + _ROWS])[0]).T
            for start in range(0, len(ids), _ROWS)
        ],
        axis=1,
    )
    best = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    return [
        [(words[place], float(row[place])) for place in places]
        for row, places in zip(cosines, best, strict=True)
    ]


def told_words(nearest: Sequence[Sequence[tuple[str, float]]]) -> tuple[str, str]:
    """Nearest words as a line of ``Composed.told``; several pseudo-words are set apart by ";".

    Example:
        >>> told_words([[("bicycle", 0.81), ("bike", 0.77)], [("red", 0.6)]])
        ('nearest words', 'bicycle 0.81, bike 0.77; red 0.60')
    """
    lines = (", ".join(f"{word} {cosine:.2f}" for word, cosine in found) for found in nearest)
    return "nearest words", "; ".join(lines)


def vocabulary(encoder: InjectsWords) -> tuple[list[str], npt.NDArray[np.int64]]:
    """The words that are one token each, and their ids int64 ``[M]``, by id.

    Tokenizers mark words apart: BPE ends them with ``</w>``, sentencepiece begins them with
    ``▁``, WordPiece begins what is *not* a word with ``##``.
    """
    tokenizer = encoder.tokenize.tokenizer
    inner = getattr(tokenizer, "tokenizer", tokenizer)  # open_clip wraps one of transformers
    tokens: dict[str, int] = inner.encoder if hasattr(inner, "encoder") else inner.get_vocab()
    for mark in ("</w>", "▁"):
        marked = {t.replace(mark, ""): i for t, i in tokens.items() if mark in t}
        if marked:
            tokens = marked
            break
    whole = sorted(
        (number, word)
        for word, number in tokens.items()
        if len(word) > 1 and word.isalpha() and word == word.lower()
    )
    return [word for _, word in whole], np.array([number for number, _ in whole], np.int64)


def _unit(rows: Floats) -> Floats:
    found: Floats = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return found
