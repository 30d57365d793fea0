"""Fixed vectors that both towers begin by aiming at: bags of words.

Two towers that both begin at random chase each other for long. So each text gets a vector that
needs no training: the sum of its words' vectors, rare words counting more. A word's vector is half
its own (random, so that "red" and "blue" differ), half the built-in sentence model's (so that
"sofa" and "armchair" are near, and so are words that no caption holds).
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from needlepoint.encoders.builtin.words import Sentences, unit
from needlepoint.parts import Floats
from needlepoint.train.pairs import meaning_of


class Anchors:
    """Vectors of texts, float32 ``[N, D]``, unit length, from vectors of words.

    Args:
        words: the words that have a vector.
        vectors: float32 ``[W, D]``, longer for words that count more.
    """

    def __init__(self, words: Sequence[str], vectors: Floats) -> None:
        self._vectors = dict(zip(words, vectors, strict=True))
        self._dim = vectors.shape[1]

    @classmethod
    def of(cls, texts: Sequence[str], words: Sequence[str], dim: int, kept: Path) -> Anchors:
        """Anchors of captions.

        Args:
            texts: all captions; how often a word occurs in them tells how much it counts.
            words: further words that may be asked for.
            dim: D, of the joint space.
            kept: file in which the sentence model's vectors of words are kept between runs.
        """
        counted = Counter(word for text in texts for word in meaning_of(text))
        known = list(dict.fromkeys([*sorted(counted), *words]))
        meant = _kept_vectors(known, kept)
        meant = unit(meant - meant.mean(0))
        axes = np.linalg.svd(meant, full_matrices=False)[2][:dim]
        near = np.zeros((len(known), dim), np.float32)
        near[:, : len(axes)] = meant @ axes.T
        # spread over all of the space, as the words' own vectors are
        near = unit(near) @ np.linalg.qr(np.random.default_rng(0).normal(size=(dim, dim)))[0]
        own = np.stack([_own(word, dim) if word in counted else near[0] * 0 for word in known])
        rare = [np.log((len(texts) + 1) / (counted[word] + 1)) + 0.1 for word in known]
        vectors = unit(near + own) * np.asarray(rare, np.float32)[:, None]
        return cls(known, vectors.astype(np.float32))

    @classmethod
    def load(cls, path: Path) -> Anchors:
        """Anchors that were saved: the same bits, whatever the machine's linear algebra does."""
        with np.load(path) as kept:
            return cls(kept["words"].tolist(), kept["vectors"])

    def save(self, path: Path) -> None:
        """Write them for ``load``."""
        _write(path, self._vectors)

    def __contains__(self, word: str) -> bool:
        return word in self._vectors

    def __call__(self, texts: Sequence[str]) -> Floats:
        """Vectors of texts; words that are not known count for nothing."""
        rows = np.zeros((len(texts), self._dim), np.float32)
        for row, text in enumerate(texts):
            for word in sorted(meaning_of(text)):  # in one order: sums must have the same bits
                if word in self._vectors:
                    rows[row] += self._vectors[word]
        return unit(rows)


def _own(word: str, dim: int) -> Floats:
    """A random unit vector that is the word's own in every run."""
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
    return unit(np.random.default_rng(seed).normal(size=dim))


def _kept_vectors(words: Sequence[str], path: Path) -> Floats:
    """The sentence model's vectors ``[N, 384]`` of words; only new ones are computed."""
    known: dict[str, Floats] = {}
    if path.is_file():
        with np.load(path) as kept:
            known = dict(zip(kept["words"].tolist(), kept["vectors"], strict=True))
    new = [word for word in words if word not in known]
    if new:
        known |= zip(new, Sentences(1).encode(new), strict=True)
        _write(path, known)
    return np.stack([known[word] for word in words])


def _write(path: Path, vectors: dict[str, Floats]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}")
    with part.open("wb") as file:
        np.savez(file, words=np.array(list(vectors)), vectors=np.stack(list(vectors.values())))
    os.replace(part, path)
