"""Words without a picture-language model: sentence vectors (MiniLM) and ConSE.

ConSE (Norouzi et al. 2014, eq. 3): a picture becomes the sum of the class names' sentence vectors,
weighted by the classifier's probabilities; a question is compared with it in that space.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import as_file, files
from typing import Any

import numpy as np
import numpy.typing as npt

from needlepoint.encoders.builtin.sight import load_session
from needlepoint.parts import Floats

LONGEST = 128
"""Tokens of a question that are read; the rest is cut."""


def unit(x: npt.NDArray[Any]) -> Floats:
    """Vectors ``[..., D]`` scaled to unit length; a zero vector stays zero."""
    length = np.sqrt(np.einsum("...d,...d->...", x, x))[..., None]
    out: Floats = (x / np.maximum(length, 1e-12)).astype(np.float32, copy=False)
    return out


class Sentences:
    """MiniLM-L6: texts to unit vectors float32 ``[N, 384]``, with the model's own tokenizer."""

    def __init__(self, threads: int) -> None:
        from tokenizers import Tokenizer

        with as_file(files(__package__) / "data" / "tokenizer.json") as path:
            self._tokenizer = Tokenizer.from_file(str(path))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(LONGEST)
        self._session = load_session("words.onnx", threads)

    def encode(self, texts: Sequence[str]) -> Floats:
        """One run a text, without padding: a vector cannot depend on its batch."""
        rows = []
        for text in texts:
            ids = np.array([self._tokenizer.encode(text).ids], np.int64)
            rows.append(self._session.run(None, {"ids": ids, "mask": np.ones_like(ids)})[0][0])
        return np.stack(rows)


class Concepts:
    """The bridge of ConSE: class probabilities and questions into one small space.

    Both sides are centred on the mean class name and turned onto the ``D`` main axes of the class
    names: what all names share says nothing about any.
    """

    def __init__(
        self,
        weight: Floats,
        bias: Floats,
        classes: Floats,
        mean: Floats,
        basis: Floats,
        temperature: float,
    ) -> None:
        self._weight, self._bias = weight, bias
        self._classes, self._mean, self._basis = classes, mean, basis
        self._sharpness = 1.0 / temperature

    def of_means(self, means: Floats) -> Floats:
        """Pooled features float32 ``[..., 1280]`` to unit vectors ``[..., D]``."""
        logits = (means @ self._weight.T + self._bias) * self._sharpness
        logits -= logits.max(axis=-1, keepdims=True)
        weights = np.exp(logits)
        weights /= weights.sum(axis=-1, keepdims=True)
        return unit(weights @ self._classes)

    def familiarity(self, sentences: Floats) -> Floats:
        """How near each sentence float32 ``[N, 384]`` comes to any class name: float32 ``[N]``.

        The length of its projection times its best cosine with a class: near zero for what no
        picture can show and for what is not English.
        """
        names = unit(self._classes).T
        best = [float((((one - self._mean) @ self._basis) @ names).max()) for one in sentences]
        return np.array(best, np.float32)

    def of_sentences(self, sentences: Floats) -> Floats:
        """Sentence vectors float32 ``[N, 384]`` to unit vectors ``[N, D]``."""
        return unit((sentences - self._mean) @ self._basis)
